"""Objects of a dense network: held while nothing looks at them, weakened when a look misses them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.look import Look
from regionmask_ros.tracking.held import (
    MISS_FACTOR,
    MOST_FOLLOWED,
    SEEN_SHARE,
    HeldObjects,
    describe_looks,
    find_cut,
    hold_objects,
)
from regionmask_ros.tracking.kernels import find_shown
from regionmask_ros.tracking.motion import OpticalFlow, downsample

IMAGE_WH = (640, 480)
WHOLE = Look((0.0, 0.0, 640.0, 480.0), (640, 480))
SMALL = Look((0.0, 0.0, 640.0, 480.0), (160, 128))
LEFT, RIGHT = Look((0.0, 0.0, 340.0, 480.0), (352, 480)), Look((300.0, 0.0, 640.0, 480.0), (352, 480))
FULL_SCALE = 1.0
EVERYTHING = np.ones((30, 40), bool)
PERSON, CAR = [100, 100, 150, 220], [400, 200, 520, 280]


class Camera:
    """Plays frames: each call is one more."""

    def __init__(self) -> None:
        self.held, self.frame, self.before = HeldObjects(), -1, None

    def see(self, found: Detections, *looks: Look, image: np.ndarray | None = None, keep: np.ndarray = EVERYTHING
            ) -> Detections:
        self.frame += 1
        cut = np.zeros(len(found), bool)
        for look in looks:
            cut |= find_cut(found.boxes, look, IMAGE_WH)
        motion = None if image is None or self.before is None else OpticalFlow(self.before, image)
        self.held, reported = hold_objects(
            self.held, found, cut, looks, keep, IMAGE_WH, FULL_SCALE, self.frame, motion)
        self.before = image
        return reported

    def idle(self, image: np.ndarray | None = None) -> Detections:
        return self.see(Detections.empty(), image=image)


def test_objects_that_stand_stay_while_nothing_runs():
    camera = Camera()
    first = camera.see(detections_of(PERSON, CAR, scores=[0.9, 0.6], class_ids=[0, 2]), WHOLE)
    assert first.track_ids.tolist() == [0, 1] and not first.resting.any()
    for _ in range(10):
        held = camera.idle()
        np.testing.assert_allclose(held.boxes, first.boxes, atol=1.0)
        assert held.track_ids.tolist() == [0, 1] and held.class_ids.tolist() == [0, 2] and held.resting.all()
        np.testing.assert_allclose(held.scores, [0.9, 0.6], rtol=1e-6)
    again = camera.see(detections_of(PERSON, CAR, scores=[0.5, 0.7], class_ids=[0, 2]), WHOLE)
    assert again.track_ids.tolist() == [1, 0] and not again.resting.any(), "found ones are as found, best first"
    np.testing.assert_allclose(again.scores, [0.7, 0.5], rtol=1e-6)


def test_objects_move_with_the_picture_while_nothing_runs():
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3)).astype(np.uint8), (0, 0), 6)
    images = [downsample(np.ascontiguousarray(np.roll(texture, (4 * t, 8 * t), (0, 1)))) for t in range(5)]
    camera = Camera()
    camera.see(detections_of(PERSON, CAR), WHOLE, image=images[0])
    for t in range(1, 5):
        held = camera.idle(images[t])
        np.testing.assert_allclose(held.boxes, np.array([PERSON, CAR]) + [8 * t, 4 * t] * 2, atol=1.5)
    moved = detections_of(np.add(PERSON, [32, 16] * 2), scores=0.8)
    assert camera.see(moved, LEFT, image=images[4]).track_ids.tolist() == [1, 0], "the same object, found again"


def test_of_many_objects_the_strongest_move_with_the_picture():
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (480, 640, 3)).astype(np.uint8), (0, 0), 6)
    images = [downsample(np.ascontiguousarray(np.roll(texture, 8 * t, 1))) for t in range(2)]
    count = MOST_FOLLOWED + 20
    places = [[40 + 55 * (i % 10), 40 + 45 * (i // 10)] for i in range(count)]
    boxes = [[x, y, x + 50, y + 40] for x, y in places]
    camera = Camera()
    camera.see(detections_of(*boxes, scores=np.linspace(0.9, 0.3, count)), WHOLE, image=images[0])
    moved = camera.idle(images[1]).boxes[:, 0] - np.array(boxes)[:, 0]
    np.testing.assert_allclose(moved[:MOST_FOLLOWED], 8.0, atol=1.5)
    np.testing.assert_allclose(moved[MOST_FOLLOWED:], 0.0, atol=1e-3, err_msg="without a velocity, the others stay")


def test_what_a_look_shows_outside_the_mask_is_not_missed():
    left = np.zeros((30, 40), bool)
    left[:, :20] = True
    camera = Camera()
    camera.see(detections_of(PERSON, CAR, scores=[0.9, 0.6], class_ids=[0, 2]), WHOLE)
    for _ in range(5):
        seen = camera.see(detections_of(PERSON, scores=0.9, class_ids=0), WHOLE, keep=left)
    np.testing.assert_allclose(seen.scores, [0.9, 0.6], rtol=1e-6)


def test_objects_that_leave_the_picture_end():
    camera = Camera()
    for t in range(4):
        camera.see(detections_of([520 + 20 * t, 100, 580 + 20 * t, 200]), WHOLE)
    shown = [len(camera.idle()) for _ in range(8)]
    assert shown[0] == 1 and shown[-1] == 0 and len(camera.held.tracks) == 0


def test_a_miss_weakens_an_object_and_three_in_a_row_end_it():
    camera = Camera()
    camera.see(detections_of(PERSON, CAR, scores=[0.9, 0.8]), WHOLE)
    only = detections_of(CAR, scores=0.8)
    for misses in (1, 2):
        reported = camera.see(only, WHOLE)
        assert reported.track_ids.tolist() == [1, 0] and reported.resting.tolist() == [False, True]
        np.testing.assert_allclose(reported.scores, [0.8, 0.9 * MISS_FACTOR ** misses], rtol=1e-5)
        assert len(camera.idle()) == 2, "an idle frame misses nothing"
    assert camera.see(only, WHOLE).track_ids.tolist() == [1]


def test_an_object_that_is_found_again_has_its_score_and_its_number():
    camera, one = Camera(), detections_of(PERSON, scores=0.9)
    camera.see(one, WHOLE)
    for _ in range(4):
        for _ in range(2):
            camera.see(Detections.empty(), WHOLE)
        again = camera.see(one, WHOLE)
        assert again.track_ids.tolist() == [0] and again.scores[0] == np.float32(0.9) and not again.resting[0]


def test_a_look_elsewhere_misses_nothing():
    camera = Camera()
    camera.see(detections_of(PERSON, CAR), WHOLE)
    for _ in range(5):
        reported = camera.see(detections_of(CAR), RIGHT)
        assert sorted(reported.track_ids.tolist()) == [0, 1] and reported.scores.min() == 1.0
    for _ in range(3):
        reported = camera.see(Detections.empty(), LEFT)
    assert reported.track_ids.tolist() == [1]


def test_an_object_of_which_a_look_shows_a_part_is_not_missed():
    across = [250, 100, 450, 220]
    camera = Camera()
    camera.see(detections_of(across), WHOLE)
    for look in (LEFT, RIGHT) * 3:
        assert camera.see(Detections.empty(), look).scores.tolist() == [1.0]
    shown = np.ones(1, bool)
    windows, least_px, image = describe_looks((LEFT, RIGHT), IMAGE_WH, FULL_SCALE)
    find_shown(np.array([across], float), windows, SEEN_SHARE, least_px, image, shown)
    assert not shown.any()


def test_a_small_picture_does_not_miss_small_objects():
    small, large = [100, 100, 140, 180], [300, 100, 420, 300]
    camera = Camera()
    camera.see(detections_of(small, large), WHOLE)
    for _ in range(3):
        reported = camera.see(Detections.empty(), SMALL)
    assert reported.track_ids.tolist() == [0] and reported.scores[0] == 1.0
    again = camera.see(detections_of(np.array(small) + 2, scores=0.7), SMALL)
    assert again.track_ids.tolist() == [0] and again.scores[0] == np.float32(0.7), "found ones count"


@pytest.mark.parametrize("whole", [[250, 100, 345, 220], [280, 100, 400, 220]], ids=["most of it", "half of it"])
def test_a_cut_box_gives_way_to_the_held_one(whole):
    camera = Camera()
    camera.see(detections_of(whole, scores=0.8), WHOLE)
    left_part = [whole[0], 100, min(whole[2], 339.5), 220]
    right_part = [max(whole[0], 300.5), 100, whole[2], 220]
    for _ in range(3):
        for part, look in ((left_part, LEFT), (right_part, RIGHT)):
            reported = camera.see(detections_of(part, scores=0.9), look)
            assert reported.track_ids.tolist() == [0]
            np.testing.assert_allclose(reported.boxes[0], whole, atol=1.0)
            np.testing.assert_allclose(reported.scores, [0.8], rtol=1e-6)


def test_a_cut_box_of_another_class_or_of_a_new_object_is_found():
    camera = Camera()
    camera.see(detections_of([280, 100, 400, 220], class_ids=1), WHOLE)
    part = [280, 100, 339.5, 220]
    assert sorted(camera.see(detections_of(part, class_ids=2), LEFT).class_ids.tolist()) == [1, 2]
    assert len(Camera().see(detections_of(part), LEFT)) == 1


def test_boxes_are_cut_where_the_picture_goes_on():
    boxes = np.array([[0, 0, 50, 480], [280, 10, 340, 90], [300, 10, 339, 90], [250, 10, 330, 90]], np.float32)
    assert find_cut(boxes, LEFT, IMAGE_WH).tolist() == [False, True, True, False]
    assert find_cut(boxes, RIGHT, IMAGE_WH).tolist() == [True, True, True, True]
    assert not find_cut(boxes, WHOLE, IMAGE_WH).any()


def test_a_missed_object_on_a_found_one_is_the_same():
    """It grew by too much to be associated, or two objects of a class have become one."""
    camera = Camera()
    camera.see(detections_of([100, 100, 180, 220], [140, 100, 220, 220]), WHOLE)
    reported = camera.see(detections_of([125, 100, 195, 220]), WHOLE)
    assert len(reported) == 1 and not reported.resting[0]


LOOKS = (WHOLE, SMALL, LEFT, RIGHT)
NOISE = np.random.default_rng(0).integers(0, 256, (2, 120, 160)).astype(np.uint8)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_nothing_breaks_in_random_sequences(seed):
    rng, camera, used = np.random.default_rng(seed), Camera(), -1
    for _ in range(12):
        looks = [LOOKS[i] for i in rng.permutation(4)[:rng.integers(0, 3)]]
        count = rng.integers(0, 7) if looks else 0
        corner = rng.uniform((0, 0), (560, 400), (count, 2)).round(-1)
        boxes = np.hstack([corner, np.minimum(corner + rng.uniform(5, 300, corner.shape), IMAGE_WH)])
        scores = np.sort(rng.uniform(0.05, 1.0, count))[::-1]
        found = detections_of(*boxes, scores=scores.astype(np.float32), class_ids=rng.integers(0, 2, count))
        image = NOISE[rng.integers(2)] if rng.random() < 0.8 else None
        number_before = len(camera.held.tracks)
        out, held = camera.see(found, *looks, image=image), camera.held
        assert len(out) == len(held.tracks) == len(held.misses) <= number_before + count
        assert len(set(out.track_ids.tolist())) == len(out) and (np.diff(held.tracks.ids) > 0).all()
        assert set(out.track_ids.tolist()) == set(held.tracks.ids.tolist())
        assert ((held.misses >= 0) & (held.misses < 3)).all()
        assert ((out.scores > 0) & (out.scores <= 1)).all() and (np.diff(out.scores) <= 0).all()
        assert np.isfinite(out.boxes).all() and (out.boxes[:, 2:] >= out.boxes[:, :2]).all()
        assert (out.boxes >= 0).all() and (out.boxes <= np.float32(IMAGE_WH * 2)).all()
        assert looks or out.resting.all()
        new = out.track_ids[out.track_ids > used]
        assert not out.resting[np.isin(out.track_ids, new)].any(), "new objects are found ones"
        used = max(used, *out.track_ids.tolist()) if len(out) else used
        for place in np.flatnonzero(~out.resting):
            assert (found.boxes == out.boxes[place]).all(axis=1).any() and out.scores[place] in found.scores
