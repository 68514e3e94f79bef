"""Do several backends give the same integers for the same events? Frame by frame, whenever each of them is ready."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.base import Backend, BackendResult
from ..core.events import Events


@dataclass(frozen=True)
class Difference:
    """The first head integer that a backend gives otherwise than the reference: [row, col, channel] of that frame."""

    frame: int
    backend: str
    place: tuple[int, int, int]
    value: int
    reference_value: int


class Comparison:
    """Feeds the same events to all backends and compares what comes out with the first of them, the reference.

    frames: compared by all. differing: head integers that differ, by backend. differing_counts: frames whose event or
    synop counts differ, by backend. first: the first difference of all, None while there is none.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        if len(backends) < 2:
            raise ValueError("a comparison needs two backends")
        self._backends = dict(backends)
        self._waiting: dict[str, deque[BackendResult]] = {name: deque() for name in self._backends}
        self._reference, *self._others = self._backends
        self.frames = self.integers = 0
        self.differing = dict.fromkeys(self._others, 0)
        self.differing_counts = dict.fromkeys(self._others, 0)
        self.first: Difference | None = None

    @property
    def equal(self) -> bool:
        return not any(self.differing.values()) and not any(self.differing_counts.values())

    def step(self, events: Events, frame: int) -> list[BackendResult]:
        """Gives one frame to all; the reference's results that came out meanwhile."""
        for backend in self._backends.values():
            backend.submit(events, frame)
        return self._collect()

    def drain(self) -> list[BackendResult]:
        """Waits for all frames that are still inside; the reference's results among them."""
        for backend in self._backends.values():
            backend.drain()
        return self._collect()

    def facts(self) -> dict[str, Any]:
        """In JSON's types."""
        first = None if self.first is None else {**vars(self.first), "place": list(self.first.place)}
        return {
            "frames": self.frames, "integers": self.integers, "equal": self.equal, "reference": self._reference,
            "differing_integers": dict(self.differing), "frames_with_differing_counts": dict(self.differing_counts),
            "first_difference": first,
        }

    def _collect(self) -> list[BackendResult]:
        fresh = []
        for name, backend in self._backends.items():
            while (result := backend.poll(0.0)) is not None:
                self._waiting[name].append(result)
                if name == self._reference:
                    fresh.append(result)
        while all(self._waiting.values()):
            self._compare({name: results.popleft() for name, results in self._waiting.items()})
        return fresh

    def _compare(self, results: Mapping[str, BackendResult]) -> None:
        reference = results[self._reference]
        self.frames += 1
        self.integers += reference.head.size
        for name in self._others:
            other = results[name]
            if other.tag != reference.tag:
                raise RuntimeError(f"{name} answers frame {other.tag} when {reference.tag} is due")
            places = np.argwhere(other.head != reference.head)
            self.differing[name] += len(places)
            self.differing_counts[name] += _counts(other) != _counts(reference)
            if len(places) and self.first is None:
                place = tuple(int(index) for index in places[0])
                self.first = Difference(
                    reference.tag, name, place, int(other.head[place]), int(reference.head[place])
                )


def _counts(result: BackendResult) -> tuple[Sequence[int], Sequence[int]]:
    return result.layer_events, result.synops
