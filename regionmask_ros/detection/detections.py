"""Detected objects of one frame, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Detections:
    """n objects, best score first.

    boxes: float32 [n, 4], x0 y0 x1 y1 in picture pixels, upper left corner (0, 0).
    scores: float32 [n], 0 to 1. class_ids: int32 [n], index into the network's labels.

    Raises ValueError when the lengths differ or a shape is wrong.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or self.class_ids.shape != (n,):
            raise ValueError(
                f"expected boxes [n, 4], scores [n], class_ids [n], got {list(self.boxes.shape)}, "
                f"{list(self.scores.shape)}, {list(self.class_ids.shape)}"
            )

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Those of at least that score, in the same order."""
        kept = self.scores >= score
        return Detections(self.boxes[kept], self.scores[kept], self.class_ids[kept])

    @classmethod
    def empty(cls) -> Detections:
        """No object: arrays of length 0 with the right types."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
