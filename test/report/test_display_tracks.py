"""Laws of the display: what is shown is steady, does not lag, and has the published numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.detections import UNTRACKED, Detections
from regionmask_ros.report.display_tracks import (
    CONFIRMING_HITS,
    LARGEST_LAG,
    MEMORY_FRAMES,
    MISSED_FRAMES,
    RESTING_FRAMES,
    STICK,
    Certainty,
    DisplayTracks,
    ShownObject,
)

SIZE_WH = (640, 480)
PERIOD_NS = 40_000_000
PERSON, CAR = 0, 2

Row = tuple[tuple[float, float, float, float], int, int]
"""Box, class and number of the track."""

HERE = (100.0, 100.0, 140.0, 200.0)
THERE = (400.0, 100.0, 440.0, 200.0)


def detections(*rows: Row, score: float = 0.6, resting: bool = False) -> Detections:
    boxes = np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(len(rows), score, np.float32), np.array([kind for _, kind, _ in rows], np.int32),
                      np.array([track for _, _, track in rows], np.int64), np.full(len(rows), resting))


def show(*frames: Detections, tracks: DisplayTracks | None = None, first: int = 0) -> list[tuple[ShownObject, ...]]:
    tracks = DisplayTracks() if tracks is None else tracks
    return [tracks.update(found, SIZE_WH, index, index * PERIOD_NS) for index, found in enumerate(frames, first)]


def confirmed(*rows: Row) -> list[Detections]:
    return [detections(*rows)] * CONFIRMING_HITS


NOTHING = detections()


def test_an_object_is_confirmed_by_observations_and_not_by_frames_in_which_it_rests():
    seen, rests = detections((HERE, PERSON, 4)), detections((HERE, PERSON, 4), resting=True)
    shown = show(seen, rests, rests, *[seen] * (CONFIRMING_HITS - 1))
    assert [one.certainty for (one,) in shown] == [Certainty.TENTATIVE] * (CONFIRMING_HITS + 1) + [Certainty.FOUND]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8, unique=True))
def test_the_numbers_are_those_of_the_detections(numbers):
    rows = [((70.0 * i, 100.0, 70.0 * i + 40.0, 200.0), PERSON, number) for i, number in enumerate(numbers)]
    for shown in show(*confirmed(*rows), detections(*rows[::-1])):
        assert [one.track_id for one in shown] == numbers, "their order stays, too"


def test_a_miss_is_bridged_where_the_object_should_be():
    frames = [detections(((100.0 + 3 * i, 100.0, 140.0 + 3 * i, 200.0), PERSON, 7)) for i in range(40)]
    shown = show(*frames, *[NOTHING] * (MISSED_FRAMES + 1))
    assert [one.certainty for row in shown[40:] for one in row] == [Certainty.PREDICTED] * MISSED_FRAMES
    assert shown[-1] == ()
    for after, row in enumerate(shown[40:-1]):
        assert row[0].box[0] == pytest.approx(100 + 3 * (40 + after), abs=4)


def test_one_false_detection_is_never_more_than_tentative_and_leaves_no_trace():
    shown = show(*confirmed((HERE, PERSON, 1)), detections((HERE, PERSON, 1), (THERE, CAR, 2)),
                 *confirmed((HERE, PERSON, 1)))
    assert {one.certainty for row in shown for one in row if one.class_id == CAR} == {Certainty.TENTATIVE}
    assert [len(row) for row in shown] == [1] * CONFIRMING_HITS + [2] + [1] * CONFIRMING_HITS


def test_an_object_that_comes_back_in_time_is_still_confirmed():
    shown = show(*confirmed((HERE, PERSON, 1)), *[NOTHING] * (MEMORY_FRAMES - 1), detections((HERE, PERSON, 1)))
    assert shown[-1][0].certainty is Certainty.FOUND


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 6.0))
def test_the_corners_of_a_resting_object_that_jitters_move_less_than_detected(seed, jitter):
    noise = np.random.default_rng(seed).normal(0.0, jitter, (60, 4))
    boxes = np.array([200.0, 100.0, 300.0, 400.0]) + noise
    shown = np.array([row[0].box for row in show(*[detections((tuple(box), PERSON, 1)) for box in boxes])])
    assert shown[5:].std(axis=0).mean() < 0.75 * boxes[5:].std(axis=0).mean()
    steps = [np.abs(np.diff(corners, axis=0)).mean() for corners in (shown, boxes)]
    assert steps[0] < 0.5 * steps[1]


@given(st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.8, 1.25)), min_size=1, max_size=30))
def test_a_shown_corner_is_never_further_from_the_detected_one_than_the_bound(steps):
    x, y, size, boxes = 320.0, 240.0, 80.0, []
    for dx, dy, growth in steps:
        x, y = min(max(x + dx, 100.0), 540.0), min(max(y + dy, 100.0), 380.0)
        size = min(max(size * growth, 20.0), 150.0)
        boxes.append((x - size / 2, y - size / 2, x + size / 2, y + size / 2))
    for (one,), box in zip(show(*[detections((box, PERSON, 1)) for box in boxes]), boxes):
        side = box[2] - box[0]
        assert np.abs(np.array(one.box) - box).max() <= LARGEST_LAG * side + STICK + 0.5 + 1e-3


def test_a_class_that_changes_for_a_frame_and_back_does_not_change_the_display():
    person, car = detections((HERE, PERSON, 1)), detections((HERE, CAR, 2))
    shown = show(*[person] * CONFIRMING_HITS, car, person, car, person)
    assert {one.class_id for row in shown for one in row} == {PERSON} and {len(row) for row in shown} == {1}


def test_an_object_under_a_new_number_takes_the_place_of_the_old_one_without_a_gap():
    shown = show(*confirmed((HERE, PERSON, 1)), *[detections((HERE, PERSON, 9))] * 6)
    numbers = [one.track_id for row in shown for one in row]
    assert len(numbers) == len(shown) and [a for a, b in pairwise([*numbers, -1]) if a != b] == [1, 9]
    assert Certainty.TENTATIVE not in [one.certainty for row in shown[CONFIRMING_HITS:] for one in row]


def test_two_objects_in_one_place_are_both_shown_when_both_are_detected():
    rows = (HERE, PERSON, 1), (HERE, CAR, 2)
    assert [len(row) for row in show(*confirmed(*rows))] == [2] * CONFIRMING_HITS


def test_a_shown_object_stays_when_another_one_in_its_place_is_missed():
    beside = (110.0, 100.0, 150.0, 200.0)
    shown = show(*confirmed((HERE, PERSON, 1), (beside, PERSON, 2)), detections((beside, PERSON, 2)))
    assert [(one.track_id, one.certainty) for one in shown[-1]] == [(1, Certainty.PREDICTED), (2, Certainty.FOUND)]


def test_only_long_rest_is_shown_as_predicted():
    rests = detections((HERE, PERSON, 1), resting=True)
    shown = show(*confirmed((HERE, PERSON, 1)), *[rests] * (RESTING_FRAMES + 1))
    assert [row[0].certainty for row in shown[-2:]] == [Certainty.FOUND, Certainty.PREDICTED]


def test_without_tracks_the_same_object_is_found_by_overlap():
    frames = [detections(((100.0 + 5 * i, 100.0, 140.0 + 5 * i, 200.0), PERSON, UNTRACKED), (THERE, CAR, UNTRACKED))
              for i in range(10)]
    shown = show(*frames, NOTHING, frames[-1])
    keys = [[one.key for one in row] for row in shown]
    assert keys == [keys[0]] * len(shown)
    assert all(one.track_id == UNTRACKED for row in shown for one in row)
    assert shown[-1][0].certainty is Certainty.FOUND


@given(st.lists(st.floats(0.47, 0.58), min_size=30, max_size=30))
def test_a_score_that_flickers_is_shown_steadily(scores):
    shown = show(*[detections((HERE, PERSON, UNTRACKED), score=score) for score in [0.53, *scores]])
    assert {row[0].score for row in shown} == {0.5}


@pytest.mark.parametrize(("size_wh", "index", "stamp_ns"), [
    ((320, 240), 3, 3 * PERIOD_NS), (SIZE_WH, 3, 0), (SIZE_WH, 1, 3 * PERIOD_NS),
    (SIZE_WH, 4 + MEMORY_FRAMES, 3 * PERIOD_NS),
])
def test_a_jump_begins_anew(size_wh, index, stamp_ns):
    tracks = DisplayTracks()
    (before,) = show(*confirmed((HERE, PERSON, 1)), tracks=tracks)[-1]
    (after,) = tracks.update(detections((HERE, PERSON, 1)), size_wh, index, stamp_ns)
    assert (before.certainty, after.certainty) == (Certainty.FOUND, Certainty.TENTATIVE)


@pytest.mark.parametrize("other", [(THERE, PERSON, 1), (HERE, CAR, 1)])
def test_a_number_that_a_tracker_gives_once_more_is_another_object(other):
    shown = show(*confirmed((HERE, PERSON, 1)), detections(other))
    assert [one.certainty for one in shown[-1]] == [Certainty.TENTATIVE]


boxes = st.tuples(st.floats(-50, 600), st.floats(-50, 450), st.floats(0, 300), st.floats(0, 300)).map(
    lambda value: (value[0], value[1], value[0] + value[2], value[1] + value[3]))
rows = st.lists(st.tuples(boxes, st.integers(0, 2), st.integers(-1, 4)), max_size=6,
                unique_by=lambda row: row[2] if row[2] >= 0 else object())


@given(st.lists(rows, max_size=12))
def test_whatever_comes_boxes_are_inside_the_image_and_little_is_remembered(frames):
    tracks = DisplayTracks()
    first, again = (show(*[detections(*one) for one in frames], tracks=state) for state in (tracks, DisplayTracks()))
    assert first == again, "it depends on nothing else"
    for shown in first:
        assert len({one.key for one in shown}) == len(shown)
        for x0, y0, x1, y1 in (one.box for one in shown):
            assert 0 <= x0 < x1 <= SIZE_WH[0] and 0 <= y0 < y1 <= SIZE_WH[1]
    show(*[NOTHING] * (MEMORY_FRAMES + 1), tracks=tracks, first=len(frames))
    assert len(tracks) == 0
