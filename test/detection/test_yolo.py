from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.detection.yolo import decode, suppress
from regionmask_ros.network.chain import YoloHead

LAYOUT = YoloHead(anchors=((0.5, 1.0), (2.0, 3.0)), num_classes=3, clamp_max=5.0)


def empty_head(rows: int, cols: int) -> np.ndarray:
    """A head without any object: objectness far below zero."""
    head = np.zeros((rows, cols, LAYOUT.channels), np.int32)
    head[:, :, [4, 12]] = -20 << 16
    return head


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.3]))
def test_every_cell_gives_the_box_that_its_numbers_say(seed, threshold):
    rng = np.random.default_rng(seed)
    head = np.rint(rng.normal(0, 2, (3, 5, LAYOUT.channels)) * 65536).astype(np.int32)
    # A limit that no overlap is above: all stay.
    found = decode(head, LAYOUT, (500, 150), threshold, 1.0)
    values, cell, expected = head.reshape(3, 5, 2, 8) / 65536, np.array([100, 50]), []
    for row, col, anchor in np.ndindex(3, 5, 2):
        tx, ty, tw, th, objectness, *classes = values[row, col, anchor]
        share = np.exp(classes) / np.exp(classes).sum()
        center = np.array([col + 1 / (1 + np.exp(-tx)), row + 1 / (1 + np.exp(-ty))]) * cell
        half = np.exp(np.minimum([tw, th], LAYOUT.clamp_max)) * LAYOUT.anchors[anchor] * cell / 2
        box = np.clip([*(center - half), *(center + half)], 0, [500, 150, 500, 150])
        expected.append((share.max() / (1 + np.exp(-objectness)), int(share.argmax()), *box))
    expected = [one for one in sorted(expected, reverse=True) if one[0] >= threshold]
    assert found.class_ids.tolist() == [one[1] for one in expected]
    assert found.boxes.dtype == np.float32 and found.class_ids.dtype == np.int32
    np.testing.assert_allclose(found.scores, [one[0] for one in expected], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, np.array([one[2:] for one in expected]).reshape(-1, 4), atol=1e-2)


def test_a_head_s_bias_is_added_to_what_its_neurons_hold():
    rng = np.random.default_rng(5)
    head = np.rint(rng.normal(0, 2, (3, 5, LAYOUT.channels)) * 65536).astype(np.int32)
    bias = tuple(rng.integers(-200, 200, LAYOUT.channels).tolist())
    with_bias = YoloHead(LAYOUT.anchors, 3, 5.0, bias)
    found = decode(head, with_bias, (500, 150), 0.02, 0.5)
    expected = decode(head + (np.array(bias, np.int32) << 10), LAYOUT, (500, 150), 0.02, 0.5)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)


def test_a_head_may_be_for_reading_only():
    head = empty_head(2, 2)
    head[1, 1, 4] = 3 << 16
    lent = head.copy()
    lent.flags.writeable = False
    np.testing.assert_array_equal(decode(lent, LAYOUT, (64, 64), 0.1, 0.45).boxes,
                                  decode(head, LAYOUT, (64, 64), 0.1, 0.45).boxes)


def test_a_head_of_another_number_of_channels_is_refused():
    layout = YoloHead(((1.0, 1.0), (1.0, 1.0)), 3, 2.0)
    for channels in (5, 15, 17):
        with pytest.raises(ValueError, match=f"a head of {channels} channels, expected 16"):
            decode(np.zeros((2, 2, channels), np.int32), layout, (64, 64), 0.0, 1.0)


def test_only_the_low_24_bits_count():
    head = empty_head(2, 2)
    head[1, 1, 4] = 3 << 16
    wrapped = head + (1 << 24)
    plain, same = (decode(h, LAYOUT, (64, 64), 0.1, 0.45) for h in (head, wrapped))
    np.testing.assert_array_equal(plain.boxes, same.boxes)
    assert len(plain) == 1


def test_size_exponent_is_clamped():
    head = empty_head(1, 1)
    head[0, 0, 4], head[0, 0, 2] = 5 << 16, 120 << 16
    assert np.isfinite(decode(head, LAYOUT, (32, 32), 0.1, 0.45).boxes).all()


def test_nothing_above_the_threshold_gives_empty_arrays():
    found = decode(empty_head(3, 3), LAYOUT, (96, 96), 0.1, 0.45)
    assert len(found) == 0 and found.boxes.shape == (0, 4)


def test_scores_at_the_threshold_stay_and_are_sorted():
    head = empty_head(2, 2)
    head[0, 0, 4], head[1, 1, 4] = 1 << 16, 4 << 16
    every = decode(head, LAYOUT, (64, 64), 0.0, 1.0)
    assert len(every) == 8 and (np.diff(every.scores) <= 0).all()
    second = float(every.scores[1])
    assert len(decode(head, LAYOUT, (64, 64), second - 1e-6, 1.0)) == 2
    assert len(decode(head, LAYOUT, (64, 64), second + 1e-6, 1.0)) == 1


def test_overlap_is_computed_before_boxes_are_clipped_to_the_image():
    # Two boxes of one center and width, 128 and 400 pixels high: they share 0.32, and inside the image all.
    head = empty_head(1, 1)
    for anchor, (tw, th, objectness) in enumerate([(0, math.log(2), 3), (-math.log(4), math.log(400 / 192), 2)]):
        head[0, 0, 8 * anchor:8 * anchor + 5] = np.rint(np.array([0, 0, tw, th, objectness]) * 65536)
    found = decode(head, LAYOUT, (64, 64), 0.1, 0.6)
    np.testing.assert_allclose(found.boxes, [[16, 0, 48, 64]] * 2, atol=1e-2)


def test_suppression_is_per_class_and_by_boxes_that_stay():
    # b overlaps a, c overlaps b but not a: a removes b, and c stays because b is gone.
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [0, 0, 10, 10]], float)
    assert suppress(boxes, np.array([0, 0, 0, 1]), 0.3).tolist() == [0, 2, 3]


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.floats(0.05, 0.95))
def test_suppression_keeps_an_independent_dominating_set(seed, n, limit):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 20, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 20, (n, 2))], axis=1)
    classes = rng.integers(0, 2, n)

    def iou(a: np.ndarray, b: np.ndarray) -> float:
        w = min(a[2], b[2]) - max(a[0], b[0])
        h = min(a[3], b[3]) - max(a[1], b[1])
        both = max(w, 0) * max(h, 0)
        return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)

    kept = suppress(boxes, classes, limit).tolist()
    for i in range(n):
        rivals = [k for k in kept if k < i and classes[k] == classes[i] and iou(boxes[k], boxes[i]) > limit]
        assert (i in kept) == (not rivals)
