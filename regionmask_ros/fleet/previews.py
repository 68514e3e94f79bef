"""Pictures of the cameras' masks, drawn over one small image of each camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.frame import Frame
from ..report.calibration_page import heat_image, mask_image
from ..report.images import encode_jpeg
from ..report.page import EmbeddedImage
from ..sources.pictures.decode import decode_color
from .cameras import CameraHeat
from .journal import Journal
from .units import Unit

WIDTH_PX = 480
"""Of the image that each unit keeps."""

MOST_CAMERAS = 24
ENDING = "jpg"


def shrink(frame: Frame) -> bytes:
    """A small JPEG of a frame."""
    return encode_jpeg(frame.bgr(), WIDTH_PX)


def draw_cameras(units: Sequence[Unit], journal: Journal, cameras: Mapping[str, CameraHeat],
                 masks: Mapping[str, np.ndarray | None]) -> list[EmbeddedImage]:
    """Draws the masks.

    Args:
        units: In their order.
        journal: Has their images.
        cameras: By the names of their files.
        masks: By the same names, bool [rows, cols] each.

    Returns:
        Two images for each of the first ``MOST_CAMERAS`` cameras: the mask, and the heat.
    """
    firsts: dict[tuple[str, str], Unit] = {}
    for unit in units:
        facts = journal.facts(unit).facts
        firsts.setdefault((facts["camera"], facts["input_size"]), unit)
    images = []
    for stem, camera in list(cameras.items())[:MOST_CAMERAS]:
        keep, unit = masks[stem], firsts[camera.name, camera.input_size]
        if keep is None:
            continue
        data = journal.file(unit, ENDING).read_bytes()
        frame = Frame(decode_color(data, WIDTH_PX * WIDTH_PX * 16, None, stem), "bgr", 0, "")
        images += [EmbeddedImage(f"{camera.name}: kept regions", encode_jpeg(mask_image(frame, keep))),
                   EmbeddedImage(f"{camera.name}: heat of {camera.frames:,} frames",
                                 encode_jpeg(heat_image(frame, camera.heat)))]
    return images
