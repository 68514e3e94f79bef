"""The page and the images of ``calibrate``: where objects were, what the mask keeps, and what it loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from ..core.detections import Detections
from ..core.frame import Frame
from ..core.result import RegionMask
from ..mask.heat import CoverageLoss
from .overlay import draw_overlay
from .page import EmbeddedImage, write_report
from .run_page import encode_jpeg
from .tables import Table

HEAT_WEIGHT = 0.6
SAME_IMAGES = (
    "Counted on the images from which the mask was made: on others it loses more. Lost: less than half of the box "
    "is kept; cut: less than 80 % of it.")


def mask_image(frame: Frame, keep: np.ndarray) -> np.ndarray:
    """Draws a static mask on a frame.

    Args:
        frame: The frame.
        keep: bool [rows, cols], True = kept.

    Returns:
        uint8 [height, width, 3], BGR: kept regions in colour, the rest grey and dark.
    """
    mask = RegionMask(keep, {"static": keep}, refresh=False)
    caption = f"static mask: {mask.masked_share:.0%} of the regions masked"
    return draw_overlay(frame, Detections.empty(), mask, (), caption)


def heat_image(frame: Frame, heat: np.ndarray) -> np.ndarray:
    """Draws the heat of the regions on a frame, in the scale of its square root, so that rare places are visible.

    Args:
        frame: The frame.
        heat: float [rows, cols], 0 or more.

    Returns:
        uint8 [height, width, 3], BGR.
    """
    scaled = np.sqrt(heat / max(float(heat.max()), 1e-12))
    colours = cv2.applyColorMap((255 * scaled).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    colours = cv2.resize(colours, frame.size_wh, interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(cv2.cvtColor(frame.bgr(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(colours, HEAT_WEIGHT, grey, 1.0 - HEAT_WEIGHT, 0.0)


def write_calibration_page(path: str, summary: Mapping[str, Any], losses: Sequence[CoverageLoss],
                           images: Sequence[tuple[str, np.ndarray]], command: str, version: str) -> None:
    """Writes the page.

    Args:
        path: Where to write.
        summary: What ``--json`` writes.
        losses: What the mask loses, by class and height.
        images: Captions, and uint8 [height, width, 3], BGR.
        command: Command line that gives the same result again.
        version: Version of this package.
    """
    intro = (
        f"A static mask from {summary['objects']:,} objects in {summary['frames']:,} frames, "
        f"{summary['learned_from']}. It keeps {summary['kept_share']:.0%} of the regions "
        f"and {summary['covered_heat']:.1%} of the heat.")
    settings = (
        ("network input", summary["input_size"]),
        ("regions", f"{summary['rows']} x {summary['cols']} of {summary['region_px']} pixels"),
        ("learned from", summary["learned_from"]),
        ("frames", f"{summary['frames']:,}"),
        ("objects", f"{summary['objects']:,}"),
        ("target", summary["target"]),
        ("kept regions", f"{summary['kept_share']:.1%}"),
        ("kept heat", f"{summary['covered_heat']:.2%}"),
    )
    lost = tuple(
        (f"{loss.name}, {loss.size}", f"{loss.objects:,}", f"{loss.lost / loss.objects:.1%}",
         f"{loss.cut / loss.objects:.1%}")
        for loss in losses)
    write_report(
        path, "Static mask", intro,
        tables=[
            Table("How it was made", ("", ""), settings),
            Table("Objects that the mask would have lost", ("class and height", "objects", "lost", "cut"), lost,
                  SAME_IMAGES),
        ],
        images=[EmbeddedImage(caption, encode_jpeg(image)) for caption, image in images],
        command=command, version=version,
    )
