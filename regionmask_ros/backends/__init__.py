"""Detector processes by name. A backend's own libraries load when it is opened, not before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.option_table import options_of
from ..core.options import Value
from ..errors import UserError
from ..network.graph import Network
from .base import Backend, BackendError, IsCancelled, never_cancelled
from .cpu import CpuBackend
from .lava import LavaSimBackend
from .loihi2 import Loihi2Backend

__all__ = ["BACKENDS", "Backend", "BackendError", "check_backend", "open_backend", "parse_options", "resolve_arithmetic"]

BACKENDS = {"cpu": CpuBackend, "lava_sim": LavaSimBackend, "loihi2": Loihi2Backend}


def resolve_arithmetic(backend: str, arithmetic: str) -> str:
    """The arithmetic that a backend will use; "" asks for its default.

    Raises UserError for a backend or an arithmetic that is unknown, or that do not go together.
    """
    if backend not in BACKENDS:
        raise UserError(f"backend {backend!r}: unknown; use {', '.join(BACKENDS)}")
    known = BACKENDS[backend].arithmetics
    if arithmetic and arithmetic not in known:
        raise UserError(f"arithmetic {arithmetic!r}: the {backend} backend computes {' or '.join(known)}")
    return arithmetic or BACKENDS[backend].default_arithmetic


def parse_options(backend: str, given: Mapping[str, Value]) -> Any:
    """The options of a backend as an object of its options class.

    Args:
        backend: Name of the backend.
        given: Values by the names of the class's fields; texts are read as the type of the option.

    Returns:
        The options.

    Raises:
        UserError: Unknown backend or option, or a value that is not allowed.
    """
    resolve_arithmetic(backend, "")
    kind = BACKENDS[backend].options_class
    known = options_of(kind)
    for name in given:
        if name not in known:
            raise UserError(
                f"backend option {name!r}: the {backend} backend does not have it; it has {', '.join(known) or 'none'}")
    return kind(**{name: known[name].parse(value) for name, value in given.items()})


def check_backend(backend: str, given: Mapping[str, Value]) -> None:
    """What can be told within a second about whether it could be opened. Raises UserError when it could not."""
    BACKENDS[backend].check(parse_options(backend, given))


def open_backend(
    backend: str, network: Network, input_wh: tuple[int, int], arithmetic: str = "",
    given: Mapping[str, Value] | None = None, is_cancelled: IsCancelled = never_cancelled,
) -> Backend:
    """A running backend for one camera. Raises UserError as ``resolve_arithmetic`` and ``parse_options`` do, and
    BackendFailed when it cannot be opened or is given up meanwhile.
    """
    arithmetic = resolve_arithmetic(backend, arithmetic)
    return BACKENDS[backend](network, input_wh, arithmetic, parse_options(backend, given or {}), is_cancelled)
