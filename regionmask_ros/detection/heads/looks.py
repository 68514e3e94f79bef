"""From the outputs of the looks at one image to its detections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...core.boxes import covered_fraction
from ...core.detections import Detections
from ...core.look import Look, LookOutput
from ...jit.cache import kernel
from ...network.dense import HeadSpec
from ...tracking.held import find_cut
from ..yolo import suppress_order
from .base import MOST_CANDIDATES
from .finding import HEADS

CUT_WEIGHT = 0.5
"""Of the score of a box that a window cuts: it shows a part of an object, and a whole box is the better one."""

CUT_INSIDE = 0.6
"""A cut box goes when at least this share of it lies inside a whole box of its class."""


@dataclass(frozen=True)
class LookDetections:
    """What the looks at one image show.

    Attributes:
        found: Detections in the image, best score first.
        cut: bool [len(found)], whether the border of a window cuts the box.
        looks: The looks; none in a frame in which the network did not run.
    """

    found: Detections = field(default_factory=Detections.empty)
    cut: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    looks: tuple[Look, ...] = ()

    def take(self, rows: np.ndarray) -> LookDetections:
        """Some of the detections, by bool [n]."""
        return self if rows.all() else LookDetections(self.found.take(rows), self.cut[rows], self.looks)


def decode_looks(results: Sequence[LookOutput], head: HeadSpec, image_wh: tuple[int, int], lowest: float,
                 nms_iou: float) -> LookDetections:
    """Decodes the looks at one image, and unites what they show.

    Args:
        results: Any number of looks; they may overlap.
        head: What the outputs mean.
        image_wh: Width and height of the image. Boxes are clipped to it at the end.
        lowest: Lowest score that is kept.
        nms_iou: Of two boxes of a class that overlap more than this, in one look or in two, the one of the higher score
            stays.

    Returns:
        The detections, best score first. Boxes that are not finite or without area in the image are left out.

    Raises:
        ValueError: The shape of an output does not fit.
    """
    family, looks = HEADS[head.family], tuple(result.look for result in results)
    parts = []
    for result in results:
        try:
            parts.append(family.decode(result.outputs, head, result.look.input_wh, lowest))
        except (LookupError, OverflowError) as error:
            # Numbers of a stored head that no outputs have.
            raise ValueError(f"{head.family}: {error}") from error
    count = sum(len(part.scores) for part in parts)
    if not count:
        return LookDetections(looks=looks)
    boxes, scores, class_ids = np.empty((count, 4)), np.empty(count), np.empty(count, np.int64)
    cut, end = np.zeros(count, bool), 0
    for part, look in zip(parts, looks):
        start, end = end, end + len(part.scores)
        corner = float(look.window[0]), float(look.window[1])
        _place(part.boxes, part.scores, part.class_ids, look.scale, corner, start, boxes, scores, class_ids)
        if look.window != (0.0, 0.0, *image_wh):
            cut[start:end] = find_cut(boxes[start:end], look, image_wh)
    is_cut = bool(cut.any())
    if is_cut:
        scores[cut] *= CUT_WEIGHT
    order = np.argsort(-scores, kind="stable")
    overlap = float(nms_iou) if family.needs_suppression or len(results) > 1 else math.inf
    order = order[:_choose(boxes, scores, class_ids, head.num_classes, overlap, order)]
    if is_cut:
        order = order[~_is_part(boxes[order], class_ids[order], cut[order])]
    count = len(order)
    columns = np.empty((count, 4), np.float32), np.empty(count, np.float32), np.empty(count, np.int32)
    order = order[:_report(boxes, scores, class_ids, order, image_wh, lowest, columns)]
    found = Detections(*(column[:len(order)] for column in columns))
    return LookDetections(found, cut[order], looks)


def _is_part(boxes: np.ndarray, class_ids: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Cut boxes that lie inside a whole one of their class, bool [n]."""
    part, whole = np.zeros(len(boxes), bool), ~cut
    inside = covered_fraction(boxes[cut], boxes[whole]) >= CUT_INSIDE
    part[cut] = (inside & (class_ids[cut][:, None] == class_ids[whole][None])).any(axis=1)
    return part


@kernel
def _place(found: np.ndarray, found_scores: np.ndarray, found_classes: np.ndarray, scale: tuple[float, float],
           corner: tuple[float, float], start: int, boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray
           ) -> None:
    """Writes what a look shows, from the place ``start`` on, with boxes in image pixels, see ``Look.to_image``."""
    for i in range(len(found_scores)):
        for side in range(4):
            boxes[start + i, side] = found[i, side] * scale[side % 2] + corner[side % 2]
        scores[start + i], class_ids[start + i] = found_scores[i], found_classes[i]


@kernel
def _choose(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, num_classes: int, nms_iou: float,
            order: np.ndarray) -> int:
    """Moves the boxes that stay to the front of ``order``, which has them best first.

    Those that make no sense go, and of the first ``MOST_CANDIDATES`` others those that are suppressed.

    Returns:
        How many stay.
    """
    count = np.int64(0)
    for place in range(len(order)):
        i = order[place]
        is_sound = np.isfinite(scores[i]) and 0 <= class_ids[i] < num_classes
        for side in range(4):
            is_sound &= np.isfinite(boxes[i, side])
        if is_sound:
            order[count] = i
            count += 1
            if count == MOST_CANDIDATES:
                break
    return int(count) if nms_iou == np.inf else suppress_order(boxes, class_ids, nms_iou, order, int(count))


@kernel
def _report(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, order: np.ndarray,
            image_wh: tuple[int, int], lowest: float, shown: tuple[np.ndarray, ...]) -> int:
    """Writes boxes, clipped to the image, scores and classes in this order.

    Those without area or with too low a score go, from ``order``, too.

    Returns:
        How many are left.
    """
    to_boxes, to_scores, to_class = shown
    count = np.int64(0)
    for place in range(len(order)):
        i = order[place]
        for side in range(4):
            to_boxes[count, side] = min(max(boxes[i, side], 0.0), float(image_wh[side % 2]))
        if (to_boxes[count, 2] > to_boxes[count, 0] and to_boxes[count, 3] > to_boxes[count, 1]
                and scores[i] >= lowest):
            to_scores[count], to_class[count], order[count] = scores[i], class_ids[i], i
            count += 1
    return int(count)
