"""Weights files of mask networks: ``.npz`` archives of plain numbers, read within limits as untrusted data."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidFile
from ...files.outputs import write_whole
from ...files.safe_read import open_regular, open_zip, read_array
from . import light, paper

SHAPES: Mapping[str, Mapping[str, tuple[int, ...]]] = {"light": light.SHAPES, "paper": paper.SHAPES}
"""Shape of each array by its name, by architecture."""

SHIPPED = Path(__file__).with_name("mgnet_light.npz")
FILE_KIND = "weights of a mask network"
MAX_WEIGHT = 1e4


@dataclass(frozen=True)
class MaskWeights:
    """A trained mask network.

    Attributes:
        architecture: ``light`` or ``paper``.
        arrays: float32 arrays by name, as ``SHAPES`` says.
        threshold: Score above which a region is observed when no masked share is asked for, 0 to 2.
    """

    architecture: str
    arrays: Mapping[str, np.ndarray]
    threshold: float


def load_weights(path: str = "") -> MaskWeights:
    """Reads a weights file.

    Args:
        path: The file; "": the one of the package.

    Returns:
        The weights.

    Raises:
        UserError: The file cannot be read or holds something else.
    """  # noqa: DOC501  ``about`` makes a UserError
    path = path or str(SHIPPED)
    try:
        with open_regular(path) as file:
            archive = open_zip(file)
            names = {name[:-len(".npy")] for name in archive.namelist()}
            fitting = [kind for kind, shapes in SHAPES.items() if names == {*shapes, "threshold"}]
            if not fitting:
                raise InvalidFile(f"not {FILE_KIND}: it must hold the arrays that train_mgnet writes, and no others")
            arrays = {name: _read(archive, name, shape) for name, shape in SHAPES[fitting[0]].items()}
            threshold = float(_read(archive, "threshold", ()))
    except InvalidFile as refused:
        raise refused.about(path) from refused
    return MaskWeights(fitting[0], arrays, threshold)


def save_weights(path: str, weights: MaskWeights) -> None:
    """Writes a weights file. It appears when it is complete."""
    content = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(value, np.float32) for name, value in weights.arrays.items()}
    np.savez(content, **arrays, threshold=np.float32(weights.threshold))
    write_whole(Path(path), content.getvalue())


def _read(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = read_array(archive, name, "f", FILE_KIND)
    if array.shape != shape:
        raise InvalidFile(f"array {name} is {list(array.shape)}, expected {list(shape)}")
    if not (np.abs(array) < MAX_WEIGHT).all():
        raise InvalidFile(f"array {name} holds numbers outside the range of trained weights")
    return array.astype(np.float32)
