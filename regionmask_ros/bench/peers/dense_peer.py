"""What all dense runtimes have in common."""

from __future__ import annotations

import numpy as np

from ..contestant import DENSE


class DensePeer:
    """A contestant that computes everything in every frame.

    Subclasses give ``step``, which returns float32 [1, channels, rows, cols].

    path: the runtime and its version.
    """

    setting = DENSE

    def __init__(self, engine: str, path: str, threads: int, calibration: str = "") -> None:
        self.engine, self.path, self.threads, self.calibration = engine, path, threads, calibration

    def step(self, image: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def counts(self) -> None:
        """Nothing is counted: a dense network always does all of its operations."""

    def real_head(self, raw: np.ndarray) -> np.ndarray:
        return raw[0].transpose(1, 2, 0).astype(np.float64)
