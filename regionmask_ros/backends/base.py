"""What a detector process must do, wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..encoder import Events


@dataclass(frozen=True)
class BackendResult:
    """tag: what ``submit`` was given for that frame. head: int32 [rows, cols, channels] at 2**16.

    layer_events, synops: counts of the frame, see ``StepCounts``. engine_ms: time that the detector worked on it.
    """

    tag: Any
    head: np.ndarray
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]
    engine_ms: float


class Backend(Protocol):
    """A detector process for one camera.

    Backends may be pipelined: the result of a frame then comes out while later frames go in, always in order. The tag
    leads back to the frame. kernels: what computes it, for diagnostics.
    """

    kernels: str

    def submit(self, events: Events, tag: Any) -> None:
        """Takes one frame's events; they are consumed before the call returns."""

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The next result, or None when there is none within the time."""

    def drain(self) -> None:
        """Pushes frames that are still inside towards the output, so that ``poll`` returns all of them."""

    def reset(self) -> None:
        """Back to the warmed-up state; results that were not polled are forgotten."""

    def close(self) -> None:
        """Frees everything. Harmless when called twice."""
