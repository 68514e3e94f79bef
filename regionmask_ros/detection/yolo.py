"""From the head's integers to boxes."""

from __future__ import annotations

import numpy as np

from ..engine.arithmetic import head_values
from ..engine.kernel_cache import kernel
from ..network.spec import YoloHead
from .detections import Detections


def decode(head: np.ndarray, layout: YoloHead, picture_wh: tuple[int, int], score_threshold: float,
           nms_iou: float) -> Detections:
    """Boxes of one frame, best score first.

    head: int32 [rows, cols, channels], the last layer's sigma; its low 24 bits are the value at 2**16.
    picture_wh: the picture that the network's input was resized from; boxes are in its pixels, clipped to it last.
    score_threshold: lowest score that is kept, where score = sigmoid(objectness) * softmax(classes).
    nms_iou: of two boxes of a class that overlap more than this, the better one stays.

    For the cell in column gx and row gy: x = (sigmoid(tx) + gx) / cols, w = exp(min(tw, clamp)) * anchor_w / cols, in
    shares of the picture's width; y and h likewise (lava-dl 0.6, ``object_detection/yolo_base.py``).
    """
    rows, cols, _ = head.shape
    raw = head.reshape(rows, cols, len(layout.anchors), 5 + layout.num_classes)
    objectness = _sigmoid(head_values(raw[..., 4]))
    gy, gx, anchor = np.nonzero(objectness >= score_threshold)
    if len(gy) == 0:
        return Detections.empty()
    cells = head_values(raw[gy, gx, anchor])
    likelihood = np.exp(cells[:, 5:] - cells[:, 5:].max(axis=1, keepdims=True))
    class_ids = likelihood.argmax(axis=1)
    scores = objectness[gy, gx, anchor] * likelihood.max(axis=1) / likelihood.sum(axis=1)

    centre = (_sigmoid(cells[:, :2]) + np.stack([gx, gy], axis=1)) / [cols, rows]
    size = np.exp(np.minimum(cells[:, 2:4], layout.clamp_max)) * np.array(layout.anchors)[anchor] / [cols, rows]
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    boxes *= np.tile(picture_wh, 2)

    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= score_threshold]
    boxes, scores, class_ids = boxes[order], scores[order], class_ids[order]
    kept = suppress(boxes, class_ids, nms_iou)
    boxes = np.clip(boxes, 0.0, np.tile(picture_wh, 2))
    return Detections(boxes[kept].astype(np.float32), scores[kept].astype(np.float32), class_ids[kept].astype(np.int32))


def suppress(boxes: np.ndarray, class_ids: np.ndarray, nms_iou: float) -> np.ndarray:
    """Greedy non-maximum suppression within each class.

    boxes: float [n, 4], x0 y0 x1 y1, best first. Returns the indices that stay, ascending: a box goes when its
    intersection over union with a better one *that stays* is above ``nms_iou``.
    """
    alive = np.ones(len(boxes), bool)
    _suppress(np.ascontiguousarray(boxes, np.float64), class_ids.astype(np.int64), float(nms_iou), alive)
    return np.flatnonzero(alive)


@kernel
def _suppress(boxes, class_ids, nms_iou, alive):
    for best in range(len(boxes)):
        if not alive[best]:
            continue
        for rest in range(best + 1, len(boxes)):
            if alive[rest] and class_ids[rest] == class_ids[best]:
                across = min(boxes[rest, 2], boxes[best, 2]) - max(boxes[rest, 0], boxes[best, 0])
                down = min(boxes[rest, 3], boxes[best, 3]) - max(boxes[rest, 1], boxes[best, 1])
                overlap = max(across, 0.0) * max(down, 0.0)
                area = (boxes[rest, 2] - boxes[rest, 0]) * (boxes[rest, 3] - boxes[rest, 1])
                union = area + (boxes[best, 2] - boxes[best, 0]) * (boxes[best, 3] - boxes[best, 1]) - overlap
                alive[rest] = not overlap > nms_iou * union


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))
