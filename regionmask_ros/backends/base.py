"""What a detector process must do, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..core.option_table import option_field
from ..errors import UserError

if TYPE_CHECKING:
    from ..core.events import Events


@dataclass(frozen=True)
class NoOptions:
    """For a backend without options of its own."""


@dataclass(frozen=True)
class ProcessOptions:
    """Options of a backend that runs in a child process.

    Attributes:
        python: Interpreter of the child process; empty: the one that 'make lava' installed.
        open_timeout: Seconds within which the backend must be ready.
        step_timeout: Seconds after which a time step counts as hung.
    """

    python: str = option_field("lava_python")
    open_timeout: float = option_field("backend_open_timeout")
    step_timeout: float = option_field("backend_step_timeout")


class BackendError(UserError):
    """A detector process cannot be opened, has ended, or hangs. One that was running is of no more use: close it."""


IsCancelled = Callable[[], bool]
"""Whether a backend that is being opened is wanted no more. Called now and then, from the thread that opens it."""


def never_cancelled() -> bool:
    """A GivenUp for whoever waits until a backend is open."""
    return False


@dataclass(frozen=True)
class BackendResult:
    """tag: what ``submit`` was given for that frame. head: int32 [rows, cols, channels] at 2**16, to be read only:
    results of frames in which nothing was sent may share it.

    layer_events, synops: counts of the frame, see ``StepCounts``. engine_ms: time that the detector worked on it; of a
    pipelined one, the time of the step that the frame came out in.
    """

    tag: Any
    head: np.ndarray
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]
    engine_ms: float


class Backend(Protocol):
    """A detector process for one camera.

    Backends may be pipelined, one time step a frame: a result then comes out while later frames go in, always in order.
    The tag leads back to the frame.

    latency_steps: time steps from a frame's events to its head; 0: at once. kernels: what computes it, for diagnostics.
    profile: what a profiler has measured on hardware, a table as in ``metrics.loihi2_table``; None where nothing was.
    Every method may raise BackendFailed; ``close`` never does.
    """

    kernels: str
    latency_steps: int
    profile: dict[str, Any] | None

    def submit(self, events: Events, tag: Any) -> None:
        """Takes one frame's events; they are consumed before the call returns. Waits while it has enough to do."""

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The next result, or None when there is none within the time."""

    def drain(self) -> None:
        """Pushes frames that are still inside to the output: ``poll(0)`` then returns all of them, one by one.

        The state stays as it is, and more frames may follow.
        """

    def reset(self) -> None:
        """Back to the warmed-up state; results that were not polled are forgotten."""

    def close(self) -> None:
        """Frees everything, processes included. Harmless when called twice."""
