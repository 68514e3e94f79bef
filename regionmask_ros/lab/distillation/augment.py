"""Samples for training: cut, scaled, mirrored, pasted together and recolored pictures with their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from .labels import SURE, UNSURE
from .pictures import Picture

SIZES = ((416, 224), (352, 288), (288, 352), (224, 416))
"""Width and height of samples, in pixels; all of a batch have one."""

HEIGHTS = (14.0, 320.0)
"""An object that a sample is cut around gets a height between these, in pixels."""

SCALES, STRETCH = (0.45, 2.0), 0.12
AROUND_SHARE, SPLIT_SHARES = 0.7, (0.55, 0.8)
"""Share of cuts around an object; shares up to which a sample is one cut, or two side by side: others are four."""

PASTE_SHARE, PASTED = 0.35, 3
FEWEST_PIXELS, VISIBLE_SHARE, COVERED_SHARE = 36.0, 0.35, 0.6
GRAY = 114

THUMBNAIL_WH, OTHER_PICTURE = (16, 9), 40.0
"""Mean change of a thumbnail's gray values from which on a picture is another one."""

_LUMA = np.array([0.299, 0.587, 0.114])


class SampleSource:
    """Draws samples; the generator decides everything.

    Args:
        pictures: At least one.
        num_classes: Of the labels.
    """

    def __init__(self, pictures: Sequence[Picture], num_classes: int) -> None:
        sources = sorted({picture.source for picture in pictures})
        by_source = [[picture for picture in pictures if picture.source == number] for number in sources]
        # A source with many different pictures comes more often, but not as often as it has pictures.
        filled = [np.mean([len(picture.labels) > 0 for picture in one]) for one in by_source]
        weight = np.sqrt([measure_variety(one) * (0.2 + share) for one, share in zip(by_source, filled)])
        self._by_source, self._weight = by_source, weight / weight.sum()
        counts = np.ones(num_classes)
        for picture in pictures:
            np.add.at(counts, picture.labels[picture.labels[:, 4] >= SURE, 5].astype(int), 1)
        self._rarity = (counts.max() / counts) ** 0.3
        self._donors = [(picture, row) for picture in pictures for row in picture.labels
                        if row[4] >= 0.6 and row[3] - row[1] >= 32 and row[2] - row[0] >= 12]
        rarity = np.array([self._rarity[int(row[5])] for _, row in self._donors])
        self._donor_weight = rarity / rarity.sum() if len(rarity) else rarity

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Draws a sample.

        Args:
            rng: The generator.
            size: Width and height in pixels.

        Returns:
            uint8 [height, width, 3], RGB, and float32 [n, 6]: x0, y0, x1, y1 in pixels, score, class.
        """
        wide, high = size
        kind = rng.random()
        if kind < SPLIT_SHARES[0]:
            image, labels = self._cut(rng, wide, high)
        else:
            across = int(rng.uniform(0.3, 0.7) * wide)
            down = int(rng.uniform(0.3, 0.7) * high) if kind >= SPLIT_SHARES[1] else high
            image, parts = np.empty((high, wide, 3), np.uint8), []
            for x0, x1 in ((0, across), (across, wide)):
                for y0, y1 in ((0, down), (down, high)):
                    if y1 > y0:
                        image[y0:y1, x0:x1], rows = self._cut(rng, x1 - x0, y1 - y0)
                        parts.append(rows + np.array([x0, y0, x0, y0, 0, 0], np.float32))
            labels = np.concatenate(parts)
        if self._donors and rng.random() < PASTE_SHARE:
            for _ in range(rng.integers(1, PASTED + 1)):
                image, labels = self._paste(rng, image, labels)
        return recolor(rng, image), labels

    def _cut(self, rng: np.random.Generator, wide: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        pictures = self._by_source[rng.choice(len(self._weight), p=self._weight)]
        picture = pictures[int(rng.integers(len(pictures)))]
        pixels, labels = picture.pixels(), picture.labels
        scale = math.exp(rng.uniform(*np.log(SCALES)))
        sure = labels[labels[:, 4] >= SURE]
        around = sure[_choose(rng, self._rarity[sure[:, 5].astype(int)])] if len(sure) else None
        if around is not None and rng.random() < AROUND_SHARE:
            tall = max(around[3] - around[1], 0.7 * (around[2] - around[0]), 1.0)
            scale = float(np.clip(math.exp(rng.uniform(*np.log(HEIGHTS))) / tall, 0.3, 3.0))
        else:
            around = None
        scale_x = scale * math.exp(rng.uniform(-STRETCH, STRETCH))
        left = _place(rng, pixels.shape[1], wide / scale_x, None if around is None else (around[0] + around[2]) / 2)
        top = _place(rng, pixels.shape[0], high / scale, None if around is None else (around[1] + around[3]) / 2)
        matrix = np.array([[scale_x, 0, -left * scale_x], [0, scale, -top * scale]])
        if rng.random() < 0.5:
            matrix[0] = [-scale_x, 0, wide + left * scale_x]
        if scale < 0.7:
            width = int(1 / scale + 0.5) | 1
            pixels = cv2.blur(pixels, (width, width))
        image = cv2.warpAffine(pixels, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderValue=(GRAY,) * 3)
        return image, move_labels(labels, matrix, (wide, high))

    def _paste(self, rng: np.random.Generator, image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        picture, row = self._donors[_choose(rng, self._donor_weight)]
        box = np.clip(np.rint(row[:4]), 0, None).astype(int)
        patch = picture.pixels()[box[1]:box[3], box[0]:box[2]]
        scale = math.exp(rng.uniform(math.log(20), math.log(0.8 * image.shape[0]))) / patch.shape[0]
        wide, high = round(patch.shape[1] * scale), round(patch.shape[0] * scale)
        if not (6 <= wide < 0.8 * image.shape[1] and 12 <= high < image.shape[0]) or scale > 2.5:
            return image, labels
        patch = cv2.resize(patch, (wide, high), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        left, top = int(rng.integers(image.shape[1] - wide)), int(rng.integers(image.shape[0] - high))
        # Soft at the border: a hard edge would be what is learned.
        mask = np.minimum(_ramp(high)[:, None], _ramp(wide)[None])[..., None]
        image = image.copy()
        place = image[top:top + high, left:left + wide]
        place[...] = np.rint(mask * patch + (1 - mask) * place).astype(np.uint8)
        pasted = np.array([[left, top, left + wide, top + high, row[4], row[5]]], np.float32)
        return image, np.concatenate([cover_labels(labels, pasted[0]), pasted])


def measure_variety(pictures: Sequence[Picture]) -> float:
    """About how many different pictures these are: one that is hardly changed from the one before counts little."""
    small = [cv2.resize(cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8),
                        THUMBNAIL_WH, interpolation=cv2.INTER_AREA).astype(np.int16) for picture in pictures]
    changes = [float(np.abs(one - other).mean()) for one, other in pairwise(small)]
    return 1.0 + sum(min(1.0, change / OTHER_PICTURE) for change in changes)


def move_labels(labels: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Labels after a scaling and shift, cut at the borders.

    Args:
        labels: float32 [n, 6].
        matrix: [2, 3], without rotation.
        size: Width and height of the new picture.

    Returns:
        float32 [m, 6]. An object that is mostly outside becomes uncertain; what is tiny is left out.
    """
    if not len(labels):
        return labels
    corners = labels[:, :4].reshape(-1, 2, 2) * np.diag(matrix[:, :2]) + matrix[:, 2]
    whole = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    cut = np.clip(whole, 0, [*size, *size])
    area = np.prod(cut[:, 2:] - cut[:, :2], axis=1)
    visible = area / np.maximum(np.prod(whole[:, 2:] - whole[:, :2], axis=1), 1e-6)
    scores = np.where(visible >= VISIBLE_SHARE, labels[:, 4], np.minimum(labels[:, 4], UNSURE))
    moved = np.concatenate([cut, scores[:, None], labels[:, 5:]], axis=1).astype(np.float32)
    kept: np.ndarray = moved[area >= FEWEST_PIXELS]
    return kept


