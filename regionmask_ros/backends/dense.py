"""What the backends of dense networks have in common: options, looks, warm-up, and models that cameras share."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from ..core.look import LookImage, LookOutput
from ..core.option_table import option_field
from ..errors import UserError
from ..network.dense import DenseNetwork
from .base import BackendError, BackendResult, IsCancelled, never_cancelled
from .immediate import ImmediateBackend
from .runtimes import RUNTIMES, one_line

__all__ = ["CPU", "DenseBackend", "DenseOptions", "Runner", "SharedModels", "check_device", "wait_for"]

CPU = "CPU"
_GRAY = 114
_POLL_S = 0.05

T = TypeVar("T")
Shape = tuple[int, int]


@dataclass(frozen=True)
class DenseOptions:
    """Options of the dense runtimes.

    Attributes:
        device: What computes.
        threads: Number of threads on the processor.
        precision: Of the numbers that the device computes with; ``auto``: fp32 on the processor, elsewhere the device's
            own.
        cache: Folder of compiled models; empty: the user's; ``none``: none.
    """

    device: str = option_field("device")
    threads: int = option_field("threads")
    precision: str = option_field("precision")
    cache: str = option_field("model_cache")


class Runner(Protocol):
    """A model that is ready for one camera and one input shape. Any exception of the runtime may come out."""

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Computes uint8 [height, width, 3], RGB; returns float32 arrays that are not used again."""


