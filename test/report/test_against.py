"""A masked run against its unmasked twin: what is found, missed and saved."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.boxes import iou_matrix
from regionmask_ros.core.frame import Frame
from regionmask_ros.report.against import MAX_THUMBNAILS, Comparison, compare_runs, match
from regionmask_ros.report.twin import join_sides

FRAME = Frame(np.full((120, 200, 3), 90, np.uint8), "bgr", 0, "")
LEFT, RIGHT = (10, 20, 40, 80), (110, 20, 140, 80)


def test_an_object_is_found_where_the_same_class_overlaps_by_half():
    wanted = detections_of(LEFT, RIGHT)
    assert match(wanted, detections_of((12, 22, 42, 82))).tolist() == [True, False]
    assert match(wanted, detections_of((30, 20, 60, 80))).tolist() == [False, False]
    assert match(wanted, detections_of(LEFT, class_ids=1)).tolist() == [False, False]
    assert match(wanted, detections_of()).tolist() == [False, False] and len(match(detections_of(), wanted)) == 0


def test_one_detection_finds_one_object():
    assert match(detections_of(LEFT, LEFT), detections_of(LEFT)).sum() == 1


boxes = st.lists(st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(7, 14)] * 2), max_size=5)


@given(boxes, boxes)
def test_everything_is_found_in_itself_and_nothing_without_overlap(first, second):
    wanted, given_ = detections_of(*first), detections_of(*second)
    found = match(wanted, given_)
    assert match(wanted, wanted).all() and found.sum() <= len(given_)
    reachable = (iou_matrix(wanted.boxes, given_.boxes) >= 0.5).any(axis=1) if second else np.zeros(len(first), bool)
    assert not (found & ~reachable).any()


def test_counts_and_thumbnails_are_of_the_twins_objects():
    comparison = Comparison(("person", "car"))
    comparison.add(0, FRAME, detections_of(LEFT), detections_of(LEFT, RIGHT))
    comparison.add(1, FRAME, detections_of(LEFT, (60, 60, 90, 90)), detections_of(LEFT, RIGHT))
    comparison.add(2, FRAME, detections_of(LEFT, RIGHT), detections_of(LEFT, RIGHT))
    comparison.add(20, FRAME, detections_of(), detections_of(RIGHT, class_ids=1))
    assert (comparison.found, comparison.missed, comparison.extra) == (4, 3, 1)
    assert comparison.missed_share == pytest.approx(3 / 7)
    assert [image.caption for image in comparison.thumbnails()] == [
        "person, frames 0 to 1: missed 2 times", "car, frame 20: missed 1 time"]
    for thumbnail in comparison.thumbnails():
        shown = cv2.imdecode(np.frombuffer(thumbnail.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape[0] == shown.shape[1] and np.ptp(shown) > 60


def test_a_long_run_keeps_the_objects_that_were_missed_longest():
    comparison = Comparison(("person",))
    for index in range(0, 3000, 10):
        lasting = 5 if index == 1000 else 1
        for step in range(lasting):
            comparison.add(index + step, FRAME, detections_of(), detections_of(LEFT))
    captions = [image.caption for image in comparison.thumbnails()]
    assert len(captions) == MAX_THUMBNAILS and "person, frames 1000 to 1004: missed 5 times" in captions


@pytest.mark.parametrize("box", [(-30, -30, 5, 5), (190, 110, 260, 170), (0, 0, 200, 120), (50, 50, 50.2, 50.1)])
@pytest.mark.parametrize("size_wh", [(200, 120), (8, 300), (1, 1)])
def test_objects_at_the_border_and_tiny_images_have_thumbnails(box, size_wh):
    frame = replace(FRAME, pixels=np.full((size_wh[1], size_wh[0], 3), 90, np.uint8))
    comparison = Comparison(())
    comparison.add(0, frame, detections_of(), detections_of(box, class_ids=7))
    (image,) = comparison.thumbnails()
    assert image.caption == "7, frame 0: missed 1 time" and image.jpeg.startswith(b"\xff\xd8")


def run(synops: float | None, ms: float, macs: float | None = None) -> dict:
    return {"synops_per_frame": synops, "macs_per_frame": macs, "ms": {"total": {"mean": ms}}, "mask": "none",
            "detections": 7}


@pytest.mark.parametrize(("ours", "theirs", "saved"), [
    (run(30.0, 9.0), run(100.0, 10.0), (0.7, "synops")), (run(None, 9.0), run(None, 10.0), (0.1, "time")),
    (run(0.0, 9.0), run(0.0, 10.0), (None, "synops")), (run(None, 9.0, 20.0), run(None, 10.0, 80.0), (0.75, "macs")),
])
def test_what_is_saved_is_counted_or_else_measured(ours, theirs, saved):
    facts = compare_runs(ours, theirs, Comparison(()))
    share = None if facts["saved_share"] is None else round(facts["saved_share"], 6)
    assert (share, facts["saved"]) == saved and facts["detections"] == 7 and facts["missed_share"] == 0.0


@pytest.mark.parametrize(("size_wh", "both_wh"), [((1280, 720), (1280, 360)), ((63, 47), (128, 48)), ((1, 1), (4, 2))])
def test_both_sides_have_the_same_even_size(size_wh, both_wh):
    left, right = (np.full((size_wh[1], size_wh[0], 3), gray, np.uint8) for gray in (10, 200))
    both = join_sides(left, right)
    assert (both.shape[1], both.shape[0]) == both_wh
    half = both_wh[0] // 2
    assert (both[:, :half] == 10).all() and (both[:, half:] == 200).all()
