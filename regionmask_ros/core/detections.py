"""Detected objects of one frame, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

UNTRACKED = -1


@dataclass(frozen=True)
class Detections:
    """The n objects of one frame, best score first.

    Attributes:
        boxes: float32 [n, 4], x0 y0 x1 y1 in image pixels; the upper left corner is (0, 0).
        scores: float32 [n], 0 to 1.
        class_ids: int32 [n], index into the network's labels.
        track_ids: int64 [n], the object's number over the frames; UNTRACKED, the default, where it is not tracked.
        resting: bool [n], whether the object's regions were masked and its box is a predicted one; by default it is
            not.

    Raises:
        ValueError: Lengths differ, or a shape is wrong.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    track_ids: np.ndarray = None  # type: ignore[assignment]  # made in __post_init__
    resting: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.track_ids is None:
            object.__setattr__(self, "track_ids", np.full(n, UNTRACKED, np.int64))
        if self.resting is None:
            object.__setattr__(self, "resting", np.zeros(n, bool))
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or self.class_ids.shape != (n,):
            raise ValueError(
                f"expected boxes [n, 4], scores [n], class_ids [n], got {list(self.boxes.shape)}, "
                f"{list(self.scores.shape)}, {list(self.class_ids.shape)}")
        if self.track_ids.shape != (n,) or self.resting.shape != (n,):
            raise ValueError(f"expected track_ids and resting [{n}]")

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: np.ndarray | slice) -> Detections:
        """Some of them, in the order given by integers, bool [n], or a slice."""
        return Detections(*(column[rows] for column in self._columns))

    def with_min_score(self, score: float) -> Detections:
        """Those of at least that score, in the same order."""
        # They are the first ones.
        if not len(self) or self.scores[-1] >= score:
            return self
        return self.take(slice(np.count_nonzero(self.scores >= score)))

    def skip_first(self, count: int) -> Detections:
        """All but the first ``count``."""
        return self.take(slice(count, None))

    def concat(self, others: Detections) -> Detections:
        """These, then the others, whose scores must not be better."""
        if not len(others):
            return self
        return Detections(*(np.concatenate(pair) for pair in zip(self._columns, others._columns)))

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.boxes, self.scores, self.class_ids, self.track_ids, self.resting

    @classmethod
    def empty(cls) -> Detections:
        """No object: arrays of length 0 with the right types."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
