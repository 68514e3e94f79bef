"""Rolling tiles: each frame runs one window of the image, chosen by what may have changed there.

While large objects prevail, which tiles would cut, the whole image is run every ``burst``-th frame instead.

Where objects cannot be predicted for long (``tracking.guard``), several windows are run in a frame, up to all tiles in
every frame.

The window has the shape of a tile and lies where it shows most: objects that it shows as a whole count by the frames
since they were last found, and regions by the frames since they were last observed. For objects that are larger than a
tile, the whole image made small is one more choice. The age of a region is bounded: once one is as old as
``AGE_BOUND`` rounds of tiles, the window with the oldest region comes first, whatever the rest says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..core.boxes import covered_fraction
from ..core.look import Look
from ..core.result import StepResult
from .schedule import OBJECTS, is_refresh
from .source import MaskContext, MaskSource
from .tiling import Tiling, whole_pixels

STEPS = 4
"""Windows begin at every quarter of a tile, so that an object that one cuts lies inside another."""

AGE_BOUND = 4
"""Rounds, of as many frames as there are tiles, after which a region is due."""

SHOWN_SHARE = 0.97
"""Of an object's box that a window must hold to show the object."""

REGION_WEIGHT = 2.0
"""Of a tile full of regions without change, against an object of the same age."""

CHANGE_WEIGHT = 4.0
"""Of a region that changes and holds no object, against one that does not."""

ENTRY_WEIGHT = 4.0
"""Of a region in which new objects were often found, likewise."""

ENTRY_MEMORY = 0.98
"""Of the places of new objects, from look to look."""

LARGE_SHARE = 0.8
"""An object is too large for a tile when its box is longer than this share of the window, along either side."""

WIDE_SHARE = 0.1
"""An object is wide when its box has more than this share of the image along a side that tiles divide: then many of
the tiles cut it."""

MANY_WIDE, FEW_WIDE = 0.35, 0.2
"""Share of wide objects, by score, from which on the whole image is run, and below which tiles are run again."""

WIDE_MEMORY = 0.9
"""Of that share, from frame to frame."""

SMALL_SHARE = 0.25
"""Largest share of the looks that are the small image."""


