"""Rolling tiles: each frame runs one window of the image, chosen by what may have changed there.

The rotation has one entry for each tile, at full resolution, and one for the whole image made small, which shows the
objects that are larger than a tile. The entry with the highest priority is next. Its age is bounded: an entry that was
not chosen for ``AGE_BOUND`` rounds comes first, whatever the priorities say.
"""

from __future__ import annotations

import numpy as np

from ..core.look import Look
from ..core.result import StepResult
from ..tracking.held import SEEN_SHARE
from .schedule import is_refresh
from .source import MaskContext
from .tiling import Tiling

ROLLING_SOURCE = "objects"
"""As with other presets."""

AGE_BOUND = 4
"""Rounds, of as many looks as the rotation has entries, after which an entry is due."""

EMPTY_WEIGHT = 0.15
"""Of an entry without objects; one with objects has 1."""

DOUBT_WEIGHT = 0.5
"""Added for an entry with an object that was missed, or not yet confirmed."""

CHANGE_WEIGHT = 0.35
"""Added for an entry in which the whole image changes, and less where less does."""

ENTRY_WEIGHT = 0.25
"""Added for an entry in which all new objects were found so far, and less where less were."""

SMALL_SHARE = 0.34
"""Largest share of the looks that are the small image, so that ``target_masked`` holds."""

ENTRY_MEMORY = 0.9
"""Of the shares of new objects, at each new one."""


class RollingSource:
    """Proposes the regions of one look, see the module.

    Args:
        tiling: The windows.
        period: Frames from one look to the next.

    Attributes:
        name: Key of the proposal.
        tiling: The windows.
        entries: The looks of the rotation: the tiles, then the small image.
        ages: int64 [entries], looks since an entry was chosen.
        look: The look of the frame that was proposed last; None in a refresh frame and where nothing runs.
    """

    name = ROLLING_SOURCE

    def __init__(self, tiling: Tiling, period: int) -> None:
        self.tiling, self.period = tiling, period
        self.entries: tuple[Look, ...] = (*tiling.tiles, tiling.small)
        self._regions = [tiling.regions_of(look) for look in self.entries]
        self._entered = np.zeros(len(self.entries))
        self._next_id = 0
        self.look: Look | None = None
        self.ages = np.zeros(len(self.entries), np.int64)

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """Regions of the next look, bool [rows, cols]; None in a refresh frame."""
        self.look = None
        if is_refresh(context.since_refresh, 0):
            self.ages[:] = 0
            return None
        if context.since_refresh % self.period:
            return context.grid.full(False)
        chosen = choose_entry(self.ages, self._weights(context))
        self.ages += 1
        self.ages[chosen] = 0
        self.look = self.entries[chosen]
        return self._regions[chosen]

    def observe(self, result: StepResult) -> None:
        """Learns where new objects are found."""
        ids = result.detections.track_ids
        new = ids >= self._next_id
        if not new.any() or result.mask.refresh:
            self._next_id = max(self._next_id, int(ids.max(initial=-1)) + 1)
            return
        self._next_id = int(ids.max()) + 1
        for entry in assign_entries(result.detections.boxes[new].astype(np.float64), self.entries):
            self._entered *= ENTRY_MEMORY
            self._entered[entry] += 1.0 - ENTRY_MEMORY

    def reset(self) -> None:
        """The next frame is a refresh frame: every entry is looked at."""
        self.look, self._next_id = None, 0
        self.ages[:] = 0

    def _weights(self, context: MaskContext) -> np.ndarray:
        tracks = context.tracks
        weights = np.full(len(self.entries), EMPTY_WEIGHT)
        if len(tracks):
            entry_of = assign_entries(tracks.extrapolate(context.frame), self.entries)
            weights[entry_of] = 1.0
            doubtful = (tracks.hits < 2) | (tracks.last_observed < tracks.last_frame - self.period * len(self.entries))
            weights[entry_of[doubtful]] += DOUBT_WEIGHT
        if context.frame_view is not None:
            change = context.frame_view.change
            weights[:-1] += CHANGE_WEIGHT * np.array([change[inside].mean() for inside in self._regions[:-1]])
        weights += ENTRY_WEIGHT * self._entered
        return weights


def assign_entries(boxes: np.ndarray, entries: tuple[Look, ...]) -> np.ndarray:
    """Finds the look that shows each object best: the tile with most of it, or the small image where none has it whole.

    Args:
        boxes: float64 [n, 4], x0 y0 x1 y1 in image pixels.
        entries: The tiles, then the small image.

    Returns:
        int64 [n], index of the entry.
    """
    windows = np.array([look.window for look in entries[:-1]])
    x1, y1 = entries[-1].window[2:]
    boxes = np.clip(boxes, 0.0, np.array([x1, y1, x1, y1]))
    low = np.maximum(boxes[:, None, :2], windows[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], windows[None, :, 2:])
    area = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-9)
    share = np.prod(np.maximum(high - low, 0.0), axis=2) / area[:, None]
    # Of tiles that show all of it, the one in which it lies deepest.
    depth = np.minimum(boxes[:, None, :2] - windows[None, :, :2], windows[None, :, 2:] - boxes[:, None, 2:]).min(axis=2)
    best: np.ndarray = np.argmax(np.minimum(share, SEEN_SHARE) + 1e-6 * np.tanh(depth / 100.0), axis=1)
    return np.where(share[np.arange(len(boxes)), best] >= SEEN_SHARE, best, len(entries) - 1)


def choose_entry(ages: np.ndarray, weights: np.ndarray) -> int:
    """Chooses the next look.

    Args:
        ages: int64 [entries], looks since an entry was chosen.
        weights: float64 [entries], more than 0.

    Returns:
        The index of the entry with the largest product of age (from 1 on) and weight; of an entry at the age bound,
        the oldest, if there is one.
    """
    overdue = ages >= AGE_BOUND * len(ages)
    if overdue.any():
        return int(np.argmax(np.where(overdue, ages, -1)))
    return int(np.argmax((ages + 1) * weights))
