"""Detector processes by name. A backend's own libraries load when it is opened, not before."""

from __future__ import annotations

from ..errors import UserError
from ..network.spec import Network
from .base import Backend
from .cpu import CpuBackend

BACKENDS = {"cpu": CpuBackend}


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


def open_backend(backend: str, network: Network, input_wh: tuple[int, int], arithmetic: str = "") -> Backend:
    """A running backend for one camera. Raises UserError as ``resolve_arithmetic`` does."""
    arithmetic = resolve_arithmetic(backend, arithmetic)
    return BACKENDS[backend](network, input_wh, arithmetic)
