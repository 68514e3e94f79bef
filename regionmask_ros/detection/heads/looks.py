"""From the outputs of the looks at one image to its detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...core.detections import Detections
from ...core.look import LookOutput
from ...network.dense import HeadSpec
from ..yolo import suppress
from .base import MOST_CANDIDATES
from .finding import HEADS


def decode_looks(results: Sequence[LookOutput], head: HeadSpec, image_wh: tuple[int, int], lowest: float,
                 nms_iou: float) -> Detections:
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
    family = HEADS[head.family]
    boxes, scores, class_ids = [], [], []
    for result in results:
        shown = family.decode(result.outputs, head, result.look.input_wh, lowest)
        boxes.append(result.look.to_image(shown.boxes))
        scores.append(shown.scores)
        class_ids.append(shown.class_ids)
    if not sum(map(len, scores)):
        return Detections.empty()
    found = _take_best(np.concatenate(boxes), np.concatenate(scores), np.concatenate(class_ids), head.num_classes)
    if family.needs_suppression or len(results) > 1:
        kept = suppress(found[0], found[2], nms_iou)
        found = found[0][kept], found[1][kept], found[2][kept]
    clipped = np.clip(found[0], 0.0, image_wh * 2).astype(np.float32)
    visible = np.flatnonzero((clipped[:, 2:] > clipped[:, :2]).all(axis=1))
    return Detections(clipped[visible], found[1][visible].astype(np.float32), found[2][visible].astype(np.int32))


def _take_best(boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, num_classes: int
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best candidates, best first, without those that make no sense."""
    sound = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (class_ids >= 0) & (class_ids < num_classes)
    index = np.flatnonzero(sound)
    order = index[np.argsort(-scores[index], kind="stable")[:MOST_CANDIDATES]]
    return boxes[order], scores[order], class_ids[order]
