"""From the outputs of the looks at one image to its detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...core.boxes import covered_fraction
from ...core.detections import Detections
from ...core.look import Look, LookOutput
from ...network.dense import HeadSpec
from ...tracking.held import find_cut
from ..yolo import suppress
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
            shown = family.decode(result.outputs, head, result.look.input_wh, lowest)
        except (LookupError, OverflowError) as error:
            # Numbers of a stored head that no outputs have.
            raise ValueError(f"{head.family}: {error}") from error
        boxes = result.look.to_image(shown.boxes)
        parts.append((boxes, shown.scores, shown.class_ids, find_cut(boxes, result.look, image_wh)))
    if not sum(len(scores) for _, scores, _, _ in parts):
        return LookDetections(looks=looks)
    boxes, scores, class_ids, cut = (np.concatenate(column) for column in zip(*parts))
    scores = np.where(cut, CUT_WEIGHT, 1.0) * scores
    order = _best_first(boxes, scores, class_ids, head.num_classes)
    if family.needs_suppression or len(results) > 1:
        order = order[suppress(boxes[order], class_ids[order], nms_iou)]
    if cut[order].any():
        order = order[~_is_part(boxes[order], class_ids[order], cut[order])]
    boxes = np.clip(boxes, 0.0, image_wh * 2).astype(np.float32)
    order = order[((boxes[order, 2:] > boxes[order, :2]).all(axis=1)) & (scores[order] >= lowest)]
    found = Detections(boxes[order], scores[order].astype(np.float32), class_ids[order].astype(np.int32))
    return LookDetections(found, cut[order], looks)


def _is_part(boxes: np.ndarray, class_ids: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Cut boxes that lie inside a whole one of their class, bool [n]."""
    part, whole = np.zeros(len(boxes), bool), ~cut
    inside = covered_fraction(boxes[cut], boxes[whole]) >= CUT_INSIDE
    part[cut] = (inside & (class_ids[cut][:, None] == class_ids[whole][None])).any(axis=1)
    return part


def _best_first(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, num_classes: int) -> np.ndarray:
    """Indices of the best candidates, best first, without those that make no sense."""
    sound = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (class_ids >= 0) & (class_ids < num_classes)
    index = np.flatnonzero(sound)
    best: np.ndarray = index[np.argsort(-scores[index], kind="stable")[:MOST_CANDIDATES]]
    return best
