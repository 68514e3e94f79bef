"""The annotated image of a frame: its mask, its detections with labels, and a caption.

Kept regions stay in color inside a thin blue outline, the rest is gray and dark. Boxes and labels are orange:
color-blind readers can distinguish blue and orange. Sizes follow the height of the image. A label is placed so that it
covers neither an object nor another label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..core.detections import Detections
from ..core.frame import Frame
from ..core.result import RegionMask, StepCounts

LABEL_COST = 4.0
OBJECT_COST = 1.0
ORDER_COST = 0.02
"""Cost of a label whose full area covers other labels, covers objects, and for each step down the list of places."""


def place_labels(boxes: np.ndarray, sizes_wh: Sequence[tuple[int, int]], image_wh: tuple[int, int],
                 top: int = 0) -> np.ndarray:
    """Chooses a place for the label of each box, the first box first.

    The place with the least cover is chosen. In order of preference: above the box, aligned left or right; below it;
    beside it; inside at the top.

    Args:
        boxes: int [n, 4], x0, y0, x1, y1, inside the image.
        sizes_wh: Width and height of each label in pixels.
        image_wh: Width and height of the image.
        top: Rows at the top of the image that are not free.

    Returns:
        int64 [n, 4], x0, y0, x1, y1 of the labels, inside the image if they fit.
    """
    boxes = np.asarray(boxes, np.int64).reshape(-1, 4)
    placed = np.zeros_like(boxes)
    for index, (box, size) in enumerate(zip(boxes, sizes_wh)):
        places = _places(box, size, image_wh, top)
        area = max(1, size[0] * size[1])
        cost = LABEL_COST * _cover(places, placed[:index]) + OBJECT_COST * _cover(places, boxes)
        placed[index] = places[np.argmin(cost / area + ORDER_COST * np.arange(len(places)))]
    return placed


def _places(box: np.ndarray, size_wh: tuple[int, int], image_wh: tuple[int, int], top: int) -> np.ndarray:
    """Candidates in order of preference, moved into the image: int64 [7, 4]."""
    x0, y0, x1, y1 = box.tolist()
    width, height = size_wh
    corners = np.array(
        [
            (x0, y0 - height),
            (x1 - width, y0 - height),
            (x0, y1),
            (x1 - width, y1),
            (x1, y0),
            (x0 - width, y0),
            (x0, y0),
        ],
        np.int64,
    )
    room = np.array([max(0, image_wh[0] - width), max(0, image_wh[1] - height)])
    corners = np.minimum(np.maximum(corners, (0, min(top, int(room[1])))), room)
    return np.hstack([corners, corners + size_wh])


def _cover(places: np.ndarray, rectangles: np.ndarray) -> np.ndarray:
    """Pixels of each place that lie on rectangles, summed over the rectangles: float64 [places]."""
    low = np.maximum(places[:, None, :2], rectangles[None, :, :2])
    high = np.minimum(places[:, None, 2:], rectangles[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0).prod(axis=2).sum(axis=1), np.float64)


ORANGE = (48, 165, 255)
SKY_BLUE = (233, 180, 86)
INK = (20, 20, 20)
PAPER = (240, 240, 240)
BAR_SHADE = 24

GRAY_SHARE = 0.36
COLOR_SHARE = 0.09
"""Masked parts keep 45 % of their brightness and a trace of their color: grass can still be distinguished from road."""

BAR_TRANSPARENCY = 0.18

FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_CAPITAL_PX = 21.0
"""Height of a capital letter of the font at scale 1."""


@dataclass(frozen=True)
class _Text:
    """One size of text: height of a capital in pixels, and OpenCV's scale and line width for it."""

    capital: int
    scale: float
    line: int

    @classmethod
    def of_capital(cls, pixels: float) -> _Text:
        return cls(round(pixels), pixels / FONT_CAPITAL_PX, max(1, round(pixels / 11.0)))

    def width(self, text: str) -> int:
        return int(cv2.getTextSize(text, FONT, self.scale, self.line)[0][0])


