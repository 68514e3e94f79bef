"""What all dense runtimes have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ..measure import DENSE


class DenseBaseline(ABC):
    """A contestant that computes everything in every frame. path: the runtime and its version."""

    setting = DENSE
    counting = True

    def __init__(self, engine: str, path: str, threads: int, calibration: str = "") -> None:
        self.engine, self.path, self.threads, self.calibration = engine, path, threads, calibration

    @abstractmethod
    def step(self, image: np.ndarray) -> np.ndarray:
        """uint8 [height, width, 3] in, RGB; float32 [1, channels, rows, cols] out."""

    def reset(self, refresh_period: int = 0) -> None:
        """There is no state."""

    def counts(self) -> None:
        """Nothing is counted: a dense network always does all of its operations."""

    def real_head(self, raw: np.ndarray) -> np.ndarray:
        return raw[0].transpose(1, 2, 0).astype(np.float64)
