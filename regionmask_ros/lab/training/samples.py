"""Training samples: a part of a frame, with random geometry and colors, and the change since an earlier frame.

The variation replaces what the clips lack: cameras of other shapes, objects of other sizes, cameras that shake or turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..evaluation.mask_recall import KNOWN_SHARE
from .clips import TrainingClip
from .teacher import box_area

LEAST_ZOOM, MOST_ZOOM = 0.4, 1.6
"""Side of the window relative to the image. Beyond the image, the window shows its mirror image."""

GRAY_SHARE = 0.25
"""Share of samples without colors, so that the network does not rely on those of a dozen places."""

CHANGE_GRAY = 6
"""Gray values from which on a pixel counts as changed: about the encoder's threshold."""

MAX_IDLE_FRAMES = 8
"""Largest age in frames of the frame that the change refers to: as long as a region may be masked between refreshes."""

NEWCOMER_WEIGHT, KNOWN_WEIGHT = 3.0, 0.7
HALO = (0.7, 0.45, 0.25, 0.12)
"""Targets of cells at a distance of one, two, ... cells from an object."""

MOSTLY, LEAST_CELLS = 0.6, 0.5
"""An object counts as a whole when more than this share of its box lies in the sample, and when it covers at least this
number of cells."""

TOUCHED_CELL, TOUCHED_BOX = 0.1, 0.2
"""A cell belongs to an object that covers at least this share of the cell, or of which this share lies in the cell."""


@dataclass(frozen=True)
class Sample:
    """One sample for the network.

    Attributes:
        values: uint8 [4, h, w]: red, green, blue and change.
        target: float32 [rows, cols], wanted score of each cell, 0 to 1.
        weight: float32 [rows, cols], weight of each cell in the loss.
        covered: float32 [n, rows, cols], share of each cell that each object covers, for objects that lie mostly in the
            sample.
        worth: float32 [n], weight of each of these objects in the loss.
    """

    values: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    covered: np.ndarray
    worth: np.ndarray


