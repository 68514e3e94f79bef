"""Compares backends: a backend that runs several others on the same events and compares their heads and counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backends.base import Backend, BackendResult
from ..core.events import Events


@dataclass(frozen=True)
class Difference:
    """An integer of a head that differs from the reference.

    Attributes:
        frame: Number of the frame, from 0.
        backend: Name of the backend.
        place: (row, col, channel).
        value: The backend's integer.
        reference_value: The reference's integer.
    """

    frame: int
    backend: str
    place: tuple[int, int, int]
    value: int
    reference_value: int


class BackendComparison:
    """A backend that sends all events to several backends. Its results are those of the first one, the reference.

    Args:
        backends: Two or more open backends by name, the reference first.

    Attributes:
        kernels: What the reference computes with.
        latency_steps: Latency of the reference.
        profile: None.
        frames: Number of frames that all backends have computed.
        integers: Number of integers in their heads.
        differing: Number of head integers that differ from the reference, by backend.
        differing_counts: Number of frames whose events or synops differ from the reference, by backend.
        first: The first difference; None for none.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        if len(backends) < 2:
            raise ValueError("a comparison needs two backends")
        self._backends = dict(backends)
        self._reference, *self._others = self._backends
        self.kernels = self._backends[self._reference].kernels
        self.latency_steps = self._backends[self._reference].latency_steps
        self.profile: dict[str, Any] | None = None
        self._submitted = self.frames = self.integers = 0
        self.differing = dict.fromkeys(self._others, 0)
        self.differing_counts = dict.fromkeys(self._others, 0)
        self.first: Difference | None = None
        self._tags: deque[Any] = deque()
        self._results: deque[BackendResult] = deque()
        self._uncompared: dict[str, deque[BackendResult]] = {name: deque() for name in self._backends}

    @property
    def equal(self) -> bool:
        """Whether all integers and counts so far are equal."""
        return not any(self.differing.values()) and not any(self.differing_counts.values())

    def submit(self, events: Events, tag: Any) -> None:
        """Sends one frame to all backends."""
        for backend in self._backends.values():
            backend.submit(events, self._submitted)
        self._tags.append(tag)
        self._submitted += 1

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The reference's next result, or None if there is none within the time. Compares what is ready."""
        self._collect(0.0 if self._results else timeout_s)
        return self._results.popleft() if self._results else None

    def drain(self) -> None:
        """Waits for all submitted frames and compares them."""
        for backend in self._backends.values():
            backend.drain()
        self._collect()

    def reset(self) -> None:
        """Resets all backends. What was compared stays counted."""
        for backend in self._backends.values():
            backend.reset()
        for results in (self._tags, self._results, *self._uncompared.values()):
            results.clear()

    def close(self) -> None:
        """Closes all backends."""
        for backend in self._backends.values():
            backend.close()

    def facts(self) -> dict[str, Any]:
        """The outcome, in JSON's types."""
        first = None if self.first is None else {**vars(self.first), "place": list(self.first.place)}
        return {
            "frames": self.frames, "integers": self.integers, "equal": self.equal, "reference": self._reference,
            "differing_integers": dict(self.differing), "frames_with_differing_counts": dict(self.differing_counts),
            "first_difference": first,
        }

    def _collect(self, timeout_s: float = 0.0) -> None:
        """Takes all results, waiting for the reference's first one, and compares frames that all have computed."""
        for name, backend in self._backends.items():
            while (result := backend.poll(timeout_s)) is not None:
                timeout_s = 0.0
                self._uncompared[name].append(result)
                if name == self._reference:
                    self._results.append(replace(result, tag=self._tags.popleft()))
            timeout_s = 0.0
        while all(self._uncompared.values()):
            self._compare({name: results.popleft() for name, results in self._uncompared.items()})

    def _compare(self, results: Mapping[str, BackendResult]) -> None:
        reference = results[self._reference]
        self.frames += 1
        self.integers += reference.head.size
        for name in self._others:
            other = results[name]
            if other.tag != reference.tag:
                raise RuntimeError(f"backend {name} has returned frame {other.tag} instead of {reference.tag}")
            places = np.argwhere(other.head != reference.head)
            self.differing[name] += len(places)
            self.differing_counts[name] += (
                (other.layer_events, other.synops) != (reference.layer_events, reference.synops))
            if len(places) and self.first is None:
                row, col, channel = (int(index) for index in places[0])
                value, expected = (int(head[row, col, channel]) for head in (other.head, reference.head))
                self.first = Difference(reference.tag, name, (row, col, channel), value, expected)
