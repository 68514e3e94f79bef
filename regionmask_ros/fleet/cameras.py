"""Static masks of many sources, one for each camera: the heat of its units, summed in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.grid import REGION_PX
from ..mask.heat import Target
from .arrays import unpack_array
from .calls import UnitResult


@dataclass
class CameraHeat:
    """Where a camera's objects were.

    Attributes:
        name: Of the camera.
        input_size: The network's input, "WIDTHxHEIGHT".
        heat: float64 [rows, cols], the sum over its units; see ``heat.compute_heat``.
        units: Number of units.
        frames: Number of frames.
    """

    name: str
    input_size: str
    heat: np.ndarray
    units: int = 0
    frames: int = 0


def sum_heat(results: Iterable[UnitResult]) -> list[CameraHeat]:
    """Sums the heat of units by camera. A camera with several input sizes counts as several.

    Args:
        results: Of the units, in their order: sums of floating-point numbers depend on it.

    Returns:
        The cameras, in the order of their names.

    Raises:
        InvalidFile: The facts of a unit hold no heat.
    """
    cameras: dict[tuple[str, str], CameraHeat] = {}
    for result in results:
        facts, heat = result.facts, unpack_array(result.facts["heat"])
        key = facts["camera"], facts["input_size"]
        camera = cameras.setdefault(key, CameraHeat(*key, np.zeros(heat.shape)))
        camera.heat = camera.heat + heat
        camera.units += 1
        camera.frames += facts["frames"]
    return [cameras[key] for key in sorted(cameras)]


def name_file(camera: str) -> str:
    """A name for files of a camera."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in camera).strip(".-") or "camera"


def name_files(cameras: Iterable[CameraHeat]) -> dict[str, CameraHeat]:
    """Names for files, without an ending, in the cameras' order: that of the camera, with the input size if needed."""
    every = list(cameras)
    names: dict[str, CameraHeat] = {}
    for camera in every:
        stem = name_file(camera.name)
        if sum(other.name == camera.name for other in every) > 1:
            stem += f"-{camera.input_size}"
        while stem.casefold() in (name.casefold() for name in names):
            stem += "_"
        names[stem] = camera
    return names


def make_mask(camera: CameraHeat, target: Target) -> np.ndarray | None:
    """The mask of a camera, bool [rows, cols]; None where no object was seen."""
    return target.mask(camera.heat) if camera.heat.sum() > 0.0 else None


def describe_cameras(files: Mapping[str, CameraHeat], masks: Mapping[str, np.ndarray | None]) -> list[dict[str, Any]]:
    """What a summary says about the cameras: in JSON's types."""
    rows = []
    for stem, camera in files.items():
        keep = masks[stem]
        rows.append({
            "camera": camera.name, "units": camera.units, "frames": camera.frames, "input_size": camera.input_size,
            "mask": None if keep is None else f"masks/{stem}.npz",
            "kept_share": None if keep is None else float(keep.mean()), "region_px": REGION_PX})
    return rows