@dataclass(frozen=True)
class _Style:
    """Sizes in pixels for one height of image. Text grows more slowly than the image: a larger image is sharper."""

    box_line: int
    outline: int
    pad: int
    caption: _Text
    label: _Text

    @classmethod
    def of_height(cls, height: int) -> _Style:
        return cls(box_line=max(1, round(0.5 + height / 300)), outline=max(1, round(height / 700)),
                   pad=max(2, round(1.5 + 0.005 * height)), caption=_Text.of_capital(4.0 + 0.0135 * height),
                   label=_Text.of_capital(3.5 + 0.0115 * height))


def draw_overlay(frame: Frame, detections: Detections, mask: RegionMask, labels: tuple[str, ...],
                 caption: str) -> np.ndarray:
    """Draws mask, boxes with class and score, and the caption of a frame.

    Args:
        frame: The frame.
        detections: Only the corners are drawn of a box whose place is predicted.
        mask: The mask of the frame.
        labels: Class names by class id; an id without a name is shown as its number. Characters outside ASCII are shown
            as "?".
        caption: Text of the bar at the top; "" for no bar.

    Returns:
        A new array, uint8 [height, width, 3], BGR, of the frame's size.
    """
    style = _Style.of_height(frame.size_wh[1])
    image = _shade(frame.bgr(), mask.keep, style.outline)
    bar = _draw_bar(image, caption, style) if caption else 0
    _draw_detections(image, detections, labels, style, bar)
    return image


