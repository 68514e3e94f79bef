from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid, is_observed
from regionmask_ros.errors import UserError
from regionmask_ros.mask.composer import MaskComposer
from regionmask_ros.mask.schedule import BORDER, OBJECTS, Schedule, ScheduleBudget, ScheduledBorder, ScheduledObjects
from regionmask_ros.mask.source import MaskContext
from regionmask_ros.tracking.motion import OpticalFlow, downsample
from regionmask_ros.tracking.tracker import Tracks, associate, predict, update_tracks

GRID, IMAGE_WH = RegionGrid(12, 16), (256, 192)


def schedule(**other) -> Schedule:
    return Schedule(**{"refresh_period": 8, **other})


def composer(plan: Schedule) -> MaskComposer:
    sources = objects_due, _ = ScheduledObjects(plan), ScheduledBorder(plan)
    return MaskComposer(GRID, IMAGE_WH, sources, plan.refresh_period, ScheduleBudget(plan, objects_due))


def context(tracks: Tracks, frame: int) -> MaskContext:
    return MaskContext(Detections.empty(), GRID, IMAGE_WH, frame, since_refresh=frame, tracks=tracks)


def sent(plan: Schedule, tracks: Tracks, frame: int) -> dict[str, np.ndarray]:
    """What each source observes in a frame that is not a refresh frame."""
    return composer(replace(plan, refresh_period=1000)).compose(context(tracks, frame)).sources


def standing(observed, frame: int, box=(100, 80, 130, 140)) -> Tracks:
    """An object that was observed in those frames, and detected in all up to ``frame - 1``."""
    tracks = Tracks.none()
    for t in range(frame):
        tracks, _ = associate(tracks, detections_of(box), np.array([t in observed]), t)
    return tracks


def test_an_object_is_due_when_it_has_moved_or_was_not_observed_for_long():
    patient = schedule(tolerance=0.2, max_interval=4)
    assert not sent(patient, standing({0}, 1), 1)[OBJECTS].any()
    assert not sent(patient, standing({0}, 3), 3)[OBJECTS].any()
    assert sent(patient, standing({0}, 4), 4)[OBJECTS].any(), "no object waits longer than the interval"
    assert sent(schedule(), standing({0}, 1), 1)[OBJECTS].any(), "by default every object is observed in every frame"
    tracks = standing({0}, 1)
    went = replace(tracks, predicted_boxes=tracks.predicted_boxes + np.array([15, 0, 15, 0]))
    assert sent(patient, went, 1)[OBJECTS].any(), "15 pixels of about 42"
    assert not sent(schedule(tolerance=0.5, max_interval=4), went, 1)[OBJECTS].any()


def test_an_object_is_sent_where_it_was_last_observed_too():
    tracks = standing({0}, 1)
    went = replace(tracks, predicted_boxes=tracks.predicted_boxes + np.array([90, 0, 90, 0]))
    attended = sent(schedule(), went, 1)[OBJECTS]
    for boxes in (tracks.observed_boxes, went.predicted_boxes):
        assert attended[GRID.cover(boxes, IMAGE_WH, 1)].all()
    assert not attended[:, :4].any()


def test_an_object_that_is_gone_is_not_sent():
    gone, _ = associate(standing(set(range(20)), 20), Detections.empty(), np.zeros(0, bool), 20)
    gone, _ = associate(gone, Detections.empty(), np.zeros(0, bool), 21)
    assert len(gone) == 1 and not sent(schedule(), gone, 22)[OBJECTS].any()


def test_a_weak_new_object_is_sent_a_few_times_and_then_dropped():
    weak, tried = detections_of([100, 80, 130, 140], scores=0.3), schedule(tentative_looks=2, track_threshold=0.4)
    tracks, attended = Tracks.none(), []
    for t in range(5):
        tracks, _ = associate(tracks, weak, np.array([t == 0 or attended[-1]]), t)
        attended.append(bool(sent(tried, tracks, t + 1)[OBJECTS].any()))
    assert attended == [True, True, False, False, False]
    assert tried.min_score == 0.2 and schedule(track_threshold=0.4).min_score == 0.4


