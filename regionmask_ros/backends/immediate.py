"""What the backends have in common that compute a frame in ``submit``, in the caller's thread."""

from __future__ import annotations

from collections import deque
from typing import Any

from .base import BackendResult


class ImmediateBackend:
    """The methods of a ``Backend`` for which nothing is left to do when ``submit`` returns.

    A subclass defines ``submit``, which appends to ``_results``. It extends ``reset`` if its network has a state:
    a dense network has none.
    """

    quick_to_open = True
    latency_steps = 0
    profile: dict[str, Any] | None = None

    def __init__(self) -> None:
        self._results: deque[BackendResult] = deque()

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The next result, or None."""
        return self._results.popleft() if self._results else None

    def drain(self) -> None:
        """Does nothing: all results are available."""

    def reset(self) -> None:
        """Discards results that were not polled."""
        self._results.clear()

    def close(self) -> None:
        """Discards results that were not polled."""
        self._results.clear()