def keep_to_image(keep: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Stretches a grid of regions over an image.

    Args:
        keep: bool [rows, cols].
        size_wh: Width and height of the image.

    Returns:
        uint8 [height, width], 255 = kept, 0 = masked. The pixel (x, y) shows the region of row
        floor(y * rows / height) and column floor(x * cols / width).
    """
    width, height = size_wh
    rows = np.arange(height) * keep.shape[0] // height
    cols = np.arange(width) * keep.shape[1] // width
    stretched: np.ndarray = np.take(np.take(keep.astype(np.uint8) * np.uint8(255), cols, axis=1), rows, axis=0)
    return stretched


def caption_line(masked_share: float, counts: StepCounts | None, ms_total: float, mask_text: str) -> str:
    """Returns the caption of one frame; without counts for a dense network.

    >>> caption_line(0.84, StepCounts(2_345, (10_000,), (54_100_000,)), 9.83, "tracking, refresh in 4")
    'masked 84 %   events 12.3 k   synops 54.1 M   9.8 ms   tracking, refresh in 4'
    """
    figures = f"masked {100 * masked_share:.0f} %"
    if counts is not None:
        figures += f"   events {_format_count(counts.events)}   synops {_format_count(counts.total_synops)}"
    return f"{figures}   {ms_total:.1f} ms   {mask_text}".rstrip()


def _format_count(count: int) -> str:
    """A count in at most four digits and a unit: 812, 12.3 k, 54.1 M, 1.2 G."""
    if count < 1000:
        return str(int(count))
    value = float(count)
    for unit in ("k", "M", "G"):
        value /= 1000.0
        if value < 999.95 or unit == "G":
            break
    return f"{value:.1f} {unit}"


def _shade(bgr: np.ndarray, keep: np.ndarray, outline: int) -> np.ndarray:
    """A copy with masked regions gray and dark, and the kept area outlined."""
    if keep.all():
        return bgr.copy()
    gray = cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    image = cv2.addWeighted(gray, GRAY_SHARE, bgr, COLOR_SHARE, 0.0)
    height, width = bgr.shape[:2]
    cv2.copyTo(bgr, keep_to_image(keep, (width, height)), image)
    for x0, y0, x1, y1 in _borders(keep, (width, height), outline):
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), SKY_BLUE, cv2.FILLED)
    return image


def _borders(keep: np.ndarray, size_wh: tuple[int, int], thickness: int) -> list[tuple[int, int, int, int]]:
    """Bars x0 y0 x1 y1 (ends excluded) along every border between kept and masked, on the kept side."""
    width, height = size_wh
    # The first pixel of a column of regions is where floor(x * cols / width) reaches it.
    xs = -(-np.arange(keep.shape[1] + 1) * width // keep.shape[1])
    ys = -(-np.arange(keep.shape[0] + 1) * height // keep.shape[0])
    bars = []
    for row, start, end, after in _edge_runs(keep):
        y = int(ys[row]) if after else int(ys[row]) - thickness
        bars.append((int(xs[start]), y, int(xs[end]), y + thickness))
    for col, start, end, after in _edge_runs(keep.T):
        x = int(xs[col]) if after else int(xs[col]) - thickness
        bars.append((x, int(ys[start]), x + thickness, int(ys[end])))
    return bars


def _edge_runs(keep: np.ndarray) -> list[tuple[int, int, int, bool]]:
    """Unbroken runs of border between neighboring rows: (row below, first column, end column, kept is below)."""
    runs = []
    for after in (True, False):
        edge = (keep[1:] > keep[:-1]) if after else (keep[1:] < keep[:-1])
        step = np.diff(np.pad(edge, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        rows, starts = np.nonzero(step == 1)
        ends = np.nonzero(step == -1)[1]
        runs += [(row + 1, start, end, after) for row, start, end in zip(rows.tolist(), starts, ends)]
    return runs


def _draw_bar(image: np.ndarray, caption: str, style: _Style) -> int:
    """Draws the bar with the caption, smaller if the image is too narrow, and returns the height of the bar."""
    height, width = image.shape[:2]
    bar = min(int(height), style.caption.capital + 4 * style.pad)
    strip = image[:bar]
    cv2.convertScaleAbs(strip, dst=strip, alpha=BAR_TRANSPARENCY, beta=BAR_SHADE)
    text = _ascii(caption)
    room = max(1, width - 4 * style.pad)
    scale = style.caption.scale * min(1.0, room / max(1, style.caption.width(text)))
    baseline = round((bar + scale * FONT_CAPITAL_PX) / 2)
    cv2.putText(image, text, (2 * style.pad, baseline), FONT, scale, PAPER, style.caption.line, cv2.LINE_AA)
    return bar


def _draw_detections(image: np.ndarray, detections: Detections, labels: tuple[str, ...], style: _Style,
                     bar: int) -> None:
    """Draws all boxes, then all labels, so that no box crosses a label; the highest score comes last, on top.

    Boxes end at the bar: no line crosses the caption.
    """
    height, width = image.shape[:2]
    boxes = np.clip(detections.boxes, 0, [width, height, width, height]).round().astype(np.int64)
    visible = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, resting = boxes[visible], detections.resting[visible]
    texts = [
        _ascii(f"{labels[kind] if 0 <= kind < len(labels) else kind} {score:.2f}")
        for kind, score in zip(detections.class_ids[visible].tolist(), detections.scores[visible].tolist())]
    font, pad = style.label, style.pad
    sizes = [(font.width(text) + 2 * pad, font.capital + 2 * pad) for text in texts]
    tabs = place_labels(boxes, sizes, (width, height), bar)
    for box, rests in zip(boxes[::-1].tolist(), resting[::-1].tolist()):
        (_draw_corners if rests else _draw_box)(image[bar:], box, bar, style.box_line)
    for text, (x0, y0, x1, y1) in zip(texts[::-1], tabs[::-1].tolist()):
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), ORANGE, cv2.FILLED)
        cv2.putText(image, text, (x0 + pad, y1 - pad - 1), FONT, font.scale, INK, font.line, cv2.LINE_AA)


def _draw_box(below: np.ndarray, box: Sequence[int], bar: int, line: int) -> None:
    """below: the part of the image under the bar."""
    x0, y0, x1, y1 = box
    cv2.rectangle(below, (x0, y0 - bar), (x1 - 1, y1 - 1 - bar), ORANGE, line, cv2.LINE_8)


def _draw_corners(below: np.ndarray, box: Sequence[int], bar: int, line: int) -> None:
    """Draws a quarter of each side from every corner."""
    x0, y0, x1, y1 = box[0], box[1] - bar, box[2] - 1, box[3] - 1 - bar
    across, down = max(1, (x1 - x0) // 4), max(1, (y1 - y0) // 4)
    for x, step_x in ((x0, across), (x1, -across)):
        for y, step_y in ((y0, down), (y1, -down)):
            cv2.line(below, (x, y), (x + step_x, y), ORANGE, line, cv2.LINE_8)
            cv2.line(below, (x, y), (x, y + step_y), ORANGE, line, cv2.LINE_8)


def _ascii(text: str) -> str:
    """The font of OpenCV has no other characters."""
    return text.encode("ascii", "replace").decode("ascii")