@dataclass(frozen=True)
class _Window:
    """A part of an image: center and size (x, y) as shares of the image, and whether left and right are swapped."""

    center: np.ndarray
    size: np.ndarray
    flip: bool

    def matrix(self, source_wh: np.ndarray, target_wh: np.ndarray) -> np.ndarray:
        """From target to source pixels, float64 [2, 3], for ``cv2.warpAffine`` with ``WARP_INVERSE_MAP``."""
        step = self.size * source_wh / target_wh
        start = (self.center - self.size / 2) * source_wh + step / 2 - 0.5
        if self.flip:
            start[0] += step[0] * (target_wh[0] - 1)
            step = step * [-1, 1]
        return np.array([[step[0], 0, start[0]], [0, step[1], start[1]]])

    def place(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes as shares of the window, from shares of the image: float [n, 4]."""
        placed: np.ndarray = (boxes - np.tile(self.center - self.size / 2, 2)) / np.tile(self.size, 2)
        if self.flip:
            placed = np.column_stack([1 - placed[:, 2], placed[:, 1], 1 - placed[:, 0], placed[:, 3]])
        return placed


def draw_sample(clip: TrainingClip, number: int, size_hw: tuple[int, int], cells: tuple[int, int],
                rng: np.random.Generator) -> Sample:
    """Draws a sample around a frame.

    Args:
        clip: The clip.
        number: The frame.
        size_hw: Height and width of the sample.
        cells: Rows and columns of scores.
        rng: Source of all random choices.

    Returns:
        The sample.
    """
    images, target_wh = clip.images, np.array(size_hw[::-1])
    source_wh = np.array(images.shape[2:0:-1])
    window = _draw_window(clip, number, source_wh, target_wh, rng)
    before = _earlier_frame(clip, number, rng)
    double = 2 * size_hw[1], 2 * size_hw[0]
    now, then = (
        cv2.warpAffine(images[t], part.matrix(source_wh, 2 * target_wh), double, borderMode=cv2.BORDER_REFLECT_101,
                       flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        for t, part in ((number, window), (before, _jitter_window(window, rng))))
    now, then = _jitter_colors(now, then, rng)
    return _make_sample(clip, number, window, now, then, size_hw, cells)


def join_halves(left: Sample, right: Sample) -> Sample:
    """Joins samples of two places side by side: objects in one half must score above the background of the other."""
    values, target, weight = (np.concatenate(pair, axis=-1) for pair in (
        (left.values, right.values), (left.target, right.target), (left.weight, right.weight)))
    width = left.target.shape[1]
    covered = np.concatenate([np.pad(left.covered, ((0, 0), (0, 0), (0, width))),
                              np.pad(right.covered, ((0, 0), (0, 0), (width, 0)))])
    return Sample(values, target, weight, covered, np.concatenate([left.worth, right.worth]))


def whole_frame_sample(clip: TrainingClip, number: int, size_hw: tuple[int, int], cells: tuple[int, int]) -> Sample:
    """Makes a sample of the whole frame, unchanged, with the change since the frame before it.

    Args:
        clip: The clip.
        number: The frame.
        size_hw: Height and width of the sample.
        cells: Rows and columns of scores.

    Returns:
        The sample.
    """
    before = number - 1 if number and clip.shot[number - 1] == clip.shot[number] else number
    window = _Window(np.array([0.5, 0.5]), np.array([1.0, 1.0]), False)
    return _make_sample(clip, number, window, clip.images[number], clip.images[before], size_hw, cells)


def _make_sample(clip: TrainingClip, number: int, window: _Window, now: np.ndarray, then: np.ndarray,
                 size_hw: tuple[int, int], cells: tuple[int, int]) -> Sample:
    """Of two images, uint8 [h, w, 3], that show that window."""
    moved = (cv2.absdiff(now[:, :, 1], then[:, :, 1]) >= CHANGE_GRAY).astype(np.uint8) * 255
    by_cell = cv2.resize(moved, cells[::-1], interpolation=cv2.INTER_AREA)
    change = cv2.resize(by_cell, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    image = cv2.resize(now, size_hw[::-1], interpolation=cv2.INTER_AREA)
    values = np.concatenate([image, change[:, :, None]], axis=2).transpose(2, 0, 1)
    return Sample(np.ascontiguousarray(values), *_make_targets(clip, number, window, cells))


def _draw_window(clip: TrainingClip, number: int, source_wh: np.ndarray, target_wh: np.ndarray,
                 rng: np.random.Generator) -> _Window:
    """A random part of a frame, often around an object."""
    zoom = np.exp(rng.uniform(np.log(LEAST_ZOOM), np.log(MOST_ZOOM)))
    aspect = target_wh[0] / target_wh[1] * np.exp(rng.uniform(-0.25, 0.25))
    side = zoom * np.sqrt(source_wh.prod())
    size = side * np.array([np.sqrt(aspect), 1 / np.sqrt(aspect)]) / source_wh
    objects = clip.labels.objects[number]
    if len(objects) and rng.random() < 0.6:
        box = objects[rng.integers(len(objects))]
        center = (box[:2] + box[2:]) / 2 + rng.uniform(-0.5, 0.5, 2) * size
    else:
        center = rng.random(2)
    # A window smaller than the image stays inside it; a larger one contains it.
    low, high = np.minimum(size / 2, 1 - size / 2), np.maximum(size / 2, 1 - size / 2)
    return _Window(np.clip(center, low, high), size, bool(rng.random() < 0.5))


def _jitter_window(window: _Window, rng: np.random.Generator) -> _Window:
    """The window in the earlier frame: displaced in every third sample, as if the camera had moved."""
    if rng.random() < 0.65:
        return window
    size = window.size * np.exp(rng.normal(0, 0.015))
    return _Window(window.center + rng.normal(0, 0.02, 2) * window.size, size, window.flip)


def _earlier_frame(clip: TrainingClip, number: int, rng: np.random.Generator) -> int:
    before = max(0, number - int(rng.choice([1, 1, 2, 3, 5, MAX_IDLE_FRAMES])))
    return before if clip.shot[before] == clip.shot[number] else number


def _jitter_colors(now: np.ndarray, then: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Both images with the same change of colors but for a small difference, and with noise of their own."""
    gain = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.06, 3))
    shift = rng.normal(0, 20)
    gray = rng.random() < GRAY_SHARE
    noise = rng.uniform(0, 3.0) if rng.random() < 0.5 else 0.0
    blur = rng.random() < 0.2
    results = []
    for original, drift in ((now, 0.0), (then, rng.normal(0, 1.5))):
        table = np.clip(np.arange(256)[:, None] * gain + shift + drift, 0, 255).astype(np.uint8)
        image = cv2.LUT(original, table[:, None, :])
        if gray:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if blur:
            image = cv2.GaussianBlur(image, (5, 5), 0)
        if noise:
            grain = np.empty(image.shape, np.int16)
            cv2.setRNGSeed(int(rng.integers(1 << 30)))
            cv2.randn(grain, 0, noise)  # type: ignore[call-overload]  # OpenCV takes numbers, too
            image = cv2.add(image, grain, dtype=cv2.CV_8U)
        results.append(image)
    return results[0], results[1]


