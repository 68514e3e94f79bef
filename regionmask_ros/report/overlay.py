"""The annotated images of a camera: the mask of a frame, its objects with labels, and a caption.

Kept regions stay in color inside a thin blue outline, the rest is gray and dark. Boxes and labels have a color for each
class. None is blue, so that color-blind readers distinguish them from the outline. Sizes follow the height of the
image. A label is placed so that it covers neither an object nor another label, and stays there. Objects are steady,
see ``display_tracks``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..core.detections import UNTRACKED
from ..core.frame import Frame
from ..core.result import RegionMask, StepCounts, StepResult, TileCounts
from .display_tracks import Certainty, DisplayTracks, ShownObject
from .label_places import NEW, place_labels

CLASS_COLORS = (
    (48, 165, 255), (66, 228, 240), (200, 154, 231), (154, 211, 47), (77, 122, 255), (235, 235, 235), (255, 165, 185),
    (90, 227, 182))
"""Colors of classes, BGR, by class id: orange, yellow, pink, green, red, white, lavender and lime, which then repeat.
COCO's people, bicycles, cars, motorcycles, buses, trains and trucks have different ones. Dark text is readable on all.
"""

SKY_BLUE = (233, 180, 86)
INK = (20, 20, 20)
PAPER = (240, 240, 240)
BAR_SHADE = 24

GRAY_SHARE = 0.36
COLOR_SHARE = 0.09
"""Masked parts keep 45 % of their brightness and a trace of their color: grass can still be distinguished from road."""

MOST_CALM = 4
"""Idle frames in a row, at most, that look as the frame before them: presets have one to three."""

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


class Overlay:
    """Draws the frames of one camera, in order. It remembers objects and the places of their labels.

    Confirmed objects have a box and a label, with the number of their track where they are tracked, else with their
    score in steps. Only the corners are drawn of a box whose place is predicted. Other detections have a thin box,
    without a label while any object is confirmed.

    Args:
        labels: Class names by class id; an id without a name is shown as its number. Characters outside ASCII are shown
            as "?".
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._tracks = DisplayTracks()
        self._places: dict[int, int] = {}
        self._observed: np.ndarray | None = None
        self._idle_frames = 0

    def draw(self, result: StepResult, caption: str, align: str = "left") -> np.ndarray:
        """Draws mask, objects and caption of the next frame.

        In an idle frame nothing is observed. All of it gray would flicker: for ``MOST_CALM`` frames it has the mask of
        the last frame that is not idle, without the outline.

        Args:
            result: The frame and its results.
            caption: Text of the bar at the top; "" for no bar.
            align: Where the text stands, left or right.

        Returns:
            A new array, uint8 [height, width, 3], BGR, of the frame's size.
        """
        frame = result.frame
        style = _Style.of_height(frame.size_wh[1])
        keep, outline = result.mask.keep, style.outline
        self._idle_frames = 0 if keep.any() else self._idle_frames + 1
        is_calm = 0 < self._idle_frames <= MOST_CALM
        if is_calm and self._observed is not None and self._observed.shape == keep.shape:
            keep, outline = self._observed, 0
        else:
            self._observed = keep
        image, bar = _draw_background(frame, keep, caption, style, outline, align)
        shown = self._tracks.update(result.detections, frame.size_wh, result.index, frame.stamp_ns)
        self._draw_objects(image, shown, style, bar)
        return image

    def _draw_objects(self, image: np.ndarray, shown: Sequence[ShownObject], style: _Style, bar: int) -> None:
        """Draws all boxes, then all labels, so that no box crosses a label; the oldest object comes last, on top.

        Boxes end at the bar: no line crosses the caption.
        """
        for one in shown[::-1]:
            color = class_color(one.class_id)
            if one.certainty is Certainty.PREDICTED:
                _draw_corners(image[bar:], one.box, bar, style.box_line, color)
            else:
                line = style.outline if one.certainty is Certainty.TENTATIVE else style.box_line
                _draw_box(image[bar:], one.box, bar, line, color)
        confirmed = [one for one in shown if one.certainty is not Certainty.TENTATIVE]
        labeled = confirmed or list(shown)
        texts = [_label(one, self._labels) for one in labeled]
        font, pad = style.label, style.pad
        sizes = [(font.width(text) + 2 * pad, font.capital + 2 * pad) for text in texts]
        height, width = image.shape[:2]
        tabs, places = place_labels(
            np.array([one.box for one in labeled]), sizes, (width, height), bar,
            [self._places.get(one.key, NEW) for one in labeled])
        self._places = {one.key: place for one, place in zip(labeled, places)}
        for one, text, (x0, y0, x1, y1) in zip(labeled[::-1], texts[::-1], tabs[::-1].tolist()):
            cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), class_color(one.class_id), cv2.FILLED)
            cv2.putText(image, text, (x0 + pad, y1 - pad - 1), FONT, font.scale, INK, font.line, cv2.LINE_AA)


def class_color(class_id: int) -> tuple[int, int, int]:
    """The color of a class, BGR."""
    return CLASS_COLORS[class_id % len(CLASS_COLORS)]


