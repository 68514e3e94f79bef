"""The masks that our engine is measured with, fixed before the clock runs."""

from __future__ import annotations

import numpy as np

from ...core.grid import RegionGrid
from ...detection.yolo import decode
from ...network.graph import Network
from .clip import Clip
from .engine import EventCandidate

UNMASKED, MASKED60 = "unmasked", "masked60"
SETTINGS = (UNMASKED, MASKED60)
KEEP_SHARE = 0.4
SCORE_THRESHOLD, NMS_IOU = 0.4, 0.45


def keep_mask(setting: str, network: Network, clip: Clip) -> np.ndarray:
    """bool [rows, cols] for every frame but the first, which is always attended as a whole.

    ``masked60`` keeps the 40 % of regions where the unmasked detector sees most over the clip: those that most boxes
    cover, summed over all frames; of equals, those that send more events.
    """
    if setting == UNMASKED:
        return RegionGrid.of_input(clip.input_wh).full(True)
    return busiest_regions(*_heat(network, clip), KEEP_SHARE)


def busiest_regions(heat: np.ndarray, events: np.ndarray, share: float) -> np.ndarray:
    """bool [rows, cols]: the given share of regions, those of the most heat; ties go by events, then by position."""
    ranked = np.lexsort((-events.ravel(), -heat.ravel()))
    keep = np.zeros(heat.size, bool)
    keep[ranked[:round(share * heat.size)]] = True
    return keep.reshape(heat.shape)


def _heat(network: Network, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """int64 [rows, cols], over the clip: boxes of the unmasked detector on each region, and encoder events in it."""
    grid = RegionGrid.of_input(clip.input_wh)
    engine = EventCandidate(network, clip.input_wh, UNMASKED, grid.full(True))
    heat, sent = np.zeros(grid.shape, np.int64), np.zeros(grid.shape, np.int64)
    for image in clip.images:
        head = engine.step(image)
        found = decode(head, network.head, clip.image_wh, SCORE_THRESHOLD, NMS_IOU)
        for box in found.boxes:
            heat += grid.cover(box, clip.image_wh)
        y, x, _ = np.unravel_index(engine.last_events.index, engine.last_events.shape)
        region = y // grid.region_px * grid.cols + x // grid.region_px
        sent += np.bincount(region, minlength=sent.size).reshape(sent.shape)
    return heat, sent
