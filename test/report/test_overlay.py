"""The annotated image: which pixels show what, at every size, and where labels are."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.frame import Frame
from regionmask_ros.core.result import RegionMask, StepCounts
from regionmask_ros.report.overlay import ORANGE, SKY_BLUE, caption_line, draw_overlay, keep_to_image, place_labels

LABELS = ("person", "car")


def colorful(width: int, height: int) -> np.ndarray:
    """Smooth colors, none of them gray, orange or the outline's blue."""
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(60, 90, width, dtype=np.uint8)
    image[..., 1] = np.linspace(180, 220, height, dtype=np.uint8)[:, None]
    image[..., 2] = 40
    return image


def mask_of(keep: np.ndarray, refresh: bool = False) -> RegionMask:
    return RegionMask(np.asarray(keep, bool), {}, refresh)


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4].copy(), table[:, 4].copy(), table[:, 5].astype(np.int32))


def draw(image, keep, detections=None, caption=""):
    return draw_overlay(Frame(image, "bgr", 0, ""), detections or Detections.empty(), mask_of(keep), LABELS, caption)


@pytest.mark.parametrize("size_wh", [(64, 32), (100, 37), (13, 9), (5, 3)])
@pytest.mark.parametrize("grid", [(2, 4), (3, 7), (1, 1)])
def test_a_pixel_belongs_to_the_region_that_the_formula_names(size_wh, grid):
    keep = np.random.default_rng(1).random(grid) < 0.5
    image = keep_to_image(keep, size_wh)
    width, height = size_wh
    assert image.dtype == np.uint8 and image.shape == (height, width) and image.flags.c_contiguous
    for y in range(height):
        for x in range(width):
            assert image[y, x] == 255 * keep[y * grid[0] // height, x * grid[1] // width]


def test_kept_pixels_keep_their_color_and_masked_ones_are_dark_and_nearly_gray():
    image = colorful(160, 120)
    keep = np.zeros((6, 8), bool)
    keep[2:4, 3:6] = True
    shown = draw(image, keep)
    inside = np.s_[42:78, 62:118]
    assert np.array_equal(shown[inside], image[inside])
    outside = keep_to_image(keep, (160, 120)) == 0
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[outside].astype(float)
    dark = shown[outside].astype(float)
    assert np.abs(dark.mean(axis=1) - 0.45 * gray).max() < 14
    assert np.ptp(dark, axis=1).mean() < 0.12 * np.ptp(image[outside].astype(float), axis=1).mean()


def test_the_outline_runs_around_the_union_on_its_inner_side_and_not_between_its_regions():
    keep = np.zeros((6, 8), bool)
    keep[2:4, 3:6] = True
    keep[4, 5] = True
    blue = (draw(colorful(160, 120), keep) == SKY_BLUE).all(axis=2)
    area = keep_to_image(keep, (160, 120)) > 0
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    rim = area & ~cv2.erode(area.astype(np.uint8), cross).astype(bool)
    assert np.array_equal(blue, rim)


def test_keeping_everything_changes_no_pixel_and_returns_an_array_of_its_own():
    image = colorful(64, 48)
    shown = draw(image, np.ones((3, 4), bool))
    assert np.array_equal(shown, image) and not np.shares_memory(shown, image)


def test_the_frame_is_not_changed_and_its_channel_order_is_used():
    image = colorful(160, 120)
    before = image.copy()
    detections = found((30, 50, 80, 100, 0.9, 0))
    keep = np.eye(6, 8, dtype=bool)
    shown = draw(image, keep, detections, "caption")
    assert np.array_equal(image, before)
    other = Frame(np.ascontiguousarray(image[..., ::-1]), "rgb", 0, "")
    assert np.array_equal(draw_overlay(other, detections, mask_of(keep), LABELS, "caption"), shown)


def test_only_the_corners_of_a_predicted_box_are_drawn():
    image, seen = colorful(160, 120), found((30, 50, 80, 100, 0.9, 0))
    resting = Detections(seen.boxes, seen.scores, seen.class_ids, np.array([4]), np.array([True]))
    whole, corners = ((draw(image, np.ones((6, 8), bool), one) == ORANGE).all(axis=2) for one in (seen, resting))
    assert whole[75, 30] and whole[99, 55] and not corners[75, 30] and not corners[99, 55]
    assert corners[50, 30] and corners[99, 79] and corners[99, 30] and not (corners & ~whole).any()


def test_a_label_hides_neither_its_object_nor_another_one():
    image = colorful(640, 480)
    boxes = [(100, 100, 160, 200), (170, 110, 230, 210), (300, 30, 420, 300), (500, 380, 600, 470)]
    detections = found(*[(*box, 0.5, 0) for box in boxes])
    shown = draw(image, np.ones((3, 4), bool), detections, "caption")
    for x0, y0, x1, y1 in boxes:
        inner = np.s_[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4]
        assert np.array_equal(shown[inner], image[inner])
        assert (shown[y0, x0:x1] == ORANGE).all()
    orange = (shown == ORANGE).all(axis=2).sum()
    assert orange > 4 * 60 * 12  # four filled tabs


def test_the_caption_is_a_dark_strip_at_the_top_and_absent_without_text():
    image = np.full((480, 640, 3), 200, np.uint8)
    with_caption = draw(image, np.ones((3, 4), bool), caption="masked 84 %")
    changed = np.nonzero((with_caption != image).any(axis=(1, 2)))[0]
    assert changed[0] == 0 and changed[-1] == len(changed) - 1 and 18 <= len(changed) <= 40
    assert with_caption[: len(changed), 400:].max() < 80
    assert with_caption[: len(changed), :200].max() > 220


def test_text_grows_with_the_image():
    heights = []
    for size in [(640, 480), (3840, 2160)]:
        image = np.full((size[1], size[0], 3), 200, np.uint8)
        shown = draw(image, np.ones((3, 4), bool), caption="EH")
        letters = np.nonzero((shown[:60, :, 0] > 180).any(axis=1) & (shown[:60, -1, 0] < 100))[0]
        heights.append(np.ptp(letters) + 1)
    assert heights[0] >= 9 and heights[1] >= 2.5 * heights[0]


@pytest.mark.parametrize("size_wh", [(32, 32), (33, 47), (8, 300), (640, 16), (1, 1)])
def test_odd_and_tiny_images_are_drawn(size_wh):
    boxes = found(
        (-50, -50, 20, 20, 0.7, 0), (10, 10, 900, 900, 0.6, 1), (-9, -9, -1, -1, 0.5, 7), (3, 3, 3, 3, 0.4, 0)
    )  # fmt: skip
    for keep in (np.zeros((2, 2)), np.eye(2), np.ones((2, 2)), np.eye(50)):
        caption = caption_line(0.5, StepCounts(0, (10**7,), (10**10,)), 1e4, "tracking")
        shown = draw(colorful(*size_wh), keep, boxes, caption)
        assert shown.shape == (size_wh[1], size_wh[0], 3) and shown.dtype == np.uint8


def test_an_object_outside_the_image_is_not_drawn():
    image = colorful(160, 120)
    assert np.array_equal(draw(image, np.ones((2, 2)), found((-40, -40, -5, -5, 0.9, 0))), image)


def test_unknown_classes_and_letters_outside_ascii_are_drawn():
    frame = Frame(colorful(160, 120), "bgr", 0, "")
    objects = found((20, 50, 60, 90, 0.9, 5), (70, 50, 90, 90, 0.8, 0))
    assert draw_overlay(frame, objects, mask_of(np.ones((1, 1))), ("fußgänger",), "größe").any()


def counts(events: int, synops: int) -> StepCounts:
    return StepCounts(0, (events,), (synops,))


@pytest.mark.parametrize(
    "figures, line",
    [
        ((0.84, counts(12_345, 54_100_000), 9.83, "tracking, refresh in 4"),
         "masked 84 %   events 12.3 k   synops 54.1 M   9.8 ms   tracking, refresh in 4"),
        ((0.0, counts(0, 999), 120.04, ""), "masked 0 %   events 0   synops 999   120.0 ms"),
        ((1.0, counts(1_000, 999_960), 0.0, "none"), "masked 100 %   events 1.0 k   synops 1.0 M   0.0 ms   none"),
        ((0.5, counts(999_949, 12_345_678_901_234), 1.0, "x"),
         "masked 50 %   events 999.9 k   synops 12345.7 G   1.0 ms   x"),
        ((0.5, None, 1.0, "x"), "masked 50 %   1.0 ms   x"),
    ],
)  # fmt: skip
def test_the_caption_line_holds_all_figures(figures, line):
    assert caption_line(*figures) == line


def test_an_overlay_takes_little_processor_time():
    image = colorful(640, 480)
    keep = np.zeros((30, 40), bool)
    keep[5:12, 6:20] = keep[18:25, 22:35] = True
    objects = found(*[(40 * i, 90, 40 * i + 25, 160, 0.5, 0) for i in range(1, 13)])
    times = []
    for _ in range(15):
        start = time.process_time()
        draw(image, keep, objects, "caption")
        times.append(time.process_time() - start)
    assert min(times) < 0.010


IMAGE_WH = (200, 100)


def place(*boxes, size=(40, 10), top=0):
    return [tuple(row) for row in place_labels(np.array(boxes), [size] * len(boxes), IMAGE_WH, top).tolist()]


def test_a_label_is_above_the_box_aligned_left():
    assert place((50, 30, 80, 60)) == [(50, 20, 90, 30)]


def test_without_room_above_a_label_is_below():
    assert place((50, 5, 80, 60)) == [(50, 60, 90, 70)]
    assert place((50, 15, 80, 60), top=20) == [(50, 60, 90, 70)]


def test_without_room_above_and_below_a_label_is_beside_the_box():
    assert place((50, 0, 80, 100)) == [(80, 0, 120, 10)]


def test_the_label_of_an_object_that_fills_the_image_is_inside_at_the_top():
    assert place((0, 0, 200, 100), top=15) == [(0, 15, 40, 25)]


def test_labels_of_neighbors_keep_apart():
    first, second = place((50, 30, 60, 60), (65, 30, 75, 60))
    assert first == (50, 20, 90, 30)
    assert second[0] >= first[2] or second[1] >= first[3] or second[3] <= first[1] or second[2] <= first[0]


def test_without_objects_there_are_no_labels():
    assert place_labels(np.zeros((0, 4), np.int64), [], IMAGE_WH).shape == (0, 4)


corner = st.tuples(st.integers(0, 200), st.integers(0, 100), st.integers(0, 200), st.integers(0, 100))


@given(st.lists(corner, max_size=12), st.integers(1, 200), st.integers(1, 100), st.integers(0, 120))
def test_labels_stay_inside_the_image(corners, width, height, top):
    boxes = np.array(corners, np.int64).reshape(-1, 4)
    boxes = np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])])
    labels = place_labels(boxes, [(width, height)] * len(boxes), IMAGE_WH, top)
    assert (labels[:, :2] >= 0).all() and (labels[:, 2:] <= IMAGE_WH).all()
    assert (labels[:, 2:] - labels[:, :2] == (width, height)).all()
    assert (labels[:, 1] >= min(top, IMAGE_WH[1] - height)).all()
