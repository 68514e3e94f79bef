"""One training sample: a part of a frame, bent and coloured by chance, with the change since an earlier frame.

What the clips lack is made up for here: cameras of other shapes, objects of other sizes, cameras that shake and turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .clips import Clip

LEAST_ZOOM, MOST_ZOOM = 0.4, 1.6
"""Side of the window, in sides of the picture. Where it is larger, the picture is continued by its mirror image."""

GREY_SHARE = 0.25
"""Share of samples without colours, so that the network does not rely on those of a dozen places."""

CHANGE_GREY = 6
"""Grey values from which on a pixel counts as changed: about the encoder's threshold."""

MAX_IDLE_FRAMES = 8
"""Frames back to the one that the change refers to, at most: as long as a region may rest between refreshes."""

NEWCOMER_WEIGHT, KNOWN_WEIGHT = 3.0, 0.7
HALO = (0.7, 0.45, 0.25, 0.12)
"""What is wanted of cells one, two, .. away from an object."""

KNOWN_SHARE = 0.5
"""Covered share of a box from which on it is known from the last result, and no newcomer."""

MOSTLY, LEAST_CELLS = 0.6, 0.5
"""An object counts as one that is to be attended as a whole when more than this share of its box lies in the picture,
and when it covers so many cells."""

TOUCHED_CELL, TOUCHED_BOX = 0.1, 0.2
"""A cell belongs to an object that covers so much of it, or that lies in it with so much of its own area."""


@dataclass(frozen=True)
class Sample:
    """values: uint8 [4, h, w], red, green, blue and change. target, weight: float32 [rows, cols] of cells.

    covered: float32 [n, rows, cols], the share of each cell that each object covers, of those that are mostly in the
    picture. worth: float32 [n], how much each of these counts.
    """

    values: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    covered: np.ndarray
    worth: np.ndarray


