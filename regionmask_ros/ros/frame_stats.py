"""Counts of a node's frames since it was configured, and figures of the last seconds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

WINDOW_S = 5.0
"""Figures cover the frames of the last WINDOW_S seconds."""

MAX_LATENCY_S = 60.0
"""A stamp further away from now than this comes from another clock and gives no latency."""

P50P95 = tuple["float | None", "float | None"]
"""The 50th and the 95th percentile; None without values."""


@dataclass(frozen=True)
class FrameCounts:
    """Numbers of frames. Each received one is answered, dropped (overwritten or broken), or still in flight.

    Attributes:
        received: Images that came.
        answered: Frames whose results were published.
        overwritten: A newer image came before the detector was free.
        unreadable: The image could not be read. This and the following ones, up to ``error``, are the broken ones.
        refused: The detector cannot process such an image with its settings.
        no_backend: No backend was running.
        in_backend: It was inside a backend that has failed or was replaced.
        forgotten: It was inside when the detector was reset or stopped, or came after that.
        error: An exception that nobody foresaw.
        lost: The middleware reported them as lost on the way; they were never received.
        repeated: Received with the stamp of the image before.
        judged: Received while the rate of the camera was known.
        missing: An estimate from that rate: images between the judged ones; those that are lost are among them.
        pauses: How often the camera has paused.
    """

    received: int = 0
    answered: int = 0
    overwritten: int = 0
    unreadable: int = 0
    refused: int = 0
    no_backend: int = 0
    in_backend: int = 0
    forgotten: int = 0
    error: int = 0
    lost: int = 0
    repeated: int = 0
    judged: int = 0
    missing: int = 0
    pauses: int = 0

    @property
    def broken(self) -> int:
        """Frames that were dropped for another reason than that a newer one came."""
        return self.unreadable + self.failed

    @property
    def failed(self) -> int:
        """Those of the broken ones for which the detector, not the image, was the cause."""
        return self.refused + self.no_backend + self.in_backend + self.forgotten + self.error

    @property
    def in_flight(self) -> int:
        """Frames that are received and neither answered nor dropped yet."""
        return self.received - self.answered - self.overwritten - self.broken


class DropKind(Enum):
    """Kinds of reasons, by the field of ``FrameCounts`` in which they count."""

    UNREADABLE = "unreadable"
    REFUSED = "refused"
    NO_BACKEND = "no_backend"
    IN_BACKEND = "in_backend"
    FORGOTTEN = "forgotten"
    ERROR = "error"


@dataclass(frozen=True)
class DropReason:
    """Why a broken frame was dropped: for people, and of which kind that is."""

    text: str = ""
    kind: DropKind = DropKind.UNREADABLE

    @property
    def is_failure(self) -> bool:
        """Whether the detector, not the image, was the cause."""
        return self.kind is not DropKind.UNREADABLE


@dataclass(frozen=True)
class FrameOutcome:
    """One answered frame.

    Attributes:
        time_s: When its results were published, monotonic.
        node_ms: Time from the image's arrival to the published results.
        stamp_ms: Time from the image's stamp to the published results; None when the stamp is not plausible.
        masked_share: 0 to 1; None for a first frame, which does not count.
        events: Events of the encoder and of all layers; None where none are counted.
        synops: Synaptic operations; likewise.
        mac_share: Share of the dense network's multiply-accumulate operations that the tile engine did, 0 to 1; None
            where another backend computes.
        tiles: Tiles of all layers that it computed; likewise.
        pipeline_ms: Time in the pipeline; the rest of ``node_ms`` is reading, waiting and publishing.
        attended_shares: The share of the regions that each mask source keeps; see ``RegionMask``.
    """

    time_s: float
    node_ms: float
    stamp_ms: float | None
    masked_share: float | None
    events: int | None
    synops: int | None
    mac_share: float | None
    tiles: int | None
    pipeline_ms: float
    attended_shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FrameFigures:
    """Means and percentiles of the window; None where there is no value.

    Attributes:
        fps: Answered frames per second.
        node_ms: As in ``FrameOutcome``, percentiles; so are ``pipeline_ms`` and ``stamp_ms``.
        masked_share: Mean over all frames but first ones.
        events: Mean number a frame.
        synops: Mean number a frame.
        mac_share: Mean.
        tiles: Mean number a frame.
        attended_shares: Means over the same frames as ``masked_share``; sources that kept nothing may be missing.
    """

    fps: float
    node_ms: P50P95
    pipeline_ms: P50P95
    stamp_ms: P50P95
    masked_share: float | None
    events: float | None
    synops: float | None
    mac_share: float | None
    tiles: float | None
    attended_shares: Mapping[str, float]


class FrameStats:
    """Counts and recent outcomes, for one thread that receives images and one that publishes results.

    Args:
        now_s: Monotonic time of the start.

    Attributes:
        last_drop: Why the last broken frame was dropped.
    """

    def __init__(self, now_s: float) -> None:
        self._lock = threading.Lock()
        self._counts = FrameCounts()
        self._outcomes: deque[FrameOutcome] = deque()
        self._start_s = now_s
        self.last_drop = DropReason()

    def count(self, **more: int) -> None:
        """Adds to the counts, which are named as in ``FrameCounts``, in one step."""
        with self._lock:
            self._counts = replace(self._counts, **{k: getattr(self._counts, k) + n for k, n in more.items()})

    def drop(self, reason: DropReason) -> None:
        """Counts a broken frame."""
        self.last_drop = reason
        self.count(**{reason.kind.value: 1})

    def add(self, outcome: FrameOutcome) -> None:
        """Counts an answered frame and keeps its figures for the window."""
        with self._lock:
            self._counts = replace(self._counts, answered=self._counts.answered + 1)
            self._outcomes.append(outcome)
            self._expire(outcome.time_s)

    @property
    def counts(self) -> FrameCounts:
        """The counts of this moment."""
        with self._lock:
            return self._counts

    def figures(self, now_s: float) -> FrameFigures:
        """Returns the figures of the window, or of the time since the start if that is shorter."""
        with self._lock:
            self._expire(now_s)
            frames = list(self._outcomes)
        span_s = max(min(WINDOW_S, now_s - self._start_s), 1e-3)
        masked = [frame for frame in frames if frame.masked_share is not None]
        return FrameFigures(
            fps=len(frames) / span_s,
            node_ms=_percentiles([frame.node_ms for frame in frames]),
            pipeline_ms=_percentiles([frame.pipeline_ms for frame in frames]),
            stamp_ms=_percentiles([frame.stamp_ms for frame in frames if frame.stamp_ms is not None]),
            masked_share=_mean([frame.masked_share for frame in masked if frame.masked_share is not None]),
            events=_mean([frame.events for frame in frames if frame.events is not None]),
            synops=_mean([frame.synops for frame in frames if frame.synops is not None]),
            mac_share=_mean([frame.mac_share for frame in frames if frame.mac_share is not None]),
            tiles=_mean([frame.tiles for frame in frames if frame.tiles is not None]),
            attended_shares={
                source: float(np.mean([frame.attended_shares.get(source, 0.0) for frame in masked]))
                for source in {source for frame in masked for source in frame.attended_shares}},
        )

    def _expire(self, now_s: float) -> None:
        while self._outcomes and self._outcomes[0].time_s < now_s - WINDOW_S:
            self._outcomes.popleft()


def plausible_latency_ms(stamp_ns: int, now_ns: int) -> float | None:
    """Returns milliseconds from an image's stamp to now; None for a stamp of 0, of the future or of another clock."""
    latency_s = (now_ns - stamp_ns) / 1e9
    return latency_s * 1e3 if stamp_ns and 0.0 <= latency_s <= MAX_LATENCY_S else None


def _percentiles(values: Sequence[float]) -> P50P95:
    if not values:
        return None, None
    p50, p95 = np.percentile(values, (50, 95))
    return float(p50), float(p95)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
