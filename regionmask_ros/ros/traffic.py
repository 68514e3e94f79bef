"""What went through the node: counts that add up, and figures of the last seconds."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Mapping, Sequence

import numpy as np

WINDOW_S = 5.0

MAX_LATENCY_S = 60.0
"""A stamp that is further away from now than this was not taken from this clock, and gives no latency."""


@dataclass(frozen=True)
class FrameCounts:
    """Frames since the node was configured. Each received one is answered, dropped or still in flight.

    overwritten: a newer picture came before the detector was free. broken: it could not be read, or the detector
    refused it. lost: pictures that the middleware reports as lost on the way; those were never received. repeated:
    received with the stamp of the one before.
    """

    received: int = 0
    answered: int = 0
    overwritten: int = 0
    broken: int = 0
    lost: int = 0
    repeated: int = 0

    @property
    def in_flight(self) -> int:
        """Frames that are received and neither answered nor dropped yet."""
        return self.received - self.answered - self.overwritten - self.broken


@dataclass(frozen=True)
class Answer:
    """One answered frame. time_s: monotonic, when its outputs were published.

    node_ms: from the picture's arrival to its outputs. stamp_ms: from its stamp to its outputs, None when the stamp is
    not plausible. masked_share: 0 to 1, None for a first frame, which does not count towards it. pipeline_ms: what the
    pipeline itself took; the rest of node_ms is reading, waiting and publishing. attended_shares: share of the regions
    that each cause attends, see ``RegionMask``; not looked at for a first frame.
    """

    time_s: float
    node_ms: float
    stamp_ms: float | None
    masked_share: float | None
    events: int
    synops: int
    pipeline_ms: float
    attended_shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Figures:
    """Means and percentiles over the window; None where nothing gave a value. attended_shares: by cause, means over the
    same frames as masked_share; a cause that was at work in none of them is missing."""

    fps: float
    node_ms_p50: float | None
    node_ms_p95: float | None
    pipeline_ms_p50: float | None
    pipeline_ms_p95: float | None
    stamp_ms_p50: float | None
    stamp_ms_p95: float | None
    masked_share: float | None
    events_per_frame: float | None
    synops_per_frame: float | None
    attended_shares: Mapping[str, float]


class Traffic:
    """Counts and the answers of the last seconds, for one thread that receives and one that answers."""

    def __init__(self, now_s: float) -> None:
        self._lock = threading.Lock()
        self._counts = FrameCounts()
        self._answers: deque[Answer] = deque()
        self._since_s = now_s

    def count(self, **more: int) -> None:
        """Adds to counts, named as in FrameCounts, in one step."""
        with self._lock:
            self._counts = replace(self._counts, **{k: getattr(self._counts, k) + n for k, n in more.items()})

    def answer(self, answer: Answer) -> None:
        """Counts an answered frame and remembers its figures."""
        with self._lock:
            self._counts = replace(self._counts, answered=self._counts.answered + 1)
            self._answers.append(answer)
            self._forget(answer.time_s)

    @property
    def counts(self) -> FrameCounts:
        with self._lock:
            return self._counts

    def figures(self, now_s: float) -> Figures:
        """Of the last WINDOW_S seconds, or of the time since the start when that is shorter."""
        with self._lock:
            self._forget(now_s)
            answers = list(self._answers)
        span_s = max(min(WINDOW_S, now_s - self._since_s), 1e-3)
        return Figures(
            len(answers) / span_s,
            *_percentiles([a.node_ms for a in answers]),
            *_percentiles([a.pipeline_ms for a in answers]),
            *_percentiles([a.stamp_ms for a in answers if a.stamp_ms is not None]),
            _mean([a.masked_share for a in answers if a.masked_share is not None]),
            _mean([a.events for a in answers]),
            _mean([a.synops for a in answers]),
            _mean_by_cause([a.attended_shares for a in answers if a.masked_share is not None]),
        )

    def _forget(self, now_s: float) -> None:
        while self._answers and self._answers[0].time_s < now_s - WINDOW_S:
            self._answers.popleft()


def plausible_latency_ms(stamp_ns: int, now_ns: int) -> float | None:
    """Milliseconds from a picture's stamp to now; None for a stamp of 0, of the future, or of another clock."""
    latency_s = (now_ns - stamp_ns) / 1e9
    return latency_s * 1e3 if stamp_ns and 0.0 <= latency_s <= MAX_LATENCY_S else None


def _percentiles(values: list[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    p50, p95 = np.percentile(values, (50, 95))
    return float(p50), float(p95)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _mean_by_cause(frames: Sequence[Mapping[str, float]]) -> dict[str, float]:
    causes = {cause for frame in frames for cause in frame}
    return {cause: float(np.mean([frame.get(cause, 0.0) for frame in frames])) for cause in causes}
