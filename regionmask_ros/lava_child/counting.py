"""Event and synop counts of each frame, put together from what the layers report step by step."""

from __future__ import annotations

import os
import select

from .messages import MOST_LAYERS


class FrameCounts:
    """Reads the layers' reports (``models.conv.COUNT``) from a pipe.

    A frame that is injected in step t reaches layer i (from 1) in step t + i, and a layer reports before it acts. So
    when a head has come out, all reports about its frame are in the pipe.
    """

    def __init__(self, layers: int, descriptor: int) -> None:
        from .models.conv import COUNT

        self._layers, self._descriptor, self._record = layers, descriptor, COUNT
        self._reports: dict[tuple[int, int], tuple[int, int]] = {}

    def of(self, step: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(events of each layer but the head, synops of each layer) of the frame injected in ``step`` (from 1).

        Each frame can be asked for once.
        """
        wanted = [(layer, step + layer) for layer in range(1, self._layers + 1)]
        while not all(key in self._reports for key in wanted):
            self._read()
        # What comes into a layer is what the one before sent; into the first come the encoder's events.
        reports = [self._reports.pop(key) for key in wanted]
        return tuple(events for events, _ in reports[1:]), tuple(synops for _, synops in reports)

    def forget_before(self, step: int) -> None:
        """Drops reports about frames that nobody asks for: those injected before ``step``."""
        while select.select([self._descriptor], [], [], 0.0)[0]:
            self._read()
        for layer, at in list(self._reports):
            if at - layer < step:
                del self._reports[layer, at]

    def _read(self) -> None:
        data = os.read(self._descriptor, self._record.size * MOST_LAYERS)
        # Reports are shorter than PIPE_BUF, so they come whole.
        for layer, step, events, synops in self._record.iter_unpack(data):
            self._reports[layer, step] = events, synops
