"""The interface of all backends: what computes the network for one camera, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.option_table import option_field
from ..core.result import TileCounts
from ..errors import UserError


@dataclass(frozen=True)
class NoOptions:
    """For a backend without options of its own."""


@dataclass(frozen=True)
class ProcessOptions:
    """Options of a backend that runs in a worker process.

    Attributes:
        python: Interpreter of the worker process; empty: the one that 'make lava' installed.
        open_timeout: Seconds within which the backend must be ready.
        step_timeout: Seconds after which a time step counts as hung.
    """

    python: str = option_field("lava_python")
    open_timeout: float = option_field("backend_open_timeout")
    step_timeout: float = option_field("backend_step_timeout")


class BackendError(UserError):
    """A backend cannot be opened, has ended, or hangs. One that was running cannot be used any more: close it."""


IsCancelled = Callable[[], bool]
"""Whether a backend that is opening is no longer wanted. Called repeatedly from the thread that opens it."""


def never_cancelled() -> bool:
    """An `IsCancelled` for a caller that always waits until the backend is open."""
    return False


@dataclass(frozen=True)
class BackendResult:
    """What a backend has computed for one frame.

    Attributes:
        tag: What ``submit`` was given for the frame.
        head: Of a sigma-delta network: int32 [rows, cols, channels] at 2**(10 + its exponent). Read only: frames
            without events may share it. Of a dense network: a tuple with a ``LookOutput`` for each look.
        layer_events: Number of events of each layer but the head, empty if the backend does not count.
        synops: Number of synaptic operations of each layer, empty if the backend does not count.
        engine_ms: Computing time in milliseconds; if the backend is pipelined, of the step in which the head came out.
        tile_counts: What the tile engine did; None of all other backends.
    """

    tag: Any
    head: Any
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]
    engine_ms: float
    tile_counts: TileCounts | None = None


class Backend(Protocol):
    """A backend for one camera. All methods but ``close`` may raise BackendError.

    Backends may be pipelined, with one time step per frame: a result then comes out while later frames go in, always in
    order. The tag identifies the frame.

    Attributes:
        kernels: What computes, for diagnostics.
        latency_steps: Time steps from a frame's events to its head; 0: ``submit`` computes it.
        profile: What a profiler has measured on hardware, see ``metrics.loihi2.measured_table``; None if nothing.
    """

    kernels: str
    latency_steps: int

    @property
    def profile(self) -> dict[str, Any] | None:
        """See above."""

    def submit(self, sent: Any, tag: Any) -> None:
        """Takes what is sent of one frame. Waits while earlier frames occupy the backend.

        Args:
            sent: For a sigma-delta network its ``Events``, for a dense network a sequence of ``LookImage``, which may
                be empty. Not used any more after the call.
            tag: Returned with the result.
        """

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The next result, or None if there is none within the time."""

    def drain(self) -> None:
        """Waits for all submitted frames: ``poll(0)`` then returns their results, one per call.

        The state of the network stays as it is, and more frames may follow.
        """

    def reset(self) -> None:
        """Restores the initial state and discards results that were not polled."""

    def close(self) -> None:
        """Releases everything, including processes. Can be called again."""


class DenseBackend(Backend, Protocol):
    """A backend for dense networks."""

    def prepare(self, shapes: Sequence[tuple[int, int]]) -> None:
        """Makes ready for input shapes, (width, height), so that no frame waits for it. Can be called again."""


class BackendClass(Protocol):
    """A class of backends.

    Attributes:
        supported_arithmetic: The integer rules that it computes, the default one first.
        options_class: Dataclass of its options.
        counts_synops: Whether its results have counts.
        quick_to_open: Whether it opens within seconds.
        is_dense: Whether it runs dense networks; otherwise it runs sigma-delta networks.
    """

    @property
    def supported_arithmetic(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def options_class(self) -> type[Any]: ...  # noqa: D102

    @property
    def counts_synops(self) -> bool: ...  # noqa: D102

    @property
    def quick_to_open(self) -> bool: ...  # noqa: D102

    @property
    def is_dense(self) -> bool: ...  # noqa: D102

    def check(self, options: Any) -> None:
        """Checks within a second whether a backend could be opened. Raises UserError if not."""

    def __call__(self, network: Any, input_wh: tuple[int, int], arithmetic: str, options: Any,
                 is_cancelled: IsCancelled = never_cancelled, /) -> Backend:
        """Opens a backend, see `open_backend`."""
