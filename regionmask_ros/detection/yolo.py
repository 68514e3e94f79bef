"""From the head's integers to boxes."""

from __future__ import annotations

import numpy as np

from ..core.arithmetic import ACCUMULATOR_BITS, MESSAGE_EXP, UNIT
from ..core.boxes import intersection_and_union
from ..core.detections import Detections
from ..jit.cache import kernel
from ..network.chain import YoloHead


def decode(head: np.ndarray, layout: YoloHead, image_wh: tuple[int, int], score_threshold: float,
           nms_iou: float) -> Detections:
    """Reads the boxes of one frame.

    For the cell in column gx and row gy: x = (sigmoid(tx) + gx) / cols, w = exp(min(tw, clamp)) * anchor_w / cols, in
    shares of the image's width; y and h likewise. Source: lava-dl 0.6, ``object_detection/yolo_base.py``.

    Args:
        head: int32 [rows, cols, channels], the last layer's sigma; its low 24 bits are the value at
            2**(10 + the exponent of the layout).
        layout: What the channels mean.
        image_wh: Width and height of the image that the network's input was resized from. Boxes are in its pixels, and
            are clipped to it at the end.
        score_threshold: Lowest score that is kept, where score = sigmoid(objectness) * softmax(classes).
        nms_iou: Of two boxes of a class that overlap more than this, the one of the higher score stays.

    Returns:
        The detections, best score first.

    Raises:
        ValueError: The head has another number of channels.
    """
    if head.shape[2] != layout.channels:
        raise ValueError(f"a head of {head.shape[2]} channels, expected {layout.channels}")
    # To Numba, a read-only array is another type.
    head = np.require(head, np.int32, ("C", "W"))
    most, anchors = head.shape[0] * head.shape[1] * len(layout.anchors), np.array(layout.anchors, np.float64)
    found = np.empty((most, 4)), np.empty(most), np.empty(most, np.int64)
    bias = np.array(layout.bias or (0,) * layout.channels, np.float64) / UNIT
    one = float(1 << (MESSAGE_EXP + layout.exponent))
    count = _read(head, one, bias, anchors, float(layout.clamp_max), float(score_threshold), *found)
    if count == 0:
        return Detections.empty()
    order = np.argsort(-found[1][:count], kind="stable")
    boxes, scores, class_ids = (values[order] for values in found)
    boxes = boxes * (image_wh * 2)
    kept = suppress(boxes, class_ids, nms_iou)
    boxes = np.minimum(np.maximum(boxes[kept], 0.0), image_wh * 2)
    return Detections(boxes.astype(np.float32), scores[kept].astype(np.float32), class_ids[kept].astype(np.int32))


@kernel
def _read(head: np.ndarray, one: float, bias: np.ndarray, anchors: np.ndarray, clamp_max: float,
          score_threshold: float, boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray) -> int:
    """Writes the boxes, in shares of the image, whose score is high enough; returns how many."""
    rows, cols = head.shape[:2]
    values = head.shape[2] // len(anchors)
    # A plain 0 would be a type of its own, and compiled for.
    count = np.int64(0)
    for row in range(rows):
        for col in range(cols):
            for anchor in range(len(anchors)):
                cell = head[row, col, anchor * values:(anchor + 1) * values]
                add = bias[anchor * values:(anchor + 1) * values]
                objectness = _sigmoid(_value(cell[4], one) + add[4])
                if not objectness >= score_threshold:
                    continue
                best = 5
                for c in range(6, values):
                    if _value(cell[c], one) + add[c] > _value(cell[best], one) + add[best]:
                        best = c
                total = 0.0
                for c in range(5, values):
                    total += np.exp(_value(cell[c], one) + add[c] - _value(cell[best], one) - add[best])
                if not objectness / total >= score_threshold:
                    continue
                x = (_sigmoid(_value(cell[0], one) + add[0]) + col) / cols
                y = (_sigmoid(_value(cell[1], one) + add[1]) + row) / rows
                across = 0.5 * (np.exp(min(_value(cell[2], one) + add[2], clamp_max)) * anchors[anchor, 0] / cols)
                down = 0.5 * (np.exp(min(_value(cell[3], one) + add[3], clamp_max)) * anchors[anchor, 1] / rows)
                boxes[count, 0], boxes[count, 1] = x - across, y - down
                boxes[count, 2], boxes[count, 3] = x + across, y + down
                scores[count], class_ids[count] = objectness / total, best - 5
                count += 1
    return int(count)


@kernel
def _value(sigma: int, one: float) -> float:
    """As ``core.arithmetic.head_values``, of one number."""
    half = np.int64(1) << (ACCUMULATOR_BITS - 1)
    return float((((sigma + half) & (2 * half - 1)) - half) / one)


@kernel
def _sigmoid(x: float) -> float:
    return float(1.0 / (1.0 + np.exp(-x)))


def suppress(boxes: np.ndarray, class_ids: np.ndarray, nms_iou: float) -> np.ndarray:
    """Greedy non-maximum suppression within each class.

    Args:
        boxes: float [n, 4], x0 y0 x1 y1, best first.
        class_ids: int [n].
        nms_iou: A box goes when its intersection over union with a better one *that stays* is above this.

    Returns:
        Indices of the boxes that stay, ascending.
    """
    kept = np.arange(len(boxes))
    count = suppress_order(np.ascontiguousarray(boxes, np.float64), class_ids.astype(np.int64), float(nms_iou), kept,
                           len(kept))
    return kept[:count]


@kernel
def suppress_order(boxes: np.ndarray, class_ids: np.ndarray, nms_iou: float, order: np.ndarray, most: int) -> int:
    """As ``suppress``, of the first ``most`` boxes of an order: moves those that stay to its front.

    Args:
        boxes: float64 [n, 4].
        class_ids: int64 [n].
        nms_iou: See there.
        order: int64, indices, best first; changed.
        most: How many of them.

    Returns:
        How many stay.
    """
    count = np.int64(0)
    for place in range(most):
        # Most boxes go for one of the best: comparing with those that stay ends early.
        box, stays = order[place], True
        for kept in range(count):
            better = order[kept]
            if class_ids[better] == class_ids[box]:
                common, union = intersection_and_union(boxes, box, boxes, better)
                if common > nms_iou * union:
                    stays = False
                    break
        if stays:
            order[count] = box
            count += 1
    return int(count)
