"""The page and the pictures of ``calibrate``: where objects were, what is attended, and what that loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from ..core.detections import Detections
from ..core.frame import Frame
from ..core.result import RegionMask
from ..mask.calibration import CoverageLoss
from .overlay import draw_overlay
from .page import Picture, Table, write_report
from .run_page import encode_jpeg

HEAT_WEIGHT = 0.6
SAME_IMAGES = (
    "Counted on the pictures that the mask was made from: on others it will lose more. Lost: less than half of the box "
    "is attended; cut: less than 80 % of it."
)


def mask_image(frame: Frame, keep: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3], BGR: the frame, attended regions in colour, the rest grey and dark."""
    mask = RegionMask(keep, {"static": keep}, refresh=False)
    caption = f"static mask: {mask.masked_share:.0%} of the regions masked"
    return draw_overlay(frame, Detections.empty(), mask, (), caption)


def heat_image(frame: Frame, heat: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3], BGR: the frame with the heat of each region on it, its root, so that rare places
    show.
    """
    scaled = np.sqrt(heat / max(float(heat.max()), 1e-12))
    colours = cv2.applyColorMap((255 * scaled).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    colours = cv2.resize(colours, frame.size_wh, interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(cv2.cvtColor(frame.bgr(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(colours, HEAT_WEIGHT, grey, 1.0 - HEAT_WEIGHT, 0.0)


def write_calibration_page(path: str, summary: Mapping[str, Any], losses: Sequence[CoverageLoss],
                           pictures: Sequence[tuple[str, np.ndarray]], command: str, version: str) -> None:
    """summary: what ``--json`` writes. pictures: caption and uint8 [height, width, 3] BGR."""
    intro = (
        f"A static mask from {summary['objects']:,} objects in {summary['frames']:,} frames, "
        f"{summary['learned_from']}. It attends {summary['kept_share']:.0%} of the regions "
        f"and holds {summary['covered_heat']:.1%} of the heat."
    )
    write_report(
        path, "Static mask", intro,
        tables=[_settings(summary), _losses(losses)],
        pictures=[Picture(caption, encode_jpeg(image)) for caption, image in pictures],
        command=command, version=version,
    )


def _settings(summary: Mapping[str, Any]) -> Table:
    rows = (
        ("network input", summary["input_size"]),
        ("regions", f"{summary['rows']} x {summary['cols']} of {summary['region_px']} pixels"),
        ("learned from", summary["learned_from"]),
        ("frames", f"{summary['frames']:,}"),
        ("objects", f"{summary['objects']:,}"),
        ("target", summary["target"]),
        ("attended regions", f"{summary['kept_share']:.1%}"),
        ("heat held", f"{summary['covered_heat']:.2%}"),
    )
    return Table("How it was made", ("", ""), rows)


def _losses(losses: Sequence[CoverageLoss]) -> Table:
    rows = tuple(
        (f"{loss.name}, {loss.size}", f"{loss.objects:,}", f"{loss.lost / loss.objects:.1%}",
         f"{loss.cut / loss.objects:.1%}")
        for loss in losses
    )
    return Table("Objects that the mask would have lost", ("class and height", "objects", "lost", "cut"), rows,
                 SAME_IMAGES)