@dataclass(frozen=True)
class _Window:
    """A part of a picture: centre and size in shares of it, and whether it is turned left to right."""

    centre: np.ndarray
    size: np.ndarray
    flip: bool

    def matrix(self, source_wh: np.ndarray, target_wh: np.ndarray) -> np.ndarray:
        """2x3, from target pixels to source pixels, for ``cv2.warpAffine`` with ``WARP_INVERSE_MAP``."""
        step = self.size * source_wh / target_wh
        start = (self.centre - self.size / 2) * source_wh + step / 2 - 0.5
        if self.flip:
            start[0] += step[0] * (target_wh[0] - 1)
            step = step * [-1, 1]
        return np.array([[step[0], 0, start[0]], [0, step[1], start[1]]])

    def place(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes, shares of the picture, as shares of the window."""
        placed = (boxes - np.tile(self.centre - self.size / 2, 2)) / np.tile(self.size, 2)
        if self.flip:
            placed = np.column_stack([1 - placed[:, 2], placed[:, 1], 1 - placed[:, 0], placed[:, 3]])
        return placed


def draw_sample(clip: Clip, number: int, size_hw: tuple[int, int], cells: tuple[int, int],
         rng: np.random.Generator) -> Sample:
    """A sample around that frame. size_hw: of its picture. cells: rows and columns of scores."""
    images, target_wh = clip.pictures, np.array(size_hw[::-1])
    source_wh = np.array(images.shape[2:0:-1])
    window = crop_window(clip, number, source_wh, target_wh, rng)
    before = _earlier_frame(clip, number, rng)
    double = tuple(int(side) for side in 2 * target_wh)
    now, then = (
        cv2.warpAffine(images[t], part.matrix(source_wh, 2 * target_wh), double, borderMode=cv2.BORDER_REFLECT_101,
                       flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        for t, part in ((number, window), (before, _jitter_window(window, rng))))
    now, then = _jitter_colours(now, then, rng)
    moved = (cv2.absdiff(now[:, :, 1], then[:, :, 1]) >= CHANGE_GREY).astype(np.uint8) * 255
    coarse = cv2.resize(moved, cells[::-1], interpolation=cv2.INTER_AREA)
    change = cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    image = cv2.resize(now, size_hw[::-1], interpolation=cv2.INTER_AREA)
    values = np.concatenate([image, change[:, :, None]], axis=2).transpose(2, 0, 1)
    return Sample(np.ascontiguousarray(values), *_judgement(clip, number, window, cells))


def join_halves(left: Sample, right: Sample) -> Sample:
    """One sample of two halves from different places: what is an object in one must outdo what is none in the other."""
    values, target, weight = (np.concatenate(pair, axis=-1) for pair in (
        (left.values, right.values), (left.target, right.target), (left.weight, right.weight)))
    width = left.target.shape[1]
    covered = np.concatenate([np.pad(left.covered, ((0, 0), (0, 0), (0, width))),
                              np.pad(right.covered, ((0, 0), (0, 0), (width, 0)))])
    return Sample(values, target, weight, covered, np.concatenate([left.worth, right.worth]))


def whole_frame_sample(clip: Clip, number: int, size_hw: tuple[int, int], cells: tuple[int, int]) -> Sample:
    """The whole frame as it is, with the change since the one before it."""
    images, wh = clip.pictures, size_hw[::-1]
    before = number - 1 if number and clip.shot[number - 1] == clip.shot[number] else number
    moved = (cv2.absdiff(images[number][:, :, 1], images[before][:, :, 1]) >= CHANGE_GREY).astype(np.uint8) * 255
    change = cv2.resize(cv2.resize(moved, cells[::-1], interpolation=cv2.INTER_AREA), wh)
    image = cv2.resize(images[number], wh, interpolation=cv2.INTER_AREA)
    values = np.concatenate([image, change[:, :, None]], axis=2).transpose(2, 0, 1)
    window = _Window(np.array([0.5, 0.5]), np.array([1.0, 1.0]), False)
    return Sample(np.ascontiguousarray(values), *_judgement(clip, number, window, cells))


def crop_window(clip: Clip, number: int, source_wh: np.ndarray, target_wh: np.ndarray,
            rng: np.random.Generator) -> _Window:
    zoom = np.exp(rng.uniform(np.log(LEAST_ZOOM), np.log(MOST_ZOOM)))
    aspect = target_wh[0] / target_wh[1] * np.exp(rng.uniform(-0.25, 0.25))
    side = zoom * np.sqrt(source_wh.prod())
    size = side * np.array([np.sqrt(aspect), 1 / np.sqrt(aspect)]) / source_wh
    objects = clip.taught.objects[number]
    if len(objects) and rng.random() < 0.6:
        box = objects[rng.integers(len(objects))]
        centre = (box[:2] + box[2:]) / 2 + rng.uniform(-0.5, 0.5, 2) * size
    else:
        centre = rng.random(2)
    # No further out than half of what the window has to spare, or as far as it must where it has nothing.
    low, high = np.minimum(size / 2, 1 - size / 2), np.maximum(size / 2, 1 - size / 2)
    return _Window(np.clip(centre, low, high), size, bool(rng.random() < 0.5))


def _jitter_window(window: _Window, rng: np.random.Generator) -> _Window:
    """Where an earlier frame is looked at: elsewhere, as if the camera had moved, in every third sample."""
    if rng.random() < 0.65:
        return window
    size = window.size * np.exp(rng.normal(0, 0.015))
    return _Window(window.centre + rng.normal(0, 0.02, 2) * window.size, size, window.flip)


def _earlier_frame(clip: Clip, number: int, rng: np.random.Generator) -> int:
    before = max(0, number - int(rng.choice([1, 1, 2, 3, 5, MAX_IDLE_FRAMES])))
    return before if clip.shot[before] == clip.shot[number] else number


def _jitter_colours(now: np.ndarray, then: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Both pictures with the same change of colours, the earlier one a little off, and noise in each."""
    gain = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.06, 3))
    shift = rng.normal(0, 20)
    grey = rng.random() < GREY_SHARE
    noise = rng.uniform(0, 3.0) if rng.random() < 0.5 else 0.0
    blur = rng.random() < 0.2
    results = []
    for image, drift in ((now, 0.0), (then, rng.normal(0, 1.5))):
        table = np.clip(np.arange(256)[:, None] * gain + shift + drift, 0, 255).astype(np.uint8)
        image = cv2.LUT(image, table[:, None, :])
        if grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if blur:
            image = cv2.GaussianBlur(image, (5, 5), 0)
        if noise:
            grain = np.empty(image.shape, np.int16)
            cv2.setRNGSeed(int(rng.integers(1 << 30)))
            cv2.randn(grain, 0, noise)
            image = cv2.add(image, grain, dtype=cv2.CV_8U)
        results.append(image)
    return results[0], results[1]