def test_in_idle_frames_only_fast_objects_are_sent():
    tracks = Tracks.none()
    for t in range(31):
        both = detections_of((20, 20, 50, 60), (20 + 6 * t, 100, 50 + 6 * t, 140))
        tracks, _ = associate(predict(tracks, np.zeros(len(tracks), bool), None, t), both, np.array([True, True]), t)

    def attended(**other) -> np.ndarray:
        return np.logical_or.reduce(list(sent(schedule(border_period=1, **other), tracks, 31).values()))

    assert not attended(idle_frames=1).any(), "frame 31 is idle: no border either"
    fast = attended(idle_frames=1, idle_tolerance=0.1)
    assert fast.any() and not fast[:4].any(), "only the lower one moves by a fifth of its size a frame"
    assert attended(active_frames=2, idle_frames=1)[:4].any(), "frame 31 is no third one"
    idle = [schedule(active_frames=2, idle_frames=2).is_idle(frame) for frame in range(8)]
    assert idle == [False, False, True, True] * 2


def test_the_border_has_a_period_of_its_own():
    for frame in range(1, 9):
        border = sent(schedule(border_period=3), Tracks.none(), frame)[BORDER]
        assert border.sum() == (52 if frame % 3 == 0 else 0)


def test_a_budget_is_kept_and_the_most_urgent_objects_come_first():
    tracks = standing(set(range(20)), 24)
    tracks, _ = associate(tracks, detections_of((100, 80, 130, 140), (10, 10, 40, 50)), np.array([False, True]), 24)
    whole = sent(schedule(), tracks, 25)[OBJECTS]
    tight = sent(schedule(max_share=0.2), tracks, 25)[OBJECTS]
    assert tight.mean() <= 0.2 < whole.mean() and tight[6].any() and not tight[0].any()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 6), st.integers(1, 9), st.integers(0, 4),
       st.integers(1, 3), st.integers(0, 3), st.floats(0.05, 1))
def test_no_region_waits_longer_than_the_refresh_period(seed, tolerance, longest, period, border, active, idle, most):
    rng = np.random.default_rng(seed)
    masks = composer(schedule(
        tolerance=tolerance, max_interval=longest, refresh_period=period, border_period=border, active_frames=active,
        idle_frames=idle, max_share=most))
    tracks, age = Tracks.none(), np.zeros(GRID.shape, int)
    for frame in range(25):
        mask = masks.compose(context(tracks, frame))
        age = np.where(mask.keep, 0, age + 1)
        assert age.max() < period and mask.refresh == (frame % period == 0)
        assert mask.refresh or mask.keep.sum() <= max(1, most * mask.keep.size)
        corner = rng.uniform(0, 200, (rng.integers(0, 5), 2))
        found = detections_of(*np.hstack([corner, corner + rng.uniform(8, 60, corner.shape)]))
        tracks, _ = update_tracks(tracks, found, mask.keep, IMAGE_WH, frame, None)


def test_an_object_is_sent_as_often_as_it_needs():
    rng = np.random.default_rng(0)
    still, walker = (cv2.GaussianBlur(rng.integers(0, 256, shape).astype(np.uint8), (0, 0), 4)
                     for shape in ((192, 256, 3), (40, 30, 3)))
    masks = composer(schedule(refresh_period=100, tolerance=0.15, max_interval=10))
    tracks, observations, before = Tracks.none(), np.zeros(2, int), None
    shown = detections_of((20, 20, 50, 60), (20, 120, 50, 160))
    for t in range(50):
        image = still.copy()
        image[120:160, 20 + 3 * t:50 + 3 * t] = walker
        mask, now = masks.compose(context(tracks, t)), downsample(image)
        real = detections_of((20, 20, 50, 60), (20 + 3 * t, 120, 50 + 3 * t, 160))
        observed = is_observed(real.boxes, mask.keep, IMAGE_WH)
        observations += observed
        shown = detections_of(*np.where(observed[:, None], real.boxes, shown.boxes))
        motion = None if before is None else OpticalFlow(before, now)
        tracks, last = update_tracks(tracks, shown, mask.keep, IMAGE_WH, t, motion)
        np.testing.assert_allclose(last.boxes, real.boxes, atol=6.0)
        before = now
    assert 4 <= observations[0] <= 8 and observations[1] > 2 * observations[0] and len(tracks) == 2, observations


@pytest.mark.parametrize("wrong, said", [
    ({"max_interval": 0}, "max_interval 0 is below 1"), ({"refresh_period": 0}, "refresh_period 0"),
    ({"active_frames": 0}, "active_frames 0"), ({"idle_frames": -1}, "idle_frames -1"),
    ({"tolerance": float("nan")}, "tolerance nan"), ({"ring": -1}, "ring -1"),
    ({"idle_tolerance": -1.0}, "idle_tolerance -1.0"),
    ({"max_share": -0.1}, "max_share"), ({"track_threshold": 2.0}, "track_threshold 2.0"),
])
def test_invalid_schedules_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        schedule(**wrong)
