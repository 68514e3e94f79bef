"""Teachers: dense networks that label pictures, at a higher resolution than in use; one alone sees them mirrored, too.

The findings of all runs are merged: boxes of one class that overlap become one, their mean weighted by score. Its score
is the sum of the scores of its boxes over the number of runs, so that what one run alone believes counts little.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence

import cv2
import numpy as np

from ...core.boxes import iou_matrix
from ...core.frame import choose_input_size
from ...errors import UserError
from ...network.dense import DenseNetwork
from ..quantization.detecting import Detector

LABEL_COLUMNS = 6
"""x0, y0, x1, y1 in pixels, score, class."""

MAX_PIXELS = 400_000
"""Largest input of a teacher; an image in use has 307,200 pixels."""

LOWEST_SCORE = 0.12
SAME_OVERLAP = 0.6
ASPECTS_PER_OCTAVE = 4
_VERSION = 1


class Teachers:
    """Dense networks that label pictures together; close them after use.

    Args:
        networks: At least one.
        classes: Names of the student's classes; a teacher that lacks one takes part for the others.
        backend: Name of the dense backend.

    Raises:
        UserError: No teacher knows a class.
    """

    def __init__(self, networks: Sequence[DenseNetwork], classes: Sequence[str], backend: str) -> None:
        for name in classes:
            if not any(name in network.labels for network in networks):
                raise UserError(f"class {name!r}: no teacher knows it; choose classes with --classes")
        self._networks, self._names, self._backend = tuple(networks), tuple(classes), backend
        self._detectors: dict[tuple[int, tuple[int, int]], Detector] = {}
        self._close = contextlib.ExitStack()
        text = f"{_VERSION} {MAX_PIXELS} {LOWEST_SCORE} {SAME_OVERLAP} {self._names} {[n.digest for n in networks]}"
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    @property
    def classes(self) -> int:
        """Number of the student's classes."""
        return len(self._names)

    def label(self, image: np.ndarray) -> np.ndarray:
        """Labels a picture.

        Args:
            image: uint8 [height, width, 3], RGB.

        Returns:
            float32 [n, 6]: x0, y0, x1, y1 in pixels of the picture, score, class.
        """
        high, wide = image.shape[:2]
        runs = []
        for number, network in enumerate(self._networks):
            size = network.fixed_wh or choose_input_size(usual_shape(wide, high), MAX_PIXELS, network.alignment)
            resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
            for mirrored in (False, True)[:2 if len(self._networks) == 1 else 1]:
                pixels = np.ascontiguousarray(resized[:, ::-1]) if mirrored else resized
                found = self._detector(number, size).detect(pixels, (wide, high))
                runs.append(_as_rows(found.boxes, found.scores, found.class_ids, network.labels, self._names))
                if mirrored:
                    runs[-1][:, [0, 2]] = wide - runs[-1][:, [2, 0]]
        merged = merge_runs(runs)
        merged[:, :4] = np.clip(merged[:, :4], 0, [wide, high, wide, high])
        return merged[merged[:, 4] >= LOWEST_SCORE]

    def close(self) -> None:
        """Closes all backends."""
        self._close.close()

    def _detector(self, number: int, size: tuple[int, int]) -> Detector:
        key = number, size
        if key not in self._detectors:
            detector = Detector(self._networks[number], size, self._backend)
            self._close.callback(detector.close)
            self._detectors[key] = detector
        return self._detectors[key]


def usual_shape(wide: int, high: int) -> tuple[int, int]:
    """About this width and height, one of few: each new input size is compiled, which takes seconds."""
    aspect = 2.0 ** (round(np.log2(wide / high) * ASPECTS_PER_OCTAVE) / ASPECTS_PER_OCTAVE)
    side = 2.0 ** (round(np.log2(wide * high)) / 2) / 32
    return max(1, round(side * np.sqrt(aspect))) * 32, max(1, round(side / np.sqrt(aspect))) * 32


def merge_runs(runs: Sequence[np.ndarray]) -> np.ndarray:
    """Merges what several runs find in one picture.

    Args:
        runs: float32 [., 6] each, see ``Teachers.label``.

    Returns:
        float32 [n, 6], the highest score first.
    """
    rows = np.concatenate(list(runs)) if runs else np.zeros((0, LABEL_COLUMNS), np.float32)
    number = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
    order = np.argsort(-rows[:, 4], kind="stable")
    rows, number = rows[order], number[order]
    merged, free = [], np.ones(len(rows), bool)
    overlap = iou_matrix(rows[:, :4], rows[:, :4]) >= SAME_OVERLAP
    for first in range(len(rows)):
        if not free[first]:
            continue
        near = np.flatnonzero(free & overlap[first] & (rows[:, 5] == rows[first, 5]))
        # Of each run the best box only: a second one is another object.
        near = near[np.unique(number[near], return_index=True)[1]]
        free[near] = False
        weight = rows[near, 4]
        box = (rows[near, :4] * weight[:, None]).sum(axis=0) / weight.sum()
        merged.append([*box, weight.sum() / len(runs), rows[first, 5]])
    found = np.array(merged, np.float32).reshape(-1, LABEL_COLUMNS)
    return found[np.argsort(-found[:, 4], kind="stable")]


def _as_rows(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, labels: Sequence[str],
             names: Sequence[str]) -> np.ndarray:
    """float32 [n, 6] of the detections whose class the student has."""
    place = np.array([names.index(label) if label in names else -1 for label in labels])
    kinds = place[class_ids] if len(class_ids) else np.zeros(0, np.int64)
    rows = np.concatenate([boxes, scores[:, None], kinds[:, None]], axis=1).astype(np.float32)
    known: np.ndarray = rows[kinds >= 0].reshape(-1, LABEL_COLUMNS)
    return known
