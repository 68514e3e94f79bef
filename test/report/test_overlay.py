"""The annotated image: which pixels show what, at every size, and where labels are."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.frame import Frame
from regionmask_ros.core.result import RegionMask, StepCounts, StepResult
from regionmask_ros.report.display_tracks import CONFIRMING_HITS
from regionmask_ros.report.overlay import (
    CLASS_COLORS,
    MOST_CALM,
    SKY_BLUE,
    Overlay,
    caption_line,
    draw_mask,
    keep_to_image,
)

LABELS = ("person", "car")
ORANGE = CLASS_COLORS[0]


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


def result_of(frame: Frame, keep: np.ndarray, detections: Detections, index: int = 0) -> StepResult:
    return StepResult(index, frame, detections, mask_of(keep), "", np.zeros((1, 1), np.uint16), None,
                      np.zeros((1, 1, 1), np.int32), StepCounts(0, (), ()), {"total": 0.0})


def draw(image, keep, detections=None, caption=""):
    """The first frame of an overlay."""
    frame = Frame(image, "bgr", 0, "")
    return Overlay(LABELS).draw(result_of(frame, keep, detections or Detections.empty()), caption)


def draw_all(image, *frames: Detections) -> list[np.ndarray]:
    """Frames of the same image, everything observed."""
    overlay, keep = Overlay(LABELS), np.ones((1, 1))
    return [overlay.draw(result_of(Frame(image, "bgr", index, ""), keep, one, index), "")
            for index, one in enumerate(frames)]


def is_orange(image: np.ndarray) -> np.ndarray:
    return (image == ORANGE).all(axis=2)


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


def test_idle_frames_look_as_the_frame_before_without_its_outline_but_not_for_long():
    image, half = colorful(160, 120), np.zeros((6, 8), bool)
    half[:3] = True
    none, overlay = np.zeros((6, 8), bool), Overlay(LABELS)
    shown = [overlay.draw(result_of(Frame(image, "bgr", t, ""), keep, Detections.empty(), t), "")
             for t, keep in enumerate([none, half, *[none] * (MOST_CALM + 1), half[::-1], none])]
    gray, active, *idle, late, other, after = shown
    assert np.array_equal(gray, draw(image, none)) and np.array_equal(active, draw(image, half))
    assert len(idle) == MOST_CALM and all(np.array_equal(one[:60], image[:60]) for one in idle)
    assert all(np.array_equal(one[60:], gray[60:]) for one in idle) and np.array_equal(late, gray)
    assert np.array_equal(other[62:], image[62:]) and np.array_equal(after[60:], image[60:])


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
    assert np.array_equal(Overlay(LABELS).draw(result_of(other, keep, detections), "caption"), shown)


def test_only_the_corners_of_a_predicted_box_are_drawn():
    seen = found((30, 50, 80, 100, 0.9, 0))
    shown = draw_all(colorful(160, 120), *[seen] * CONFIRMING_HITS, Detections.empty())
    whole, corners = is_orange(shown[-2]), is_orange(shown[-1])
    assert whole[75, 30] and whole[99, 55] and not corners[75, 30] and not corners[99, 55]
    assert corners[50, 30] and corners[99, 79] and corners[99, 30] and not (corners & ~whole).any()


def test_a_confirmed_object_has_a_box_and_a_label_and_a_new_one_beside_it_a_thin_box():
    old, new = (100, 200, 160, 300), (400, 200, 460, 300)
    both = found((*old, 0.9, 0), (*new, 0.8, 0))
    shown = draw_all(colorful(640, 480), *[both.take(slice(1))] * CONFIRMING_HITS, both)
    before, now = is_orange(shown[-2]), is_orange(shown[-1])
    assert np.array_equal(now[:, :350], before[:, :350])
    added = now & ~before
    x, y = np.arange(640), np.arange(480)[:, None]
    line = (np.abs(x - 400) < 1) | (np.abs(x - 459) < 1) | (np.abs(y - 200) < 1) | (np.abs(y - 299) < 1)
    assert added.any() and not (added & ~line).any()


def test_the_label_shows_the_number_of_the_track_once_the_object_is_confirmed():
    def shown(*track_ids: int) -> list[np.ndarray]:
        one = found((100, 200, 160, 300, 0.9, 0))
        numbered = [Detections(one.boxes, one.scores, one.class_ids, np.array([number])) for number in track_ids]
        return draw_all(colorful(640, 480), *numbered)

    first, second = shown(*[12] * CONFIRMING_HITS), shown(*[13] * CONFIRMING_HITS)
    same = [np.array_equal(one, other) for one, other in zip(first, second)]
    assert same == [True] * (CONFIRMING_HITS - 1) + [False]


def test_each_class_has_a_color():
    both = found((100, 200, 160, 300, 0.9, 0), (400, 200, 460, 300, 0.8, 1))
    shown = draw(colorful(640, 480), np.ones((1, 1)), both)
    for column, color in ((100, CLASS_COLORS[0]), (400, CLASS_COLORS[1])):
        assert (shown[250, column] == color).all()
    assert len({*CLASS_COLORS, SKY_BLUE}) == len(CLASS_COLORS) + 1
    # Dark text is readable: its luminance is far from theirs.
    assert min(0.114 * blue + 0.587 * green + 0.299 * red for blue, green, red in CLASS_COLORS) > 140


def test_a_mask_alone_is_drawn_as_under_objects():
    image, keep = colorful(160, 120), np.eye(6, 8, dtype=bool)
    alone = draw_mask(Frame(image, "bgr", 0, ""), mask_of(keep), "caption")
    assert np.array_equal(alone, draw(image, keep, None, "caption"))


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
    assert Overlay(("fußgänger",)).draw(result_of(frame, np.ones((1, 1)), objects), "größe").any()


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
        ((None, counts(1, 54_100_000), 9.83, ""), "synops 54.1 M   9.8 ms"),
        ((None, None, 9.83, ""), "9.8 ms"),
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
