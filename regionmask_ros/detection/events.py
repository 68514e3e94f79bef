"""From the heads of a sigma-delta network to boxes, whatever their layout."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.detections import Detections
from ..core.look import Look, LookOutput
from ..network.branched import HeadPart, LevelsHead
from ..network.chain import YoloHead
from .heads import decode_looks
from .yolo import decode


def decode_head(head: Any, layout: YoloHead | LevelsHead, image_wh: tuple[int, int], lowest: float, nms_iou: float
                ) -> Detections:
    """Decodes what a backend gives for a sigma-delta network.

    Args:
        head: Of a chain: sigma of its last layer, int32 [rows, cols, channels]. Of a branched network: sigma of each
            head, level by level.
        layout: What the channels mean.
        image_wh: Width and height of the image that the network's input was resized from.
        lowest: Lowest score that is kept.
        nms_iou: Of two boxes of a class that overlap more than this, the one of the higher score stays.

    Returns:
        The detections, best score first.

    Raises:
        ValueError: The head does not fit its layout.
    """
    if isinstance(layout, YoloHead):
        return decode(head, layout, image_wh, lowest, nms_iou)
    sigmas, stride = iter(head), layout.spec.strides[0]
    levels = [[_read(next(sigmas), part) for part in level] for level in layout.levels]
    rows, cols = levels[0][0].shape[:2]
    cells = np.concatenate([np.concatenate(parts, axis=2).reshape(-1, sum(part.shape[2] for part in parts))
                            for parts in levels])
    look = Look((0.0, 0.0, float(image_wh[0]), float(image_wh[1])), (cols * stride, rows * stride))
    return decode_looks([LookOutput(look, (cells[None],))], layout.spec, image_wh, lowest, nms_iou).found


def _read(sigma: np.ndarray, part: HeadPart) -> np.ndarray:
    """The values of a head, float32 [rows, cols, channels]."""
    value: np.ndarray = sigma * np.float32(0.5 ** part.scale) + np.array(part.bias, np.float32)
    if part.is_score:
        with np.errstate(over="ignore"):
            value = 1 / (1 + np.exp(-value))
    return np.asarray(value, np.float32)