def draw_box(image: np.ndarray, box: Sequence[int], class_id: int) -> None:
    """Draws the box of an object, without a label, in the color of its class.

    Args:
        image: uint8 [height, width, 3], BGR, which is changed.
        box: x0, y0, x1, y1 in pixels.
        class_id: Its class.
    """
    _draw_box(image, box, 0, 1 + _Style.of_height(image.shape[0]).box_line, class_color(class_id))


def draw_mask(frame: Frame, mask: RegionMask, caption: str) -> np.ndarray:
    """Draws mask and caption of a single frame: as ``Overlay.draw``, without objects."""
    style = _Style.of_height(frame.size_wh[1])
    return _draw_background(frame, mask.keep, caption, style, style.outline)[0]


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


def caption_line(masked_share: float | None, counts: StepCounts | None, ms_total: float, mask_text: str,
                 tile_counts: TileCounts | None = None) -> str:
    """Returns the caption of one frame, with what was counted; short where there are no masks.

    >>> caption_line(0.84, StepCounts(2_345, (10_000,), (54_100_000,)), 9.83, "tracking, refresh in 4")
    'masked 84 %   events 12.3 k   synops 54.1 M   9.8 ms   tracking, refresh in 4'
    """
    if masked_share is None:
        counted = "" if counts is None else f"synops {_format_count(counts.total_synops)}   "
        if tile_counts is not None:
            counted = f"MACs {100 * tile_counts.totals.mac_share:.0f} %   "
        return f"{counted}{ms_total:.1f} ms   {mask_text}".rstrip()
    figures = f"masked {100 * masked_share:.0f} %"
    if counts is not None:
        figures += f"   events {_format_count(counts.events)}   synops {_format_count(counts.total_synops)}"
    if tile_counts is not None:
        figures += f"   MACs {100 * tile_counts.totals.mac_share:.0f} %"
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
    """A copy with masked regions gray and dark, and the kept area outlined, unless the outline's thickness is 0."""
    if keep.all():
        return bgr.copy()
    gray = cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    image = cv2.addWeighted(gray, GRAY_SHARE, bgr, COLOR_SHARE, 0.0)
    height, width = bgr.shape[:2]
    cv2.copyTo(bgr, keep_to_image(keep, (width, height)), image)
    for x0, y0, x1, y1 in _borders(keep, (width, height), outline) if outline else ():
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


def _draw_background(frame: Frame, keep: np.ndarray, caption: str, style: _Style, outline: int, align: str = "left"
                     ) -> tuple[np.ndarray, int]:
    """The image with mask and caption, and the height of the caption's bar."""
    image = _shade(frame.bgr(), keep, outline)
    return image, _draw_bar(image, caption, style, align) if caption else 0


def _draw_bar(image: np.ndarray, caption: str, style: _Style, align: str) -> int:
    """Draws the bar with the caption, smaller if the image is too narrow, and returns the height of the bar."""
    height, width = image.shape[:2]
    bar = min(int(height), style.caption.capital + 4 * style.pad)
    strip = image[:bar]
    cv2.convertScaleAbs(strip, dst=strip, alpha=BAR_TRANSPARENCY, beta=BAR_SHADE)
    text = _ascii(caption)
    room = max(1, width - 4 * style.pad)
    scale = style.caption.scale * min(1.0, room / max(1, style.caption.width(text)))
    baseline = round((bar + scale * FONT_CAPITAL_PX) / 2)
    length = cv2.getTextSize(text, FONT, scale, style.caption.line)[0][0]
    start = 2 * style.pad if align == "left" else max(0, width - 2 * style.pad - length)
    cv2.putText(image, text, (start, baseline), FONT, scale, PAPER, style.caption.line, cv2.LINE_AA)
    return bar


def _label(one: ShownObject, labels: tuple[str, ...]) -> str:
    name = labels[one.class_id] if 0 <= one.class_id < len(labels) else one.class_id
    is_numbered = one.track_id != UNTRACKED and one.certainty is not Certainty.TENTATIVE
    return _ascii(f"{name} {one.track_id}" if is_numbered else f"{name} {one.score:.1f}")


def _draw_box(below: np.ndarray, box: Sequence[int], bar: int, line: int, color: tuple[int, int, int]) -> None:
    """below: the part of the image under the bar."""
    x0, y0, x1, y1 = box
    cv2.rectangle(below, (x0, y0 - bar), (x1 - 1, y1 - 1 - bar), color, line, cv2.LINE_8)


def _draw_corners(below: np.ndarray, box: Sequence[int], bar: int, line: int, color: tuple[int, int, int]) -> None:
    """Draws a quarter of each side from every corner."""
    x0, y0, x1, y1 = box[0], box[1] - bar, box[2] - 1, box[3] - 1 - bar
    across, down = max(1, (x1 - x0) // 4), max(1, (y1 - y0) // 4)
    for x, step_x in ((x0, across), (x1, -across)):
        for y, step_y in ((y0, down), (y1, -down)):
            cv2.line(below, (x, y), (x + step_x, y), color, line, cv2.LINE_8)
            cv2.line(below, (x, y), (x, y + step_y), color, line, cv2.LINE_8)


def _ascii(text: str) -> str:
    """The font of OpenCV has no other characters."""
    return text.encode("ascii", "replace").decode("ascii")
