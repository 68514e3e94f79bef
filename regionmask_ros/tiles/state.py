"""The memory of one camera: held tensors, tile maps, and room for one block of pixels."""

from __future__ import annotations

import ctypes

import numpy as np

from .packing import aligned_bytes
from .plan import NO_REGIONS, Plan
from .structures import FlagsRecord


class State:
    """The memory.

    Args:
        plan: Where everything lies in it.

    Attributes:
        memory: uint8 [plan.size].
        flags: Of every tensor.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.memory = aligned_bytes(plan.size)
        tensors = len(plan.index)
        self.flags = (FlagsRecord * tensors).from_buffer(self.memory.data, plan.record.flags)
        self.clear()

    def clear(self) -> None:
        """Fills padding with the bytes that stand for 0, and clears all maps."""
        plan = self._plan
        self.memory[:] = 0
        for border in plan.layout.borders:
            border.place.view(self.memory)[:] = border.zero
        first = plan.record.regions
        self.memory[first:first + plan.regions[0] * plan.regions[1]] = NO_REGIONS

    def held(self, name: str) -> np.ndarray:
        """A tensor, [rows, cols, channels]; a view."""
        return self._plan.layout.places[name].view(self.memory)

    def touch(self, name: str) -> None:
        """Makes all tiles of a tensor dirty in the next frame."""
        self.flags[self._plan.index[name]].touched = 1

    @property
    def address(self) -> ctypes.c_void_p:
        """Of the memory."""
        return ctypes.c_void_p(self.memory.ctypes.data)