def _make_targets(clip: TrainingClip, number: int, window: _Window, cells: tuple[int, int]
                  ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The fields target, weight, covered and worth of a sample."""
    labels = clip.labels
    objects, uncertain = window.place(labels.objects[number]), window.place(labels.uncertain[number])
    same_shot = number > 0 and clip.shot[number - 1] == clip.shot[number]
    known = window.place(labels.known[number - 1]) if same_shot else np.zeros((0, 4))
    touched, covered = _touched_cells(objects, cells), _cell_coverage(known, cells).max(axis=0, initial=0.0)
    share = _cell_coverage(objects, cells)
    overlap = (share * covered).sum(axis=(1, 2)) / np.maximum(share.sum(axis=(1, 2)), 1e-6)
    worth = np.where(overlap < KNOWN_SHARE, NEWCOMER_WEIGHT, KNOWN_WEIGHT)
    area = box_area(objects)
    whole = (share.sum(axis=(1, 2)) >= LEAST_CELLS) & (box_area(np.clip(objects, 0, 1)) > MOSTLY * area)
    covered_by_whole, worth_of_whole = share[whole].astype(np.float32), worth[whole].astype(np.float32)
    # A large object has many cells; each object shall count about the same.
    worth = worth * np.clip(8.0 / np.maximum(touched.sum(axis=(1, 2)), 1), 0.6, 3.0)
    inner = np.any(touched, axis=0)
    weight = np.where(_cell_coverage(uncertain, cells).max(axis=0, initial=0.0) > TOUCHED_CELL, 0.0, 1.0)
    weight = np.where(inner, (touched * worth[:, None, None]).max(axis=0, initial=0.0), weight)
    weight = (weight * _inside(window, cells)).astype(np.float32)
    return _with_halo(inner), weight, covered_by_whole, worth_of_whole


def _with_halo(inner: np.ndarray) -> np.ndarray:
    """Targets, float32 [rows, cols]: 1 on objects, less with the distance from them."""
    # A mask's threshold is a low score, so the scores of cells beside objects must have a sensible order, too.
    target = inner.astype(np.float32)
    for reach, value in enumerate(HALO, 1):
        near = cv2.dilate(inner.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        target = np.maximum(target, value * near.astype(np.float32))
    return target


def _inside(window: _Window, cells: tuple[int, int]) -> np.ndarray:
    """Cells whose center lies in the image, bool [rows, cols]; beyond it nothing is known."""
    low, high = window.place(np.array([[0.0, 0.0, 1.0, 1.0]])).reshape(2, 2)
    y, x = ((np.arange(count) + 0.5) / count for count in cells)
    inside: np.ndarray = ((y > low[1]) & (y < high[1]))[:, None] & ((x > low[0]) & (x < high[0]))
    return inside


def _cell_coverage(boxes: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Share of each cell that each box covers, float64 [n, rows, cols]."""
    down, across = (
        np.clip(np.minimum(boxes[:, 2 + axis, None] * count, np.arange(1, count + 1))
                - np.maximum(boxes[:, axis, None] * count, np.arange(count)), 0, 1)
        for axis, count in ((1, cells[0]), (0, cells[1])))
    share: np.ndarray = down[:, :, None] * across[:, None, :]
    return share


def _touched_cells(boxes: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """Which cells belong to each box, bool [n, rows, cols]."""
    share = _cell_coverage(boxes, cells)
    area = np.maximum(box_area(boxes) * cells[0] * cells[1], 1e-9)
    touched: np.ndarray = (share >= TOUCHED_CELL) | (share >= TOUCHED_BOX * area[:, None, None])
    return touched
