"""How well a run agrees with the dense network: its detections are the truth, as nobody has labelled anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from ..bench.dense import dense_head, encoded
from ..detection.detections import Detections
from ..detection.yolo import decode
from ..engine.arithmetic import HEAD_EXP, head_values
from ..evaluation.average_precision import PrecisionCurve
from ..evaluation.matching import FrameMatches, match
from ..network.spec import Network
from .stretches import Stretch

SURE, UNSURE = 0.3, 0.15
"""Scores of the dense network. From the first on its detections are objects to be found; those between the two are
neither right nor wrong to find."""

SCORED_ABOVE = 0.02


@dataclass(frozen=True)
class Truth:
    """What the dense network says about a frame. head: float32 [rows, cols, channels]. found: from ``UNSURE`` on."""

    head: np.ndarray
    found: Detections


def dense_truth(network: Network, stretch: Stretch, nms_iou: float) -> list[Truth]:
    """One entry a frame."""
    truths = []
    for frame in stretch.frames:
        head = dense_head(network, encoded(network, frame.pixels))
        whole = np.rint(head * (1 << HEAD_EXP)).astype(np.int64).astype(np.int32)
        truths.append(Truth(head.astype(np.float32), decode(whole, network.head, frame.size_wh, UNSURE, nms_iou)))
    return truths


def matches(found: Detections, truth: Truth) -> list[FrameMatches]:
    """One entry for every class that either of them sees."""
    result = []
    sure = truth.found.scores >= SURE
    for kind in np.union1d(found.class_ids, truth.found.class_ids):
        mine, theirs = found.class_ids == kind, truth.found.class_ids == kind
        boxes = truth.found.boxes.astype(np.float64)
        result.append(match(found.boxes[mine], found.scores[mine], boxes[theirs & sure], boxes[theirs & ~sure]))
    return result


def average_precision(frames: Sequence[FrameMatches]) -> float:
    """0 to 100, all classes counted together; nan where the dense network sees nothing."""
    return PrecisionCurve(frames).average_precision()


def head_error(head: np.ndarray, truth: Truth) -> float:
    """Mean squared difference of a head (int32, sigma) from the dense one."""
    return float(np.mean(np.square(head_values(head) - truth.head)))
