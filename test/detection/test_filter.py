"""What is reported of what was found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.detections import Detections
from regionmask_ros.detection.filter import DetectionFilter
from regionmask_ros.detection.yolo import suppress
from regionmask_ros.errors import UserError

LABELS = ("person", "bicycle", "car")


def found(*rows: tuple[int, float]) -> Detections:
    """(class, score) each, with boxes that distinguish them."""
    class_ids, scores = zip(*rows)
    return detections_of(*[[i, i, i + 1, i + 1] for i in range(len(rows))], scores=scores, class_ids=class_ids)


def reported(selection: DetectionFilter, detections: Detections) -> list[tuple[int, float]]:
    kept = selection.apply(detections)
    return [(int(c), round(float(s), 3)) for c, s in zip(kept.class_ids, kept.scores)]


EVERYTHING = found((0, 0.9), (2, 0.8), (1, 0.6), (0, 0.5), (2, 0.3))


def test_without_wishes_everything_is_reported_and_nothing_copied():
    selection = DetectionFilter.of(LABELS, 0.3)
    assert selection.apply(EVERYTHING) is EVERYTHING and selection.lowest == 0.3


def test_only_wanted_classes_are_reported():
    selection = DetectionFilter.of(LABELS, 0.3, classes=("person", "bicycle"))
    assert reported(selection, EVERYTHING) == [(0, 0.9), (1, 0.6), (0, 0.5)]


def test_a_class_may_have_a_higher_or_a_lower_threshold_and_its_value_counts_as_reached():
    selection = DetectionFilter.of(LABELS, 0.7, class_thresholds=(("car", 0.3), ("person", 0.9)))
    assert selection.lowest == 0.3
    assert reported(selection, EVERYTHING) == [(0, 0.9), (2, 0.8), (2, 0.3)]


def test_the_best_ones_are_kept_when_there_are_too_many():
    assert reported(DetectionFilter.of(LABELS, 0.3, most=2), EVERYTHING) == [(0, 0.9), (2, 0.8)]
    cars = DetectionFilter.of(LABELS, 0.3, classes=("car",), most=2)
    assert reported(cars, EVERYTHING) == [(2, 0.8), (2, 0.3)]


def test_rows_are_taken_by_number_or_by_truth():
    rows = EVERYTHING.take(np.array([3, 0]))
    assert rows.scores.tolist() == pytest.approx([0.5, 0.9]) and rows.boxes[:, 0].tolist() == [3, 0]
    assert EVERYTHING.take(EVERYTHING.class_ids == 2).class_ids.tolist() == [2, 2]
    assert len(EVERYTHING.take(np.zeros(5, bool))) == 0


@pytest.mark.parametrize("given_names", [{"classes": ("persn",)}, {"class_thresholds": (("persn", 0.5),)}])
def test_an_unknown_class_is_refused_with_the_one_that_was_meant(given_names):
    with pytest.raises(UserError, match="'persn'.*'person'"):
        DetectionFilter.of(LABELS, 0.3, **given_names)


boxes = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2), st.integers(1, 99)), max_size=20)


@given(boxes, st.tuples(*[st.integers(1, 99)] * 3))
def test_selecting_after_suppression_equals_selecting_before(rows, thresholds):
    rows = sorted(rows, key=lambda row: -row[3])
    corners = np.array([[x, y, x + 4, y + 4] for x, y, _, _ in rows], np.float32).reshape(-1, 4)
    kinds = np.array([k for _, _, k, _ in rows], np.int32)
    scores = np.array([s / 100 for *_, s in rows], np.float32)
    limits = tuple(t / 100 for t in thresholds)
    selection = DetectionFilter.of(LABELS, 1.0, class_thresholds=tuple(zip(LABELS, limits)))

    kept = suppress(corners, kinds, 0.3)
    after = selection.apply(Detections(corners[kept], scores[kept], kinds[kept]))
    high = np.flatnonzero(scores >= np.float32(limits)[kinds])
    before = high[suppress(corners[high], kinds[high], 0.3)]
    np.testing.assert_array_equal(after.boxes, corners[before])
    np.testing.assert_array_equal(after.scores, scores[before])


@pytest.mark.parametrize(("labels", "end"), [(LABELS, "it knows person, bicycle, car"),
                                             ((*LABELS, "bus", "truck", "dog"), "car, bus, truck and so on")])
def test_the_classes_of_a_network_are_named_where_one_is_unknown(labels, end):
    with pytest.raises(UserError, match=f"class 'unicorn': the network has none of this name; .*{end}$"):
        DetectionFilter.of(labels, 0.3, classes=("unicorn",))