def cover_labels(labels: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Labels after something was pasted over a box: what is mostly covered becomes uncertain."""
    if not len(labels):
        return labels
    sides = np.minimum(labels[:, 2:4], box[2:4]) - np.maximum(labels[:, :2], box[:2])
    inside = np.prod(np.clip(sides, 0, None), axis=1)
    covered = inside / np.maximum(np.prod(labels[:, 2:4] - labels[:, :2], axis=1), 1e-6)
    left = labels.copy()
    left[covered >= COVERED_SHARE, 4] = np.minimum(left[covered >= COVERED_SHARE, 4], UNSURE)
    return left


def recolor(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Changes saturation, color of light, contrast, brightness and gamma; sometimes blurs, or adds noise."""
    saturation = rng.uniform(0.3, 1.6) if rng.random() < 0.85 else 0.0
    mix = np.eye(3) * saturation + (1 - saturation) * _LUMA[None]
    gain = np.exp(rng.uniform(-0.15, 0.15, 3)) * math.exp(rng.uniform(-0.4, 0.3))
    contrast = math.exp(rng.uniform(-0.4, 0.3))
    mean = float(image.mean())
    shift = mean * (1 - contrast) + rng.uniform(-30, 30)
    changed = cv2.transform(image, np.concatenate([contrast * gain[:, None] * mix, np.full((3, 1), shift)], axis=1))
    if rng.random() < 0.3:
        gamma = math.exp(rng.uniform(-0.5, 0.5))
        changed = cv2.LUT(changed, np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8))
    if rng.random() < 0.15:
        changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.5, 1.5))
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 10), changed.shape)
        changed = np.clip(np.rint(changed + noise), 0, 255).astype(np.uint8)
    return changed


def _choose(rng: np.random.Generator, weight: np.ndarray) -> int:
    return int(rng.choice(len(weight), p=weight / weight.sum()))


def _place(rng: np.random.Generator, whole: int, part: float, center: float | None) -> float:
    """Where a part begins in the whole, so that it has ``center`` inside or, without one, anywhere."""
    low, high = min(0.0, whole - part), max(0.0, whole - part)
    if center is None:
        return rng.uniform(low, high)
    return float(np.clip(center - part * rng.uniform(0.1, 0.9), low, high))


def _ramp(length: int) -> np.ndarray:
    """Weights of a patch's rows or columns: 0 at its border, 1 from a tenth on."""
    place = (np.arange(length) + 0.5) / length
    return np.clip(np.minimum(place, 1 - place) * 10, 0, 1)
