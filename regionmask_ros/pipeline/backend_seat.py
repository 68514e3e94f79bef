"""The one place of a pipeline's backend: a backend that is open for an input size, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..backends.base import Backend
from ..network.graph import Network

if TYPE_CHECKING:
    from .settings import PipelineSettings


class BackendSeat:
    """open_backend: makes a backend, called as ``backends.open_backend``. backend: the one that has the place."""

    def __init__(self, network: Network, open_backend: Callable[..., Backend]) -> None:
        self._network, self._open_backend = network, open_backend
        self.backend: Backend | None = None
        self._input_wh: tuple[int, int] | None = None

    def has(self, input_wh: tuple[int, int]) -> bool:
        """One that is open for that input size."""
        return self.backend is not None and self._input_wh == input_wh

    def opened(self, settings: PipelineSettings, input_wh: tuple[int, int]) -> Backend:
        """The one that has the place if it is open for that size, else a new one. Raises as ``open_backend`` does."""
        if not self.has(input_wh):
            self.close()
            backend = self._open_backend(
                settings.backend, settings.network(self._network), input_wh, settings.arithmetic,
                settings.backend_options,
            )
            self.exchange(backend, input_wh)
        return self.backend

    def exchange(self, backend: Backend | None, input_wh: tuple[int, int] | None) -> Backend | None:
        """Another one, or none, takes the place. Returns the one before, still open."""
        before, self.backend, self._input_wh = self.backend, backend, input_wh
        return before

    def close(self) -> None:
        """Leaves the place empty. Harmless when called twice."""
        before = self.exchange(None, None)
        if before is not None:
            before.close()
