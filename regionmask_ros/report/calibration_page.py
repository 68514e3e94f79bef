"""The page of ``calibrate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from ..core.frame import Frame
from ..core.result import RegionMask
from ..mask.heat import CoverageLoss, LossCurve
from .fleet_page import failures_table
from .images import encode_jpeg
from .loss_plot import loss_svg
from .overlay import draw_mask
from .page import EmbeddedImage, Figure, ImagePair, KeyFigure, Page, write_page
from .tables import Table

HEAT_WEIGHT = 0.6
SAME_IMAGES = (
    "Counted on the images from which the mask was made: on others it loses more. Lost: less than half of the box "
    "is kept; cut: less than 80 % of it.")

LOSS_CAPTION = (
    "Objects lost by masks of all sizes, counted as in the table. Choose the size with --keep, or with --cover, the "
    "share of the heat.")


def mask_image(frame: Frame, keep: np.ndarray) -> np.ndarray:
    """Draws a static mask on a frame.

    Args:
        frame: The frame.
        keep: bool [rows, cols], True = kept.

    Returns:
        uint8 [height, width, 3], BGR: kept regions in color, the rest gray and dark.
    """
    mask = RegionMask(keep, {"static": keep}, refresh=False)
    caption = f"static mask: {mask.masked_share:.0%} of the regions masked"
    return draw_mask(frame, mask, caption)


def heat_image(frame: Frame, heat: np.ndarray) -> np.ndarray:
    """Draws the heat of the regions on a frame, in the scale of its square root, so that rare places are visible.

    Args:
        frame: The frame.
        heat: float [rows, cols], 0 or more.

    Returns:
        uint8 [height, width, 3], BGR.
    """
    scaled = np.sqrt(heat / max(float(heat.max()), 1e-12))
    colors = cv2.applyColorMap((255 * scaled).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    colors = cv2.resize(colors, frame.size_wh, interpolation=cv2.INTER_NEAREST)
    gray = cv2.cvtColor(cv2.cvtColor(frame.bgr(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(colors, HEAT_WEIGHT, gray, 1.0 - HEAT_WEIGHT, 0.0)


def write_calibration_page(path: str, summary: Mapping[str, Any], losses: Sequence[CoverageLoss],
                           images: tuple[tuple[str, np.ndarray], tuple[str, np.ndarray]], curve: LossCurve,
                           command: str, version: str) -> None:
    """Writes the page.

    Args:
        path: Where to write.
        summary: What ``--json`` writes.
        losses: What the mask loses, by class and height.
        images: The mask and the heat on a frame: names, and uint8 [height, width, 3], BGR.
        curve: What masks of all sizes lose.
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
    kept, heat = (EmbeddedImage(caption, encode_jpeg(image)) for caption, image in images)
    write_page(path, Page(
        "Static mask", intro,
        lead=ImagePair("The last frame. Left: the regions that are kept, in color. Right: where objects were; yellow: "
                       "in most frames.", kept, heat),
        key_figures=(
            KeyFigure("Masked", f"{100.0 * (1.0 - summary['kept_share']):.0f} %",
                      f"of the regions are never observed, {100.0 * summary['kept_share']:.0f} % always"),
            KeyFigure("Objects lost", f"{100.0 * summary['lost_share']:.1f} %",
                      f"of {summary['objects']:,} objects, counted on these images"),
            KeyFigure("Learned from", f"{summary['frames']:,} frames", f"{summary['learned_from']}"),
        ),
        figures=(Figure(LOSS_CAPTION, loss_svg(curve, summary["kept_share"], summary["lost_share"])),),
        figures_heading="Masks of other sizes",
        tables=(
            *failures_table(summary.get("failures", ())),
            Table("How it was made", ("setting", "value"), settings),
            Table("Objects that the mask would have lost", ("class and height", "objects", "lost", "cut"), lost,
                  SAME_IMAGES),
        ),
        command=command, version=version))