def _judgement(clip: Clip, number: int, window: _Window, cells: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """target, weight, covered and worth of a sample."""
    taught = clip.taught
    objects, uncertain = window.place(taught.objects[number]), window.place(taught.uncertain[number])
    same_shot = number > 0 and clip.shot[number - 1] == clip.shot[number]
    known = window.place(taught.known[number - 1]) if same_shot else np.zeros((0, 4))
    touched, covered = _touched_cells(objects, cells), _cell_coverage(known, cells).max(axis=0, initial=0.0)
    share = _cell_coverage(objects, cells)
    overlap = (share * covered).sum(axis=(1, 2)) / np.maximum(share.sum(axis=(1, 2)), 1e-6)
    worth = np.where(overlap < KNOWN_SHARE, NEWCOMER_WEIGHT, KNOWN_WEIGHT)
    area = _area(objects)
    seen = (share.sum(axis=(1, 2)) >= LEAST_CELLS) & (_area(np.clip(objects, 0, 1)) > MOSTLY * area)
    each = share[seen].astype(np.float32), worth[seen].astype(np.float32)
    # A large object has many cells; each object is to count about the same.
    worth = worth * np.clip(8.0 / np.maximum(touched.sum(axis=(1, 2)), 1), 0.6, 3.0)
    inner = touched.any(axis=0)
    weight = np.where(_cell_coverage(uncertain, cells).max(axis=0, initial=0.0) > TOUCHED_CELL, 0.0, 1.0)
    weight = np.where(inner, (touched * worth[:, None, None]).max(axis=0, initial=0.0), weight)
    return _with_halo(inner), (weight * _inside(window, cells)).astype(np.float32), *each


def _with_halo(inner: np.ndarray) -> np.ndarray:
    """float32 [rows, cols]: 1 where objects are, less the further away. A mask cuts at a low score: what lies there,
    beside objects or anywhere, must be in a sensible order, too.
    """
    target = inner.astype(np.float32)
    for reach, value in enumerate(HALO, 1):
        near = cv2.dilate(inner.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        target = np.maximum(target, value * near.astype(np.float32))
    return target


def _inside(window: _Window, cells: tuple[int, int]) -> np.ndarray:
    """bool [rows, cols]: cells whose middle lies in the picture; beyond it nothing is known."""
    low, high = window.place(np.array([[0.0, 0.0, 1.0, 1.0]])).reshape(2, 2)
    middle = [(np.arange(count) + 0.5) / count for count in cells]
    return ((middle[0] > low[1]) & (middle[0] < high[1]))[:, None] & ((middle[1] > low[0]) & (middle[1] < high[0]))


def _cell_coverage(boxes: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """float64 [n, rows, cols]: covered share of each cell."""
    down, across = (
        np.clip(np.minimum(boxes[:, 2 + axis, None] * count, np.arange(1, count + 1))
                - np.maximum(boxes[:, axis, None] * count, np.arange(count)), 0, 1)
        for axis, count in ((1, cells[0]), (0, cells[1])))
    return down[:, :, None] * across[:, None, :]


def _touched_cells(boxes: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """bool [n, rows, cols]"""
    share = _cell_coverage(boxes, cells)
    area = np.maximum(_area(boxes) * cells[0] * cells[1], 1e-9)
    return (share >= TOUCHED_CELL) | (share >= TOUCHED_BOX * area[:, None, None])


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