class RollingSource:
    """Proposes the regions of one look, see the module.

    Args:
        tiling: The windows.
        period: Frames from one look to the next.
        burst: Frames from one whole image to the next while large objects prevail; 0: tiles are run all the same, and
            the shape of a whole image is never used.

    Attributes:
        name: Key of the proposal.
        tiling: The windows.
        period: As given.
        burst: As given.
        entries: The looks of a refresh frame, which together show everything: the tiles, and the small image.
        windows: The looks at full resolution to choose from.
        ages: int64 [rows, cols], frames since a region was observed at full resolution; of the frames in which the
            whole image is run from time to time, none counts.
        looks: Those of the frame that was proposed last; none where nothing runs.
    """

    name = OBJECTS

    def __init__(self, tiling: Tiling, period: int, burst: int = 0) -> None:
        self.tiling, self.period, self.burst = tiling, period, burst
        self.entries: tuple[Look, ...] = (*tiling.tiles, tiling.small)
        self.windows = make_windows(tiling)
        self._bounds = np.array([look.window for look in self.windows])
        self._regions = np.stack([tiling.regions_of(look) for look in self.windows])
        self._entered = np.zeros(tiling.grid.shape)
        self._next_id, self._since_small, self._since_whole = -1, 0, 0
        self._wide, self._runs_whole = 0.0, False
        self.looks: tuple[Look, ...] = ()
        self.ages = np.zeros(tiling.grid.shape, np.int64)

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """Regions of the next looks, bool [rows, cols]; None in a refresh frame."""
        if is_refresh(context.since_refresh, 0):
            self.looks = self.entries
            self.ages[:] = self._since_small = self._since_whole = 0
            return None
        if self.burst and self._has_large_objects(context):
            return self._run_whole(context)
        count = self.looks_per_frame(context.horizon)
        self.ages += 1
        self._since_small += 1
        if count >= len(self.tiling.tiles):
            # One run costs less than all tiles, which share margins, and cuts nothing.
            self.looks = (self.tiling.whole,) if self.burst else self.tiling.tiles
            self.ages[:] = 0
            return context.grid.full(True)
        self.looks = ()
        if count == 0 and context.since_refresh % self.period:
            return context.grid.full(False)
        return self._choose(context, max(count, 1))

    def _has_large_objects(self, context: MaskContext) -> bool:
        """Whether large objects prevail."""
        tracks = context.tracks
        if len(tracks):
            side = (tracks.predicted_boxes[:, 2:] - tracks.predicted_boxes[:, :2]) / np.array(self.tiling.image_wh)
            side *= np.array((self.tiling.cols, self.tiling.rows)) > 1
            share = float(tracks.scores @ (side.max(axis=1) > WIDE_SHARE)) / max(float(tracks.scores.sum()), 1e-9)
            self._wide = WIDE_MEMORY * self._wide + (1.0 - WIDE_MEMORY) * share
        self._runs_whole = self._wide > (FEW_WIDE if self._runs_whole else MANY_WIDE)
        return self._runs_whole

    def _run_whole(self, context: MaskContext) -> np.ndarray:
        """The regions of a whole image, or none."""
        self._since_whole += 1
        is_due = self._since_whole >= self._whole_period(context.horizon)
        if is_due:
            self._since_whole = 0
            self.ages[:] = 0
        self.looks = (self.tiling.whole,) if is_due else ()
        return context.grid.full(is_due)

    def _whole_period(self, horizon: int) -> int:
        """Frames from one whole image to the next, while predictions hold over so many frames; 0: not limited."""
        return min(self.burst, horizon or self.burst)

    def looks_per_frame(self, horizon: int) -> int:
        """How many windows a frame needs so that each is seen once while predictions hold.

        Args:
            horizon: Frames over which predictions hold; 0: not limited.

        Returns:
            The number; 0 where the schedule's own period is enough.
        """
        tiles = len(self.tiling.tiles)
        return math.ceil(tiles / horizon) if 0 < horizon < tiles * self.period else 0

    def describe(self, horizon: int) -> str:
        """Says what runs, for people; the argument is as for ``looks_per_frame``."""
        if self._runs_whole:
            return f"large objects: the whole image in every {self._whole_period(horizon)}. frame"
        count, tiles = self.looks_per_frame(horizon), len(self.tiling.tiles)
        if count == 0:
            return f"a tile in every {self.period}. frame" if self.period > 1 else "a tile in every frame"
        return f"{min(count, tiles)} of {tiles} tiles in every frame"

    def _choose(self, context: MaskContext, count: int) -> np.ndarray:
        """Chooses that many looks; returns their regions."""
        keep = context.grid.full(False)
        worth, large, weight = self._weigh(context)
        for _ in range(count):
            value = worth.sum(axis=1) + np.einsum("wrc,rc->w", self._regions, self.ages * weight)
            if self._since_small * SMALL_SHARE >= 1.0 and large > value.max():
                self._since_small = 0
                self.looks += (self.tiling.small,)
                keep[:] = True
                continue
            chosen = choose_window(value, self._regions, self.ages, AGE_BOUND * len(self.tiling.tiles))
            self.looks += (self.windows[chosen],)
            keep |= self._regions[chosen]
            self.ages[self._regions[chosen]] = 0
            # What this window shows is worth nothing to the next one.
            worth[:, worth[chosen] > 0.0] = 0.0
        return keep

    def observe(self, result: StepResult) -> None:
        """Learns where new objects are found."""
        ids, first = result.detections.track_ids, self._next_id
        self._next_id = max(first, int(ids.max(initial=-1)) + 1)
        if result.mask.refresh or first < 0:
            # The first objects that are seen are all there already, also where masks change while a camera runs.
            return
        self._entered *= ENTRY_MEMORY
        new = ids >= first
        if new.any():
            self._entered += self.tiling.grid.cover(result.detections.boxes[new], self.tiling.image_wh)

    def reset(self) -> None:
        """The next frame is a refresh frame: everything is looked at."""
        self.looks, self._next_id, self._since_small, self._since_whole = (), -1, 0, 0
        self._wide, self._runs_whole = 0.0, False
        self.ages[:] = 0

    def _weigh(self, context: MaskContext) -> tuple[np.ndarray, float, np.ndarray]:
        """What the choice depends on.

        Returns:
            What each object is worth to each window, float64 [windows, objects]; what the large ones are worth to the
            small image; and the weight of each region, float64 [rows, cols], of an age of one look.
        """
        weight: np.ndarray = np.ones(self.ages.shape)
        if context.frame_view is not None:
            weight += CHANGE_WEIGHT * context.frame_view.change
        weight += ENTRY_WEIGHT * self._entered / max(self._entered.max(), 1.0)
        tracks, large_worth = context.tracks, 0.0
        worth: np.ndarray = np.zeros((len(self.windows), len(tracks)))
        if len(tracks):
            boxes, (width, height) = tracks.extrapolate(context.frame), self.tiling.image_wh
            boxes = np.clip(boxes, 0.0, np.array([width, height, width, height], np.float64))
            weight[context.grid.cover(boxes, self.tiling.image_wh)] = 0.0
            ages = (context.frame - tracks.last_observed) / self.period
            shown = covered_fraction(boxes, self._bounds).T >= SHOWN_SHARE
            length = (boxes[:, 2:] - boxes[:, :2]) / np.array(self.tiling.window_wh)
            large = (length.max(axis=1) > LARGE_SHARE) | ~shown.any(axis=0)
            worth = np.where(large, 0.0, shown * ages)
            large_worth = float(ages[large].sum())
        # Regions that are weighed more than others count instead of others, not on top of them.
        weight *= REGION_WEIGHT / max(weight.mean(), 1e-9) / self._regions[0].sum()
        return worth, large_worth, weight


