"""Scoring by hand-computed cases, and against pycocotools where that is installed."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.metrics.average_precision import (
    FALSE,
    LEFT_OUT,
    RIGHT,
    UNMATCHED,
    PrecisionCurve,
    block_length,
    confidence_interval,
    frame_weights,
    match,
    match_tall,
    mean_over_classes,
)

NONE = np.zeros((0, 4))


def boxes(*corners) -> np.ndarray:
    return np.array(corners, float).reshape(-1, 4)


def test_the_best_free_object_is_taken_in_order_of_score():
    objects = boxes((0, 0, 10, 10), (2, 0, 12, 10))
    found = match(boxes((0, 0, 10, 10), (1, 0, 11, 10), (0, 0, 10, 10)), [0.5, 0.9, 0.4], objects, NONE)
    assert found.scores.tolist() == [0.9, 0.5, 0.4]
    # 0.9 overlaps both by 9/11: the later one is taken. 0.5 gets the first, 0.4 comes too late.
    assert found.outcome.tolist() == [RIGHT, RIGHT, FALSE] and found.found_by.tolist() == [1, 0]


def test_an_overlap_of_just_half_is_enough():
    objects = boxes((0, 0, 10, 10))
    assert match(boxes((0, 0, 10, 5)), [1], objects, NONE).outcome.tolist() == [RIGHT]
    assert match(boxes((0, 0, 10, 4.99)), [1], objects, NONE).outcome.tolist() == [FALSE]


def test_ignored_regions_take_any_number_and_objects_go_first():
    ignored = boxes((0, 0, 100, 100))
    inside = boxes((10, 10, 20, 20), (30, 30, 40, 40), (95, 0, 105, 10), (96, 0, 106, 10))
    found = match(inside, [0.9, 0.8, 0.7, 0.6], boxes((10, 10, 20, 20)), ignored)
    assert found.outcome.tolist() == [RIGHT, LEFT_OUT, LEFT_OUT, FALSE], "half of its own area must lie on it"


def test_small_objects_can_be_left_out():
    objects = boxes((0, 0, 10, 24), (50, 0, 60, 23))
    found = boxes((0, 0, 10, 24), (50, 0, 60, 23), (80, 0, 90, 23), (80, 50, 90, 74))
    result = match_tall(found, [0.9, 0.8, 0.7, 0.6], objects, NONE)
    assert result.objects == 1 and result.outcome.tolist() == [RIGHT, LEFT_OUT, LEFT_OUT, FALSE]


def test_nothing_to_find_and_nothing_found():
    assert match(NONE, [], boxes((0, 0, 1, 1)), NONE).found_by.tolist() == [UNMATCHED]
    assert match(boxes((0, 0, 1, 1)), [0.3], NONE, NONE).outcome.tolist() == [FALSE]
    assert match(boxes((1, 1, 1, 1)), [0.3], boxes((1, 1, 1, 1)), NONE).outcome.tolist() == [FALSE], "no area, no match"


def test_only_the_best_hundred_of_a_frame_count():
    crowd = np.tile(boxes((0, 0, 1, 1)), (130, 1))
    assert len(match(crowd, np.linspace(0, 1, 130), NONE, NONE).scores) == 100


def test_average_precision_equals_a_manual_calculation():
    # Two objects; detections by score: right, false, right. Precision 1 up to recall 0.5, then 2/3.
    frame_1 = match(boxes((0, 0, 10, 10), (50, 50, 60, 60)), [0.9, 0.8], boxes((0, 0, 10, 10)), NONE)
    frame_2 = match(boxes((0, 0, 10, 10)), [0.7], boxes((0, 0, 10, 10)), NONE)
    curve = PrecisionCurve([frame_1, frame_2])
    assert curve.average_precision() == pytest.approx(100 * (51 * 1 + 50 * 2 / 3) / 101)
    assert curve.average_precision(np.array([0, 1])) == pytest.approx(100)
    # The first frame three times: right x3, false x3, right; recall 0.75 at precision 1, the rest at 4/7.
    assert curve.average_precision(np.array([3, 1])) == pytest.approx(100 * (76 * 1 + 25 * 4 / 7) / 101)
    assert np.isnan(PrecisionCurve([match(boxes((0, 0, 1, 1)), [1], NONE, NONE)]).average_precision())
    missed = PrecisionCurve([match(NONE, [], boxes((0, 0, 1, 1)), NONE)])
    assert missed.average_precision() == 0.0
    assert mean_over_classes([50.0, float("nan"), 100.0]) == 75.0


def random_frames(seed: int, count: int):
    """(detections, scores, objects, ignored) of each frame: objects shaken, some missed, some dreamt."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        corner, size = rng.uniform(0, 60, (rng.integers(0, 7), 2)), None
        size = rng.uniform(5, 40, corner.shape)
        objects = np.hstack([corner, corner + size])
        ignored = objects[rng.random(len(objects)) < 0.25] + rng.uniform(-20, 20)
        shaken = objects[rng.random(len(objects)) < 0.8] + rng.normal(0, 3, 4)
        dreamt = rng.uniform(0, 50, (rng.integers(0, 4), 4))
        dreamt[:, 2:] = dreamt[:, :2] + rng.uniform(1, 30, (len(dreamt), 2))
        found = np.vstack([shaken, dreamt]) if len(shaken) + len(dreamt) else NONE
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 0.1)
        # Few different scores, so that ties occur.
        yield found, rng.integers(1, 12, len(found)) / 12, objects, ignored


