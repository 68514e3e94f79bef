"""What takes its turn in a run."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..metrics.counts import StepCounts

DENSE = "dense"
"""The setting of engines that compute everything in every frame."""


class Contestant(Protocol):
    """An engine with its own state.

    engine, setting, path: how its row is called. threads: how many it computes with.
    counting: whether steps are counted; off while time is measured.
    calibration: the sequence that its integers were calibrated on, "" where nothing is calibrated.
    """

    engine: str
    setting: str
    path: str
    threads: int
    calibration: str
    counting: bool

    def step(self, image: np.ndarray) -> np.ndarray:
        """The timed part. image: uint8 [height, width, 3], RGB. Returns the raw head in the engine's own layout."""

    def reset(self, refresh_period: int = 0) -> None:
        """Back to before the first frame. Then every so many frames are attended as a whole, whatever the mask; 0: the
        first one only. Means nothing to an engine without a state."""

    def counts(self) -> StepCounts | None:
        """Of the last step, if counting was on; None where nothing is ever counted."""

    def real_head(self, raw: np.ndarray) -> np.ndarray:
        """float64 [rows, cols, channels] of what ``step`` returned."""
