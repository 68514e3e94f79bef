"""Backends by name. The libraries that a backend needs are loaded when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.option_table import options_of
from ..core.options import Value
from ..errors import UserError
from ..network.dense import AnyNetwork, DenseNetwork
from .base import Backend, BackendClass, BackendError, IsCancelled, never_cancelled
from .cpu import CpuBackend
from .lava import LavaSimBackend
from .loihi2 import Loihi2Backend
from .onnxruntime import OnnxRuntimeBackend
from .openvino import OpenVinoBackend

__all__ = [
    "BACKENDS", "Backend", "BackendError", "check_backend", "open_backend", "parse_options", "resolve_arithmetic"]

BACKENDS: dict[str, BackendClass] = {
    "cpu": CpuBackend, "lava_sim": LavaSimBackend, "loihi2": Loihi2Backend, "openvino": OpenVinoBackend,
    "onnxruntime": OnnxRuntimeBackend,
}


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
    resolve_arithmetic(backend, "")
    options_class = BACKENDS[backend].options_class
    known = options_of(options_class)
    for name in given:
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
    arithmetic = resolve_arithmetic(backend, arithmetic)
    if BACKENDS[backend].is_dense != isinstance(network, DenseNetwork):
        suitable = ", ".join(name for name, kind in BACKENDS.items() if kind.is_dense != BACKENDS[backend].is_dense)
        raise UserError(f"backend {backend}: cannot run network {network.name}; use {suitable}")
    return BACKENDS[backend](network, input_wh, arithmetic, parse_options(backend, given or {}), is_cancelled)
