from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.detection.detections import Detections
from regionmask_ros.detection.tracks import Tracks, follow
from regionmask_ros.errors import UserError
from regionmask_ros.grid import RegionGrid
from regionmask_ros.mask.policy import MaskPolicy, MaskState, decide
from regionmask_ros.mask.scheduled import BORDER, OBJECTS, Schedule, follow_threshold, scheduled

GRID, PICTURE = RegionGrid(12, 16), (256, 192)


def schedule(**other) -> Schedule:
    usual = {"tolerance": 0.25, "together": 0.7, "longest_rest": 4, "refresh_period": 8, "border_period": 0}
    return Schedule(**{**usual, **other})


def objects(*boxes) -> Detections:
    n = len(boxes)
    return Detections(np.array(boxes, np.float32).reshape(n, 4), np.full(n, 0.9, np.float32), np.zeros(n, np.int32))


def standing(looks, frame: int, box=(100, 80, 130, 140)) -> Tracks:
    """An object that was looked at in those frames, and detected in all up to ``frame - 1``."""
    tracks = Tracks.none()
    for t in range(frame):
        tracks, _ = follow(tracks, objects(box), np.array([t in looks]), t)
    return tracks


def test_a_new_object_is_due_at_once_and_a_known_one_rests():
    new = standing({0}, 1)
    assert scheduled(schedule(), new, 1, GRID, PICTURE)[OBJECTS].any()
    known = standing(set(range(20)), 20)
    assert not scheduled(schedule(), known, 20, GRID, PICTURE)[OBJECTS].any()
    still_there = standing(set(range(20)), 24)
    assert scheduled(schedule(), still_there, 24, GRID, PICTURE)[OBJECTS].any(), "nobody rests longer than asked"
    assert scheduled(schedule(tolerance=0.0), known, 20, GRID, PICTURE)[OBJECTS].any()


def test_those_that_are_nearly_due_go_along():
    tracks = standing(set(range(20)), 20)
    second = objects((100, 80, 130, 140), (10, 10, 40, 50))
    tracks, _ = follow(tracks, second, np.array([False, True]), 20)
    alone = scheduled(schedule(together=1.0), tracks, 21, GRID, PICTURE)[OBJECTS]
    both = scheduled(schedule(together=0.2), tracks, 21, GRID, PICTURE)[OBJECTS]
    assert alone.any() and both.sum() > alone.sum() and both[alone].all()


def test_an_object_that_is_gone_is_not_looked_for():
    gone, _ = follow(standing(set(range(20)), 20), Detections.empty(), np.zeros(0, bool), 20)
    gone, _ = follow(gone, Detections.empty(), np.zeros(0, bool), 21)
    assert len(gone) == 1 and not scheduled(schedule(tolerance=0.0), gone, 22, GRID, PICTURE)[OBJECTS].any()


def test_a_weak_newcomer_is_tried_some_times_and_then_dropped():
    weak, tried = Detections(np.array([[100, 80, 130, 140]], np.float32), np.array([0.3], np.float32),
                             np.zeros(1, np.int32)), schedule(tolerance=0.0, trial_looks=2, steer_threshold=0.4)
    tracks, attended = Tracks.none(), []
    for t in range(5):
        tracks, _ = follow(tracks, weak, np.array([t == 0 or attended[-1]]), t)
        attended.append(bool(scheduled(tried, tracks, t + 1, GRID, PICTURE)[OBJECTS].any()))
    assert attended == [True, True, False, False, False]
    assert follow_threshold(tried) == 0.2 and follow_threshold(schedule(steer_threshold=0.4)) == 0.4


def test_in_a_pause_all_rest_but_those_that_are_fast():
    tracks = Tracks.none()
    for t in range(31):
        both = objects((20, 20, 50, 60), (20 + 6 * t, 100, 50 + 6 * t, 140))
        tracks, _ = follow(tracks, both, np.array([True, True]), t)

    def attended(**other) -> np.ndarray:
        always = schedule(tolerance=0.0, pause_period=2, border_period=1, **other)
        return np.logical_or.reduce(list(scheduled(always, tracks, 31, GRID, PICTURE).values()))

    assert not attended().any(), "frame 31 is a pause: no border either"
    fast = attended(pause_shift=0.1)
    assert fast.any() and not fast[:4].any(), "only the lower one moves by a fifth of its size a frame"
    assert attended(pause_shift=0.0)[:4].any()
    running = schedule(tolerance=0.0, pause_period=3)
    assert scheduled(running, tracks, 31, GRID, PICTURE)[OBJECTS][:4].any(), "frame 31 is no pause of every third"


def test_the_border_has_a_beat_of_its_own():
    for frame in range(1, 9):
        border = scheduled(schedule(border_period=3), Tracks.none(), frame, GRID, PICTURE)[BORDER]
        assert border.sum() == (52 if frame % 3 == 0 else 0)


def test_a_budget_is_kept_and_the_least_known_come_first():
    tracks = standing(set(range(20)), 24)
    tracks, _ = follow(tracks, objects((100, 80, 130, 140), (10, 10, 40, 50)), np.array([False, True]), 24)
    whole = scheduled(schedule(together=0.1), tracks, 25, GRID, PICTURE)[OBJECTS]
    tight = scheduled(schedule(together=0.1, most_attended=0.12), tracks, 25, GRID, PICTURE)[OBJECTS]
    assert tight.mean() <= 0.12 < whole.mean() and tight.any() and whole[tight].all()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 6), st.integers(1, 9), st.integers(0, 4),
       st.floats(0.05, 1))
def test_no_region_starves_longer_than_the_refresh_period(seed, tolerance, rest, period, border, most):
    rng = np.random.default_rng(seed)
    policy = MaskPolicy(GRID, PICTURE, None, None, 8, schedule(
        tolerance=tolerance, longest_rest=rest, refresh_period=period, border_period=border, most_attended=most))
    state, age = MaskState.initial(), np.zeros(GRID.shape, int)
    for frame in range(25):
        mask = decide(policy, MaskState(frame, state.last, state.tracks))
        age = np.where(mask.keep, 0, age + 1)
        assert age.max() < period and mask.refresh == (frame % period == 0)
        assert mask.refresh or mask.keep.sum() <= max(1, most * mask.keep.size)
        corner = rng.uniform(0, 200, (rng.integers(0, 5), 2))
        found = objects(*np.hstack([corner, corner + rng.uniform(8, 60, corner.shape)]))
        tracks, _ = follow(state.tracks, found, rng.random(len(found)) < 0.5, frame)
        state = MaskState(frame + 1, found, tracks)


@pytest.mark.parametrize("wrong, said", [
    ({"longest_rest": 0}, "longest_rest 0 is below 1"), ({"refresh_period": 0}, "refresh_period 0"),
    ({"together": 1.5}, "together 1.5"), ({"tolerance": float("nan")}, "tolerance nan"), ({"ring": -1}, "ring -1"),
    ({"pause_shift": -1.0}, "pause_shift -1.0"),
    ({"most_attended": -0.1}, "most_attended"), ({"steer_threshold": 2.0}, "steer_threshold 2.0"),
])
def test_schedules_that_make_no_sense(wrong, said):
    with pytest.raises(UserError, match=said):
        schedule(**wrong)
