"""Rolling tiles: whatever the priorities, no region grows old; objects, large objects and the guard decide the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.core.boxes import covered_fraction
from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.rolling import AGE_BOUND, RollingSource, choose_window, make_windows
from regionmask_ros.mask.source import MaskContext
from regionmask_ros.mask.tiling import Tiling, make_tiling
from regionmask_ros.tracking.tracker import Tracks, update_tracks

WH = (1280, 704)
GRID = RegionGrid.of_input(WH)


def tiling_of(cols: int, rows: int) -> Tiling:
    return make_tiling(WH, WH, GRID, (cols, rows), 32)


def tracked(*boxes: tuple[float, ...], frames: int = 2) -> Tracks:
    """Objects that were found in each of some frames."""
    tracks, count = Tracks.none(), len(boxes)
    found = Detections(np.array(boxes, np.float32).reshape(-1, 4), np.full(count, 0.9, np.float32),
                       np.zeros(count, np.int32))
    for frame in range(frames):
        tracks, _ = update_tracks(tracks, found, GRID.full(True), WH, frame, None)
    return tracks


def context(frame: int, tracks: Tracks | None = None, horizon: int = 0) -> MaskContext:
    return MaskContext(Detections.empty(), GRID, WH, frame, since_refresh=frame, tracks=tracks or Tracks.none(),
                       horizon=horizon)


@settings(max_examples=25)
@given(st.sampled_from([(5, 1), (3, 2), (2, 2), (1, 1)]), st.integers(0, 2**32 - 1))
def test_no_region_is_older_than_the_bound_whatever_the_priorities(tiles, seed):
    rng, tiling = np.random.default_rng(seed), tiling_of(*tiles)
    windows = make_windows(tiling)
    regions = np.stack([tiling.regions_of(window) for window in windows])
    ages, bound, favorite = np.zeros(GRID.shape, np.int64), AGE_BOUND * len(tiling.tiles), rng.integers(len(windows))
    for _ in range(3 * bound):
        ages += 1
        value = rng.random(len(windows))
        value[favorite] += rng.choice([0.0, 1e9])
        ages[regions[choose_window(value, regions, ages, bound)]] = 0
        assert ages.max() <= bound + len(windows)


@given(st.integers(1, 6), st.integers(1, 4))
def test_the_windows_contain_the_tiles_lie_inside_and_show_every_region(cols, rows):
    tiling = tiling_of(cols, rows)
    windows = make_windows(tiling)
    assert {tile.window for tile in tiling.tiles} <= {window.window for window in windows}
    places = np.array([window.window for window in windows])
    assert (places[:, :2] >= 0).all() and (places[:, 2:] <= np.array(WH) + 1e-9).all()
    assert np.any([tiling.regions_of(window) for window in windows], axis=0).all()
    assert len({window.input_wh for window in windows}) == 1, "one shape, for runtimes that compile"


def test_a_refresh_frame_shows_everything_and_then_each_frame_one_window():
    source = RollingSource(tiling_of(5, 1), 1)
    assert source.propose(context(0)) is None and source.looks == source.entries
    seen = GRID.full(False)
    for frame in range(1, 12):
        keep = source.propose(context(frame))
        assert len(source.looks) == 1 and keep.any() and not keep.all()
        seen |= keep
    assert seen.all()


def test_a_longer_period_leaves_frames_without_a_look():
    source = RollingSource(tiling_of(5, 1), 3)
    source.propose(context(0))
    counts = []
    for frame in range(1, 10):
        keep = source.propose(context(frame))
        counts.append(len(source.looks))
        assert keep.any() == (counts[-1] == 1)
    assert counts == [0, 0, 1] * 3


def test_objects_are_looked_at_more_often_than_what_is_empty_and_are_never_cut():
    source, tracks = RollingSource(tiling_of(5, 1), 1), tracked((310, 300, 370, 420))
    source.propose(context(0))
    shown = 0
    for frame in range(1, 41):
        source.propose(context(frame, replace_last_seen(tracks, frame - 1)))
        share = covered_fraction(tracks.observed_boxes, np.array([look.window for look in source.looks]))
        shown += bool((share > 0.99).any())
    assert shown > 40 / 5


def replace_last_seen(tracks: Tracks, frame: int) -> Tracks:
    """The same objects, not found again since; they do not move."""
    return tracks.at(max(frame, tracks.last_frame), tracks.predicted_boxes, tracks.last_detected)


@pytest.mark.parametrize("horizon, looks", [(0, 1), (64, 1), (5, 1), (3, 2), (2, 3), (1, 5)])
def test_the_shorter_predictions_hold_the_more_windows_a_frame_runs(horizon, looks):
    source = RollingSource(tiling_of(5, 1), 1)
    source.propose(context(0))
    for frame in range(1, 6):
        keep = source.propose(context(frame, horizon=horizon))
        assert len(source.looks) == looks
    assert keep.all() == (looks == 5)


def test_while_large_objects_prevail_the_whole_image_is_run_now_and_then():
    large, small = tracked((100, 50, 420, 700), (700, 50, 1000, 700)), tracked((100, 50, 140, 150))
    source = RollingSource(tiling_of(5, 1), 1, burst=4)
    source.propose(context(0))
    for frame in range(1, 30):
        source.propose(context(frame, replace_last_seen(large, frame - 1)))
    looks = []
    for frame in range(30, 38):
        keep = source.propose(context(frame, replace_last_seen(large, frame - 1)))
        looks.append(source.looks)
        assert keep.all() == bool(source.looks)
    assert sorted(map(len, looks)) == [0] * 6 + [1] * 2 and {one for look in looks for one in look} == {
        source.tiling.whole}
    for frame in range(38, 80):
        source.propose(context(frame, replace_last_seen(small, frame - 1)))
    assert source.looks and source.looks[0].input_wh == source.tiling.tile_wh
    never = RollingSource(tiling_of(5, 1), 1)
    never.propose(context(0))
    for frame in range(1, 30):
        never.propose(context(frame, replace_last_seen(large, frame - 1)))
        assert never.tiling.whole not in never.looks


def test_a_reset_begins_with_everything():
    source = RollingSource(tiling_of(3, 2), 1)
    for frame in range(9):
        source.propose(context(frame))
    source.reset()
    assert not source.looks and not source.ages.any()
    assert source.propose(replace(context(9), since_refresh=0)) is None and len(source.looks) == 7