def by_pycocotools(frames) -> float:
    coco = pytest.importorskip(
        "pycocotools.coco", reason="pycocotools is not installed: agreement with it is not tested here",
        exc_type=ImportError)
    from pycocotools.cocoeval import COCOeval

    def rows(all_boxes, image, **more):
        for x0, y0, x1, y1 in all_boxes:
            box = [x0, y0, x1 - x0, y1 - y0]
            yield {"image_id": image, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, **more}

    truth, results = [], []
    for image, (found, scores, objects, ignored) in enumerate(frames, 1):
        truth += [*rows(objects, image), *rows(ignored, image, iscrowd=1)]
        results += [{**row, "score": score} for row, score in zip(rows(found, image), scores)]
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = coco.COCO()
        dataset.dataset = {"images": [{"id": n} for n in range(1, len(frames) + 1)], "categories": [{"id": 1}],
                           "annotations": [{**row, "id": n} for n, row in enumerate(truth, 1)], "info": {}}
        dataset.createIndex()
        judge = COCOeval(dataset, dataset.loadRes(results), "bbox")
        judge.params.iouThrs, judge.params.areaRng, judge.params.areaRngLbl = np.array([0.5]), [[0, 1e10]], ["all"]
        judge.evaluate()
        judge.accumulate()
    return 100 * float(judge.eval["precision"][0, :, 0, 0, -1].mean())


@pytest.mark.parametrize("seed", range(25))
def test_average_precision_agrees_with_pycocotools(seed):
    frames = list(random_frames(seed, 12))
    ours = PrecisionCurve([match(*frame) for frame in frames]).average_precision()
    assert ours == pytest.approx(by_pycocotools(frames), abs=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_each_object_is_matched_once_and_ignored_regions_take_no_match(seed):
    for found, scores, objects, ignored in random_frames(seed, 3):
        result = match(found, scores, objects, ignored)
        right = np.flatnonzero(result.outcome == RIGHT)
        assert sorted(result.found_by[result.found_by != UNMATCHED]) == right.tolist(), "one detection an object"
        without = match(found, scores, objects, NONE)
        assert (result.outcome == RIGHT).sum() == (without.outcome == RIGHT).sum(), "ignored regions take no match"
        assert (np.diff(result.scores) <= 0).all()


def test_blocks_are_a_second_long_or_a_fifth_of_the_sequence():
    assert [block_length(n) for n in (1, 4, 5, 48, 125, 800)] == [1, 1, 1, 9, 25, 25]


@given(st.integers(1, 300), st.text(max_size=9))
def test_each_resample_has_as_many_frames_as_the_sequence(frames, text):
    weights = frame_weights(frames, text, resamples=7)
    assert weights.shape == (7, frames) and (weights.sum(axis=1) == frames).all()


def test_equal_texts_draw_equal_frames_and_neighbors_come_together():
    one, same, other = (frame_weights(200, text) for text in ("street", "street", "square"))
    assert (one == same).all() and (one != other).any()
    assert one.mean() == 1.0 and np.abs(one.mean(axis=0) - 1.0).max() < 0.5, "no frame is favored"
    alike = np.mean([np.corrcoef(w[:-1], w[1:])[0, 1] for w in one])
    assert alike > 0.8, "frames are drawn in blocks"


def test_the_interval_of_a_mean_has_its_usual_width():
    values = np.random.default_rng(3).normal(10.0, 2.0, 400)
    means = frame_weights(400, "x", 2000) @ values / 400
    low, high = confidence_interval(means)
    assert (high - low) == pytest.approx(2 * 1.645 * 2.0 / 20, rel=0.25) and low < 10 < high
    assert confidence_interval([float("nan"), 3.0]) == (3.0, 3.0) and np.isnan(confidence_interval([])).all()