def make_windows(tiling: Tiling) -> tuple[Look, ...]:
    """The windows of a tile's shape that a rolling schedule chooses from, the tiles among them.

    Args:
        tiling: The tiles.

    Returns:
        The looks, row by row.
    """
    places = []
    for i in (0, 1):
        image, window = float(tiling.image_wh[i]), tiling.window_wh[i]
        count = math.ceil((image - window) / window * STEPS - 1e-9)
        fine = [j * (image - window) / max(count, 1) for j in range(count + 1)]
        tiles = {look.window[i] for look in tiling.tiles}
        # A place next to a tile's would be the same window once more.
        places.append(sorted(tiles | {place for place in fine if min(abs(place - tile) for tile in tiles) > 1.0}))
    width, height = tiling.window_wh
    windows = {whole_pixels((x, y, x + width, y + height), tiling.image_wh) for y in places[1] for x in places[0]}
    windows |= {tile.window for tile in tiling.tiles}
    return tuple(Look(window, tiling.tile_wh) for window in sorted(windows, key=lambda window: window[1::-1]))


def find_rolling(sources: Iterable[MaskSource]) -> RollingSource | None:
    """The rolling schedule among mask sources; None without one."""
    return next((source for source in sources if isinstance(source, RollingSource)), None)


def choose_window(value: np.ndarray, regions: np.ndarray, ages: np.ndarray, bound: int) -> int:
    """Chooses the next window.

    Args:
        value: float64 [windows], what each is worth.
        regions: bool [windows, rows, cols], what each observes.
        ages: int64 [rows, cols], frames since a region was observed.
        bound: Age from which on a region is due.

    Returns:
        Index of the window: the one that is worth most or, if a region is due, the one that is worth most among those
        that observe the oldest.
    """
    if ages.max() >= bound:
        row, col = np.unravel_index(np.argmax(ages), ages.shape)
        value = np.where(regions[:, row, col], value, -1.0)
    return int(np.argmax(value))