class DenseBackend(ImmediateBackend):
    """Computes looks in order in the caller's thread: a frame's result is available when ``submit`` returns.

    A subclass defines ``runtime``, ``check`` and ``_open``.

    Args:
        network: The network.
        input_wh: Width and height of an input that is prepared at once.
        arithmetic: Empty.
        options: Device, threads, precision, cache.
        is_cancelled: Called while a model is compiled.

    Raises:
        BackendError: The runtime is missing or refuses the model, or it was cancelled.
        UserError: An option does not fit the runtime or this machine.
    """

    supported_arithmetic: ClassVar[tuple[str, ...]] = ()
    options_class = DenseOptions
    counts_synops = False
    is_dense = True
    runtime = ""

    def __init__(self, network: DenseNetwork, input_wh: Shape, arithmetic: str = "",
                 options: DenseOptions | None = None, is_cancelled: IsCancelled = never_cancelled) -> None:
        super().__init__()
        self._network, self._options, self._is_cancelled = network, options or DenseOptions(), is_cancelled
        self.kernels = self.runtime
        self._runners: dict[Shape, Runner] = {}
        self.check(self._options)
        self.prepare([input_wh])

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Widths and heights of the inputs that are ready."""
        return tuple(self._runners)

    @staticmethod
    def check(options: DenseOptions) -> None:
        """Raises UserError if the runtime is missing, or if the device or the precision is not to be had."""
        raise NotImplementedError

    def _open(self, input_wh: Shape) -> Runner:
        """Makes the network ready for an input shape, and sets ``kernels``. Raises whatever the runtime raises."""
        raise NotImplementedError

    def prepare(self, shapes: Sequence[Shape]) -> None:
        """Compiles the network for input shapes and runs it once in each; shapes that are ready cost nothing.

        Args:
            shapes: Widths and heights of inputs.

        Raises:
            BackendError: The network does not have such an input, or the opening was cancelled.
        """
        for shape in shapes:
            if shape not in self._runners:
                self._check_shape(shape)
                self._runners[shape] = self._call(lambda: self._open_warm(shape), shape)  # noqa: B023  called at once

    def submit(self, looks: Sequence[LookImage], tag: Any) -> None:
        """Computes the looks of one frame; none are no work."""
        start = time.perf_counter()
        self.prepare([look.look.input_wh for look in looks])
        head = tuple(
            LookOutput(look.look, self._call(lambda: self._run(look), look.look.input_wh))  # noqa: B023  called at once
            for look in looks)
        self._results.append(BackendResult(tag, head, (), (), (time.perf_counter() - start) * 1e3))

    def close(self) -> None:
        """Releases the models, which other cameras may still use."""
        super().close()
        self._runners.clear()

    def _open_warm(self, shape: Shape) -> Runner:
        """On the processor in this thread, as it takes a second at most; elsewhere it can take minutes."""
        def open_and_run() -> Runner:
            runner = self._open(shape)
            runner(np.full((shape[1], shape[0], 3), _GRAY, np.uint8))
            return runner

        if self._is_cancelled():
            raise BackendError(f"{self.runtime}: cancelled while it opened")
        if self._options.device == CPU:
            return open_and_run()
        return wait_for(open_and_run, self._is_cancelled, f"{self.runtime}: cancelled while it opened")

    def _run(self, look: LookImage) -> tuple[np.ndarray, ...]:
        width, height = look.look.input_wh
        if look.image.shape != (height, width, 3):
            raise ValueError(f"the image has shape {look.image.shape}, not {(height, width, 3)}")
        return self._runners[look.look.input_wh](look.image)

    def _call(self, work: Callable[[], T], shape: Shape) -> T:
        """Makes one line of what a runtime raises."""
        try:
            return work()
        except UserError:
            raise
        except Exception as error:  # A runtime raises whatever it likes.
            raise BackendError(f"{self.runtime} cannot run network {self._network.name} with an input of "
                               f"{shape[0]}x{shape[1]} on {self._options.device}: {one_line(error)}") from error

    def _check_shape(self, shape: Shape) -> None:
        width, height = shape
        fixed, step = self._network.fixed_wh, self._network.alignment
        if fixed is not None and shape != fixed:
            raise BackendError(f"network {self._network.name}: its input is {fixed[0]}x{fixed[1]} only, not "
                               f"{width}x{height}; set input_size to {fixed[0]}x{fixed[1]}")
        if fixed is None and (width % step or height % step or width < step or height < step):
            raise BackendError(f"network {self._network.name}: an input of {width}x{height} does not fit; width and "
                               f"height are multiples of {step}")


class SharedModels(Generic[T]):
    """Models of networks that are in use, so that all cameras of a process share them.

    A model lives as long as a camera holds it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: weakref.WeakKeyDictionary[DenseNetwork, weakref.WeakValueDictionary[Hashable, Any]] = (
            weakref.WeakKeyDictionary())

    def find(self, network: DenseNetwork, key: Hashable, make: Callable[[], T]) -> T:
        """The model of a network.

        Args:
            network: The network, by identity.
            key: What else its model depends on.
            make: Makes the model if there is none.

        Returns:
            The model. Nothing else holds it but its cameras.
        """
        with self._lock:
            models = self._models.setdefault(network, weakref.WeakValueDictionary())
            model = models.get(key)
            if model is None:
                model = models[key] = make()
            return model


def check_device(runtime: str, options: DenseOptions, supported: Sequence[str], found: Sequence[str], cure: str
                 ) -> None:
    """Checks the device.

    Args:
        runtime: Name of the runtime.
        options: With the device.
        supported: Devices that the runtime can have.
        found: Those that are here.
        cure: What to do about one that is not here.

    Raises:
        UserError: The runtime does not have the device, or it is not here.
    """
    if options.device not in supported:
        other = next(name for name in RUNTIMES if name != runtime)
        raise UserError(f"device {options.device}: the {runtime} backend has {', '.join(supported)}; use backend "
                        f"{other}")
    if options.device not in found:
        raise UserError(f"device {options.device}: not on this machine, {runtime} finds {', '.join(found)}; {cure}")


def wait_for(work: Callable[[], T], is_cancelled: IsCancelled, line: str) -> T:
    """Works in another thread, so that an interrupt or a cancellation need not wait.

    Args:
        work: Called once. After a cancellation its result is dropped.
        is_cancelled: Called repeatedly.
        line: Message of the error when it is cancelled.

    Returns:
        What ``work`` returned.

    Raises:
        BackendError: Cancelled.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, name="compile", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_S)
        if thread.is_alive() and is_cancelled():
            raise BackendError(line)
    if failed:
        raise failed[0]
    return done[0]
