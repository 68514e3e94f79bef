"""Backends by name. The libraries that a backend needs are loaded when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ..core.option_table import options_of
from ..core.options import Value
from ..errors import UserError
from ..network.branched import BranchedNetwork
from ..network.dense import AnyNetwork, DenseNetwork
from ..tiles.compiled import list_kernel_sets
from .base import Backend, BackendClass, BackendError, IsCancelled, never_cancelled
from .cpu import BranchedBackend, CpuBackend
from .dense import DenseOptions
from .lava import LavaSimBackend
from .loihi2 import Loihi2Backend
from .onnxruntime import OnnxRuntimeBackend
from .openvino import OpenVinoBackend
from .runtimes import RUNTIMES, find_runtime
from .tiles import TileBackend, check_tiles, name_missing_on_lava, suits_tiles

__all__ = [
    "AUTO", "BACKENDS", "CPU", "LAVA_BACKENDS", "Backend", "BackendError", "check_backend", "choose_backend",
    "choose_fallback", "find_backend", "find_options_class", "open_backend", "parse_options", "resolve_arithmetic"]

BACKENDS: dict[str, BackendClass] = {
    "cpu": CpuBackend, "lava_sim": LavaSimBackend, "loihi2": Loihi2Backend, "openvino": OpenVinoBackend,
    "onnxruntime": OnnxRuntimeBackend,
}


LAVA_BACKENDS = ("lava_sim", "loihi2")
"""Those that compute events on Lava."""

AUTO = "auto"
"""Stands for the best backend that runs a network."""

CPU = "cpu"
"""The backend of our own engines: events for a sigma-delta network, tiles for an ONNX network."""


def find_backend(name: str, is_dense: bool) -> BackendClass:
    """The class of a backend.

    Args:
        name: Of the backend.
        is_dense: Whether it is for an ONNX network.

    Returns:
        The class.
    """
    return TileBackend if name == CPU and is_dense else BACKENDS[name]


def choose_backend(wanted: str, network: AnyNetwork) -> str:
    """Chooses the backend of a network.

    Args:
        wanted: Name of a backend, or ``auto``.
        network: The network.

    Returns:
        Name of the backend.

    Raises:
        UserError: The backend does not run such networks, or none that does is installed.
    """
    if wanted == AUTO:
        return _choose_dense(network) if isinstance(network, DenseNetwork) else CPU
    resolve_arithmetic(wanted, "")
    if not isinstance(network, DenseNetwork):
        if BACKENDS[wanted].is_dense:
            usable = "auto or cpu" if isinstance(network, BranchedNetwork) else "auto, cpu, lava_sim or loihi2"
            raise UserError(f"backend {wanted}: cannot run {network.name}, which is a sigma-delta network; use "
                            f"{usable}")
        if isinstance(network, BranchedNetwork) and wanted != CPU:
            raise UserError(f"backend {wanted}: cannot run {network.name}, a network with what Lava lacks "
                            f"({network.name_missing_on_lava()}); use auto or cpu")
    elif wanted == CPU:
        check_tiles(network)
    elif wanted in LAVA_BACKENDS:
        lacks = name_missing_on_lava(network)
        raise UserError(f"backend {wanted}: cannot run {network.name}, which is a dense network"
                        f"{lacks and f' with what Lava lacks ({lacks})'}; use auto, cpu, openvino or onnxruntime, or "
                        "start with the network yolo_kp")
    return wanted


def _choose_dense(network: DenseNetwork) -> str:
    """The tile engine if it has compiled kernels and detects what the network does, else a dense runtime."""
    if suits_tiles(network) and (list_kernel_sets() or not (network.model or find_spec("onnx"))):
        return CPU
    try:
        return find_runtime()
    except BackendError:
        if network.tiles:
            return CPU
        raise


def choose_fallback(wanted: str, running: str, network: AnyNetwork) -> str:
    """Chooses the backend that takes over when another one has failed.

    Args:
        wanted: ``auto``, ``none`` or the name of a backend.
        running: The backend that may fail.
        network: The network.

    Returns:
        Name of the backend; empty for none.

    Raises:
        UserError: The wanted backend does not run the network.
    """
    if wanted == "none":
        return ""
    if not isinstance(network, DenseNetwork):
        return "cpu" if wanted == AUTO else choose_backend(wanted, network)
    if wanted != AUTO:
        raise UserError(f"fallback {wanted}: cannot run {network.name}, which is an ONNX network; use auto or none")
    try:
        return find_runtime([name for name in RUNTIMES if name != running])
    except BackendError:
        return ""


def resolve_arithmetic(backend: str, arithmetic: str) -> str:
    """Chooses the arithmetic of a backend.

    Args:
        backend: Name of the backend.
        arithmetic: The wanted arithmetic; empty: the backend's default.

    Returns:
        The arithmetic; empty for a backend of dense networks, which has none.

    Raises:
        UserError: The backend is unknown, or does not compute this arithmetic.
    """
    if backend not in BACKENDS:
        raise UserError(f"backend {backend!r}: unknown; use {', '.join(BACKENDS)}")
    supported = BACKENDS[backend].supported_arithmetic
    if arithmetic and not supported:
        raise UserError(f"arithmetic {arithmetic!r}: the {backend} backend has no integer rules; leave it out")
    if arithmetic and arithmetic not in supported:
        raise UserError(f"arithmetic {arithmetic!r}: the {backend} backend computes {' or '.join(supported)}")
    return arithmetic or next(iter(supported), "")


def find_options_class(backend: str) -> type[Any]:
    """The class of a backend's options.

    Args:
        backend: Name of the backend, or ``auto``, which may become one with the options of a dense backend.

    Returns:
        The class.

    Raises:
        UserError: The backend is unknown.
    """
    if backend == AUTO:
        return DenseOptions
    resolve_arithmetic(backend, "")
    return BACKENDS[backend].options_class


def parse_options(backend: str, given: Mapping[str, Value]) -> Any:
    """The options of a backend as an object of its options class.

    Args:
        backend: Name of the backend.
        given: Values by the names of the class's fields; texts are read as the type of the option.

    Returns:
        The options.

    Raises:
        UserError: The backend or an option is unknown, or a value is not allowed.
    """
    options_class = find_options_class(backend)
    known = options_of(options_class)
    for name in given:
        if name not in known and backend == AUTO:
            raise UserError(f"backend option {name!r}: of a certain backend only; set the option backend, too")
        if name not in known:
            raise UserError(
                f"backend option {name!r}: the {backend} backend does not have it; it has {', '.join(known) or 'none'}")
    return options_class(**{name: known[name].parse(value) for name, value in given.items()})


def check_backend(backend: str, given: Mapping[str, Value]) -> None:
    """Checks within a second whether a backend could be opened, without opening it.

    Args:
        backend: Name of the backend.
        given: Its options, as for `parse_options`.

    Raises:
        UserError: It could not be opened. The message says why, and what to do.
    """
    BACKENDS[backend].check(parse_options(backend, given))


def open_backend(backend: str, network: AnyNetwork, input_wh: tuple[int, int], arithmetic: str = "",
                 given: Mapping[str, Value] | None = None, is_cancelled: IsCancelled = never_cancelled) -> Backend:
    """Opens a backend for one camera.

    Args:
        backend: Name of the backend.
        network: The network.
        input_wh: Width and height of the network's input.
        arithmetic: As for `resolve_arithmetic`.
        given: Options, as for `parse_options`.
        is_cancelled: While the backend opens: whether it is no longer wanted.

    Returns:
        The running backend.

    Raises:
        UserError: A name, an option or the arithmetic is invalid, or the backend is for other networks.
        BackendError: It cannot be opened, or was cancelled.
    """
    is_dense = isinstance(network, DenseNetwork)
    resolve_arithmetic(backend, "")
    kind = find_backend(backend, is_dense)
    if kind.is_dense != is_dense:
        suitable = ", ".join(name for name in BACKENDS if find_backend(name, is_dense).is_dense == is_dense)
        raise UserError(f"backend {backend}: cannot run network {network.name}; use {suitable}")
    if isinstance(network, BranchedNetwork):
        choose_backend(backend, network)
        kind = BranchedBackend
    if kind.supported_arithmetic or arithmetic:
        arithmetic = resolve_arithmetic(backend, arithmetic)
    return kind(network, input_wh, arithmetic, parse_options(backend, given or {}), is_cancelled)
