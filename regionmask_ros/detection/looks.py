"""From the outputs of a dense network's looks to the detections of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..core.detections import Detections
from ..core.look import Look, LookOutput
from ..network.dense import HeadSpec
from ..tracking.held import find_cut
from .heads import HEADS
from .yolo import suppress

MOST_CANDIDATES = 3000
"""Of all looks of a frame, before suppression; the best are kept."""


@dataclass(frozen=True)
class LookDetections:
    """What the looks of one frame show.

    Attributes:
        found: Detections in the image, best score first.
        cut: bool [len(found)], whether a window's border cuts the box.
        looks: The looks; none in a frame in which the network did not run.
    """

    found: Detections = field(default_factory=Detections.empty)
    cut: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    looks: tuple[Look, ...] = ()

    def take(self, rows: np.ndarray) -> LookDetections:
        """Some of the detections, by bool [n]."""
        return self if rows.all() else LookDetections(self.found.take(rows), self.cut[rows], self.looks)


def read_looks(results: Sequence[LookOutput], head: HeadSpec, image_wh: tuple[int, int], lowest: float,
               nms_iou: float) -> LookDetections:
    """Reads the boxes of one frame.

    Args:
        results: Of the frame's looks.
        head: What the outputs mean.
        image_wh: Width and height of the image.
        lowest: Lowest score that is kept.
        nms_iou: Of two boxes of a class that overlap more than this, the one of the higher score stays.

    Returns:
        The detections of all looks.
    """
    looks, family = tuple(result.look for result in results), HEADS[head.family]
    parts = []
    for result in results:
        candidates = family.decode(result.outputs, head, result.look.input_wh, lowest)
        boxes = result.look.to_image(candidates.boxes.astype(np.float64))
        parts.append((boxes, candidates.scores, candidates.class_ids, find_cut(boxes, result.look, image_wh)))
    if not parts:
        return LookDetections()
    boxes, scores, class_ids, cut = (np.concatenate(column) for column in zip(*parts))
    boxes = np.clip(boxes, 0.0, np.array(image_wh * 2, np.float64))
    usable = np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    # A cut box is worth less than a whole one of the same object.
    order = np.argsort(-np.where(cut, 0.5, 1.0) * scores, kind="stable")
    order = order[usable[order]][:MOST_CANDIDATES]
    if family.needs_suppression or len(results) > 1:
        order = order[suppress(boxes[order], class_ids[order], nms_iou)]
    order = order[np.argsort(-scores[order], kind="stable")]
    found = Detections(
        boxes[order].astype(np.float32), scores[order].astype(np.float32), class_ids[order].astype(np.int32))
    return LookDetections(found, cut[order], looks)
