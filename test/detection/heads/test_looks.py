"""Looks at one image are united: mapped to it, suppressed across looks, best first, sound numbers only."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regionmask_ros.core.boxes import covered_fraction
from regionmask_ros.core.look import Look, LookOutput
from regionmask_ros.detection.heads import HEADS, decode_looks
from regionmask_ros.detection.heads.base import MOST_CANDIDATES
from regionmask_ros.detection.heads.looks import CUT_INSIDE, CUT_WEIGHT
from regionmask_ros.network.dense import HeadSpec

SPEC = HeadSpec("yolox", 2, ("out",), (8, 16, 32), {"raw": 0.0})
"""Rows of x, y, w, h in input pixels, objectness, two scores; a 32x32 input has 21 of them."""


def look(window: tuple[float, float, float, float], *rows: list[float]) -> LookOutput:
    output = np.zeros((1, 21, 7), np.float32)
    output[0, :len(rows)] = np.reshape(rows, (-1, 7))
    return LookOutput(Look(window, (32, 32)), (output,))


def decode(*arguments: object):
    return decode_looks(*arguments).found


def test_boxes_are_in_image_pixels_clipped_and_best_first_and_a_cut_one_counts_half():
    results = [look((100, 50, 164, 82), [16, 16, 8, 8, 0.5, 1, 0], [0, 0, 8, 8, 0.9, 0, 1])]
    found = decode(results, SPEC, (160, 80), 0.1, 0.5)
    np.testing.assert_allclose(found.boxes, [[124, 62, 140, 70], [92, 46, 108, 54]])
    assert found.class_ids.tolist() == [0, 1] and found.boxes.dtype == np.float32
    np.testing.assert_allclose(found.scores, [0.5, CUT_WEIGHT * 0.9])


def test_a_cut_box_goes_where_a_whole_one_shows_its_object():
    whole, left = look((0, 0, 32, 32), [16, 16, 16, 16, 0.5, 1, 0]), [27, 16, 10, 12, 0.9, 1, 0]
    found = decode_looks([whole, look((-12, 0, 20, 32), left)], SPEC, (64, 32), 0.1, 0.5)
    assert not found.cut.any() and len(found.found) == 1
    other_class = decode_looks([whole, look((-12, 0, 20, 32), [*left[:5], 0, 1])], SPEC, (64, 32), 0.1, 0.5)
    assert other_class.cut.tolist() == [False, True]


def test_an_object_that_two_looks_show_is_one_unless_the_classes_differ():
    left, right = (0, 0, 32, 32), (16, 0, 48, 32)
    results = [look(left, [24, 16, 8, 8, 0.5, 1, 0]), look(right, [8, 16, 8, 8, 0.9, 1, 0], [8, 16, 8, 8, 0.3, 0, 1])]
    found = decode(results, SPEC, (48, 32), 0.1, 0.5)
    np.testing.assert_allclose(found.scores, [0.9, 0.3])
    assert found.class_ids.tolist() == [0, 1]


def test_no_look_and_no_box_give_no_detection():
    assert len(decode([], SPEC, (64, 64), 0.1, 0.5)) == 0
    found = decode([look((0, 0, 32, 32))], SPEC, (64, 64), 0.1, 0.5)
    assert found.boxes.shape == (0, 4) and found.class_ids.dtype == np.int32


def test_boxes_that_are_not_finite_or_outside_of_the_image_are_left_out():
    rows = [[16, 16, np.nan, 8, 1, 1, 0], [np.inf, 16, 8, 8, 1, 1, 0], [60, 16, 8, 8, 1, 1, 0],
            [16, 16, -8, 8, 1, 1, 0], [16, 16, 8, 8, np.inf, 1, 0], [8, 8, 8, 8, 1, 1, 0]]
    found = decode([look((0, 0, 32, 32), *rows)], SPEC, (40, 32), 0.1, 0.5)
    np.testing.assert_allclose(found.boxes, [[4, 4, 12, 12]])


def test_only_the_best_candidates_enter_the_suppression():
    rng = np.random.default_rng(0)
    cells = 80 * 80 + 40 * 40 + 20 * 20
    output = np.zeros((1, cells, 7), np.float32)
    output[0, :, :2], output[0, :, 2:4] = rng.uniform(0, 640, (cells, 2)), 0.5
    output[0, :, 4], output[0, :, 5] = rng.uniform(0.5, 1, cells), 1
    found = decode([LookOutput(Look((0, 0, 640, 640), (640, 640)), (output,))], SPEC, (640, 640), 0.1, 1.0)
    assert len(found) == MOST_CANDIDATES
    np.testing.assert_array_equal(found.scores, np.sort(output[0, :, 4])[::-1][:MOST_CANDIDATES])


@settings(max_examples=30)
@example(seed=45234, count=2, nms_iou=0.5)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(0.1, 0.9))
def test_what_stays_does_not_overlap_and_what_goes_has_a_better_one(seed, count, nms_iou):
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(count):
        x, y = rng.uniform(0, 64, 2)
        rows = np.concatenate([rng.uniform(8, 24, (21, 2)), rng.uniform(4, 16, (21, 2)), rng.uniform(0, 1, (21, 3))],
                              axis=1)
        results.append(look((x, y, x + 48, y + 64), *rows))
    every = [decode([result], SPEC, (128, 128), 0.2, 1.0) for result in results]
    found = decode(results, SPEC, (128, 128), 0.2, nms_iou)
    candidates = []
    for result in results:
        shown = HEADS[SPEC.family].decode(result.outputs, SPEC, result.look.input_wh, 0.2)
        candidates += zip(result.look.to_image(shown.boxes), shown.class_ids)
    assert (np.diff(found.scores) <= 0).all()

    def overlap(a: np.ndarray, b: np.ndarray) -> float:
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        both = max(w, 0.0) * max(h, 0.0)
        return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))

    def is_in_one_that_stays(box: np.ndarray, number: int) -> bool:
        kept = found.boxes[found.class_ids == number].astype(np.float64)
        return bool(covered_fraction(box[None].astype(np.float64), kept).max(initial=0.0) >= CUT_INSIDE - 1e-5)

    # Boxes lie inside the image, so that clipping changes no overlap.
    for shown in every:
        for box, score, number in zip(shown.boxes, shown.scores, shown.class_ids):
            least = CUT_WEIGHT * score
            rivals = [i for i in range(len(found)) if found.class_ids[i] == number and found.scores[i] >= least]
            best = max((overlap(box, found.boxes[i]) for i in rivals), default=0.0)
            inside = covered_fraction(box[None].astype(np.float64), found.boxes[rivals].astype(np.float64))
            # Or it went for a cut box, which then was a part of one that stays.
            middle = (other for other, kind in candidates if kind == number)
            assert best > nms_iou - 1e-5 or inside.max(initial=0.0) >= CUT_INSIDE - 1e-5 or any(
                overlap(box, other) > nms_iou - 1e-5 and is_in_one_that_stays(other, number) for other in middle)
    for i in range(len(found)):
        for k in range(i):
            if found.class_ids[i] == found.class_ids[k]:
                assert overlap(found.boxes[i], found.boxes[k]) <= nms_iou + 1e-5
