"""Presets for the tile engine: which regions they observe, frame by frame."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.core.result import RegionMask
from regionmask_ros.mask.schedule import OBJECTS, PRESETS, PresetOverrides
from regionmask_ros.mask.source import MaskContext
from regionmask_ros.mask.tile_schedule import (
    BLOCK,
    CHANGE_WEIGHT,
    FEWEST_HITS,
    PATIENCE,
    ROLLING,
    TILE_PRESETS,
    RollingRefresh,
    TileSchedule,
    TrackedObjects,
    find_due,
    make_tile_sources,
    select_blocks,
    tile_schedule,
)
from regionmask_ros.tracking.tracker import Tracks, make_arrays

GRID, IMAGE_WH = RegionGrid(12, 20), (640, 384)


class View:
    """A frame in which given shares of the regions change."""

    def __init__(self, change):
        self.change = change


class Seen:
    """A result of a frame with this mask."""

    def __init__(self, keep):
        self.mask = RegionMask(keep, {}, refresh=False)


def context(frame, change=None):
    return MaskContext(Detections.empty(), GRID, IMAGE_WH, frame, None if change is None else View(change), frame)


def play(source, frames, change=None):
    """Frames in which only this source observes; returns what it observed in each but the first."""
    masks = []
    for frame in range(frames):
        keep = source.propose(context(frame, change))
        assert (keep is None) == (frame == 0)
        source.observe(Seen(GRID.full(True) if keep is None else keep))
        masks.append(keep)
    return masks[1:]


def test_there_is_a_schedule_for_every_preset_and_each_observes_objects_and_the_rest_in_turn():
    assert TILE_PRESETS.keys() == PRESETS.keys()
    for schedule in TILE_PRESETS.values():
        assert [source.name for source in make_tile_sources(schedule)] == [OBJECTS, ROLLING]
    assert [schedule.level for schedule in TILE_PRESETS.values()] == [0, 1, 2]


def test_overrides_replace_active_and_idle_frames():
    schedule = tile_schedule("balanced", PresetOverrides(active_frames=3, idle_frames=2))
    assert (schedule.active_frames, schedule.idle_frames) == (3, 2)
    assert [schedule.is_idle(frame) for frame in range(6)] == [False, False, False, True, True, False]


def test_a_guard_limits_idle_frames_to_those_for_which_predictions_hold():
    schedule = TileSchedule(1, share=0.5, idle_frames=3)
    assert [schedule.limited(horizon, 0.1).idle_frames for horizon in (1, 2, 3, 4, 64)] == [0, 1, 2, 3, 3]
    assert schedule.limited(0, 0.1) is schedule, "there is no guard"
    for source in make_tile_sources(schedule):
        source.propose(context(0))
        observed = [bool(source.propose(replace(context(frame), horizon=2, tracks=objects([5]))).any())
                    for frame in range(1, 7)]
        assert observed == [False, True] * 3


@given(st.integers(0, 9), st.integers(0, 12), st.floats(0.0, 3.0), st.floats(0.01, 2.0))
def test_slow_cameras_have_as_many_idle_frames_as_time_allows(idle, horizon, interval_s, longest_s):
    schedule = TileSchedule(1, idle_frames=idle, longest_s=longest_s)
    now = schedule.limited(horizon, interval_s).idle_frames
    assert 0 <= now <= idle and (not horizon or now < horizon)
    assert now == 0 or (now + 1) * interval_s <= longest_s * (1 + 1e-9)
    if now < min(idle, horizon - 1 if horizon else idle):
        assert (now + 2) * interval_s > longest_s * (1 - 1e-9), "one more would be too long"


def test_idle_frames_that_the_user_asks_for_come_at_any_rate():
    assert tile_schedule("balanced", PresetOverrides()).limited(0, 1.0).idle_frames == 0
    assert tile_schedule("balanced", PresetOverrides(idle_frames=2)).limited(0, 1.0).idle_frames == 2


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5])
def test_without_change_the_refresh_reaches_every_region_in_one_over_share_frames(share):
    blocks = (GRID.rows // BLOCK) * (GRID.cols // BLOCK)
    each = max(1, math.ceil(share * blocks))
    frames = -(-blocks // each)
    masks = play(RollingRefresh(TileSchedule(1, share=share)), 2 * frames + 1)
    for first in (0, frames):
        assert np.logical_or.reduce(masks[first:first + frames]).all()
    assert all(keep.sum() == each * BLOCK * BLOCK for keep in masks)


def test_what_changes_is_refreshed_sooner():
    change = np.zeros(GRID.shape, np.float32)
    change[:BLOCK, :BLOCK] = 1.0
    observed = np.sum(play(RollingRefresh(TileSchedule(1, share=0.1)), 101, change), axis=0)
    assert observed[0, 0] > 2 * observed[-1, -1] > 0


@given(st.integers(0, 2 ** 32 - 1), st.floats(0.01, 0.6), st.integers(0, 2))
def test_no_region_waits_for_more_than_three_rounds_whatever_changes(seed, share, idle_frames):
    rng, schedule = np.random.default_rng(seed), TileSchedule(1, share=share, idle_frames=idle_frames)
    source, age = RollingRefresh(schedule), np.zeros(GRID.shape, int)
    busy = rng.random(GRID.shape) < rng.random()
    most = (PATIENCE + 1) * schedule.frames_a_round((GRID.rows // BLOCK) * (GRID.cols // BLOCK))
    for frame in range(6 * math.ceil(most)):
        keep = source.propose(context(frame, (busy * rng.random(GRID.shape)).astype(np.float32)))
        keep = (GRID.full(True) if keep is None else keep) | (rng.random(GRID.shape) < 0.01)
        source.observe(Seen(keep))
        age = np.where(keep, 0, age + 1)
        assert age.max() <= most


def objects(hits):
    """Objects side by side that were observed so often."""
    arrays = make_arrays(len(hits))
    tracks = Tracks.of(arrays, len(hits), 0)
    for array in arrays:
        array[:] = 0
    tracks.ids[:], tracks.hits[:] = 3 + np.arange(len(hits)), hits
    tracks.predicted_boxes[:] = 64 * np.arange(len(hits))[:, None] + [8, 200, 24, 216]
    return tracks


@given(st.lists(st.integers(1, 9), max_size=9), st.integers(1, 4), st.integers(0, 1000))
def test_known_objects_take_turns_and_new_ones_are_always_due(hits, period, first):
    tracks = objects(hits)
    turns = np.sum([find_due(tracks, first + frame, period) for frame in range(period)], axis=0)
    assert turns.tolist() == [period if count < FEWEST_HITS else 1 for count in hits]


def test_objects_take_turns_in_active_frames():
    source, tracks = TrackedObjects(TileSchedule(1, idle_frames=1, object_period=2)), objects([5, 5])
    covered = [source.propose(replace(context(frame), tracks=tracks)) for frame in range(5)]
    assert covered[0] is None and not covered[1].any() and not covered[3].any()
    leftmost = [np.flatnonzero(covered[frame].any(axis=0))[0] for frame in (2, 4)]
    # Regions have 32 pixels: the objects lie in columns 0 and 2.
    assert sorted(leftmost) == [0, 1]


def test_in_idle_frames_nothing_is_observed():
    schedule = TileSchedule(2, share=0.2, idle_frames=1)
    for source in make_tile_sources(schedule):
        source.propose(context(0))
        assert source.propose(context(1)).sum() == 0
        assert source.propose(context(2)) is not None


def test_after_a_reset_the_next_frame_is_a_first_frame():
    source = RollingRefresh(TileSchedule(1, share=0.2))
    play(source, 5)
    source.reset()
    assert source.propose(context(7)) is None


@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=13), elements=st.integers(0, 1000)),
       st.floats(0, 1), st.integers(0))
def test_the_blocks_of_the_highest_worth_are_selected_whole(ages, share, seed):
    changes = np.random.default_rng(seed).random(ages.shape, np.float32)
    keep, worth = select_blocks(ages, changes, np.inf, share), (1.0 + ages) * (1.0 + CHANGE_WEIGHT * changes)
    assert keep.shape == worth.shape
    totals = {}
    for (row, col), value in np.ndenumerate(worth):
        totals.setdefault((row // BLOCK, col // BLOCK), []).append(value)
        assert keep[row, col] == keep[row // BLOCK * BLOCK, col // BLOCK * BLOCK]
    chosen = {place for place in totals if keep[place[0] * BLOCK, place[1] * BLOCK]}
    assert len(chosen) == min(len(totals), max(1, math.ceil(share * len(totals))))
    least = min(sum(totals[place]) for place in chosen)
    assert all(sum(values) <= least * (1 + 1e-9) + 1e-9 for place, values in totals.items() if place not in chosen)
