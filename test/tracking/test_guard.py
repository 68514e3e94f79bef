"""Laws of the guard: it shortens where predictions fail, lengthens where they hold, and does not oscillate."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.detections import Detections
from regionmask_ros.tracking.guard import MAX_HORIZON, MAX_PATIENCE, Agreement, Guard, compare
from regionmask_ros.tracking.tracker import Tracks, associate

LEAST = st.floats(0.5, 0.95)
EVERYTHING = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 40)), max_size=60)
"""Shares that hold, and sums of scores."""


def run(state: Guard, outcomes, least: float, period: int = MAX_HORIZON) -> list[Guard]:
    """The states after each comparison, all made at the frame that the guard asks for."""
    states = []
    for share, total in outcomes:
        state = state.update(Agreement(share * total, total), state.limit(period), least)
        states.append(state)
    return states


@given(EVERYTHING, LEAST, st.integers(1, 40))
def test_the_period_stays_between_one_and_the_schedules(outcomes, least, period):
    states = run(Guard(), outcomes, least, period)
    assert all(1 <= state.limit(period) <= period for state in states)
    assert all(0.0 <= state.held_share <= 1.0 and 1 <= state.patience <= MAX_PATIENCE for state in states)
    assert states == run(Guard(), outcomes, least, period), "equal evidence, equal schedule"


@given(EVERYTHING, LEAST, st.integers(1, 40), st.floats(4, 40))
def test_failed_predictions_lead_to_every_frame(outcomes, least, period, total):
    before = [Guard(), *run(Guard(), outcomes, least, period)][-1]
    states = run(before, [(0.0, total)] * 12, least, period)
    assert [state.limit(period) for state in states[-4:]] == [1] * 4, "earlier evidence is forgotten by then"


@given(EVERYTHING, LEAST, st.integers(1, 40))
def test_predictions_that_hold_again_bring_the_whole_schedule_back(outcomes, least, period):
    before = [Guard(), *run(Guard(), outcomes, least, period)][-1]
    assert run(before, [(1.0, 8.0)] * (3 * MAX_PATIENCE), least, period)[-1].limit(period) == period


def test_a_steady_scene_has_its_whole_schedule_after_four_comparisons():
    assert [state.limit(9) for state in run(Guard(), [(1.0, 5.0)] * 4, 0.8, 9)] == [2, 4, 8, 9]


def test_a_guard_does_not_oscillate():
    """Predictions hold for one frame, and never for two."""
    state, periods = Guard(), []
    for _ in range(200):
        periods.append(state.limit(9))
        share = 1.0 if periods[-1] == 1 else 0.0
        state = state.update(Agreement(20 * share, 20.0), periods[-1], 0.8)
    assert max(periods) == 2 and periods[-100:].count(2) <= 100 // MAX_PATIENCE


def test_one_weak_object_decides_nothing():
    long = Guard(horizon=9)
    assert long.update(Agreement(0.0, 0.3), 9, 0.75).horizon >= 9
    assert long.update(Agreement(0.0, 6.0), 9, 0.75).horizon == 1, "six strong ones do"


def test_the_new_period_is_what_a_steady_loss_allows():
    """Half of the predictions hold over eight frames: seven tenths hold over four."""
    state = Guard(horizon=8).update(Agreement(500.0, 1000.0), 8, 0.7)
    assert state.horizon == 4 and state.patience == 2 and state.held == 0.0


def known(*boxes, scores=0.75) -> Tracks:
    tracks, _ = associate(Tracks.none(), detections_of(*boxes, scores=scores), np.ones(len(boxes), bool), 0)
    return tracks


def test_boxes_are_compared_where_they_are_predicted():
    one, other, far = [10, 10, 50, 90], [200, 10, 240, 90], [400, 10, 440, 90]
    tracks, both = known(one, other), np.ones(2, bool)
    assert compare(tracks, both, detections_of(one, other, scores=0.75)) == Agreement(3.0, 3.0)
    assert compare(tracks, both, detections_of(one, far, scores=0.75)) == Agreement(1.5, 3.0)
    shifted = [30, 10, 70, 90]
    assert compare(tracks, both, detections_of(shifted, other, scores=0.75)).held == 1.5, "half a box away"
    assert compare(tracks, both, Detections.empty()) == Agreement(0.0, 1.5)
    assert compare(Tracks.none(), np.zeros(0, bool), Detections.empty()) == Agreement(0.0, 0.0)


def test_another_class_is_another_object_and_a_remembered_one_is_not_missed():
    box = [10, 10, 50, 90]
    tracks = known(box)
    other = Detections(np.array([box], np.float32), np.array([0.75], np.float32), np.array([5]))
    assert compare(tracks, np.ones(1, bool), other).held == 0.0
    hidden = np.zeros(1, bool)
    assert compare(tracks, hidden, Detections.empty()) == Agreement(0.0, 0.0)
    again = compare(tracks, hidden, detections_of(box, scores=0.75))
    assert again.held == again.total == 0.75, "it explains what is found where it was"
