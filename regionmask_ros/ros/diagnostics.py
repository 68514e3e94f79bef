"""What the node says about itself once a second, on /diagnostics.

What went through the node: counts that add up, and figures of the last seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from ..core.result import REFRESH
from ..mask.schedule import BORDER, OBJECTS
from ..mask.source import ATTENTION, DYNAMIC, STATIC
from ..pipeline.backend_manager import BackendNotice

CAUSES = (STATIC, DYNAMIC, ATTENTION, OBJECTS, BORDER, REFRESH)
"""Why regions are attended; a static mask may be an adaptive one, objects and border are a preset's."""

HARDWARE_ID = "regionmask_ros"
"""Viewers find a status by it and by its name, so both stay what they are, whatever the backend."""

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


INPUT_TIMEOUT_S = 3.0
"""So long nothing may come from a publisher that is there before it is told."""

LOSS_HINT = "give the camera's process the DDS profile for pictures (see README)"


@dataclass(frozen=True)
class NodeFacts:
    """What the node knows about itself at one moment.

    state: of its life cycle. topic: where pictures are expected. input_wh: of the network; latency_steps: of the
    backend, one a frame; both None before the first frame. profile: measured on hardware, None where nothing was.
    converter: what reads pictures. fresh_starts: how often the detector forgot what it had seen. last_error: why the
    last frame was dropped that could not be used, "" if none was. failing: that was not the picture's fault but the
    detector's. opening: the backend that is being opened beside, "" for none. restarts: of backends that failed.
    trouble: what is to be told of backends now. last_trouble: what was told of them last.
    """

    name: str
    state: str
    topic: str
    transport: str
    converter: str
    backend: str
    kernels: str
    arithmetic: str
    thresholds: str
    mask_mode: str
    network: str
    latency_steps: int | None
    profile: Mapping[str, Any] | None
    input_wh: tuple[int, int] | None
    resets: int
    last_error: str
    failing: bool
    opening: str
    restarts: int
    notice: BackendNotice
    last_notice: str


@dataclass(frozen=True)
class NodeReport:
    """The node at one moment, and what went through it.

    counts, earlier: now and some seconds ago. quiet_s: seconds since the last picture came, or since the start.
    publishers: on the topic of the pictures. clock_stands: simulated time has not moved since the last report.
    """

    facts: NodeFacts
    counts: FrameCounts
    earlier: FrameCounts
    figures: Figures
    quiet_s: float
    publishers: int
    is_clock_stopped: bool


def assess_health(report: NodeReport) -> tuple[bytes, str]:
    """Level and the one line that says why."""
    facts, now, earlier = report.facts, report.counts, report.earlier
    if facts.state != "active":
        return OK, facts.state
    if facts.notice.line:
        return (ERROR if facts.notice.is_error else WARN), facts.notice.line
    if now.broken > earlier.broken:
        return (ERROR if facts.failing else WARN), f"frame dropped: {facts.last_error}"
    if now.received == earlier.received and not now.in_flight:
        return WARN, _silence(report)
    if now.lost > earlier.lost:
        return WARN, f"pictures are lost on the way: {LOSS_HINT}"
    if report.publishers > 1:
        return WARN, f"{report.publishers} publishers on {facts.topic}: their pictures mix, and time seems to jump"
    if now.overwritten > earlier.overwritten:
        return WARN, "pictures come faster than the detector works: the oldest are dropped"
    return OK, f"{report.figures.fps:.1f} frames a second"


def is_input_missing(report: NodeReport) -> bool:
    """Somebody publishes pictures, time goes on, and none has come for a while."""
    due = report.facts.state == "active" and report.publishers > 0 and not report.is_clock_stopped
    return due and report.quiet_s >= INPUT_TIMEOUT_S


def _silence(report: NodeReport) -> str:
    topic = report.facts.topic
    if report.is_clock_stopped:
        return f"no pictures on {topic}: simulated time stands still"
    if is_input_missing(report):
        cure = f"{LOSS_HINT}, check image_reliability"
        return f"publisher present on {topic}, no frames for {report.quiet_s:.0f} s: {cure}"
    hint = "" if report.counts.received else "; is the camera running and the topic remapped?"
    return f"no pictures on {topic}{hint}"


def status(report: NodeReport) -> DiagnosticStatus:
    """The report as a message: one status, whose keys never change."""
    facts, counts, figures, profile = report.facts, report.counts, report.figures, report.facts.profile or {}
    level, message = assess_health(report)
    values = {
        "state": facts.state,
        "frames received": counts.received,
        "frames answered": counts.answered,
        "frames dropped (overwritten)": counts.overwritten,
        "frames dropped (broken)": counts.broken,
        "frames in flight": counts.in_flight,
        "frames lost before the node": counts.lost,
        "frames with a repeated stamp": counts.repeated,
        "fresh starts": facts.resets,
        "publishers of pictures": report.publishers,
        "fps": _number(figures.fps),
        "latency stamp to publish p50 [ms]": _number(figures.stamp_ms_p50),
        "latency stamp to publish p95 [ms]": _number(figures.stamp_ms_p95),
        "latency in node p50 [ms]": _number(figures.node_ms_p50),
        "latency in node p95 [ms]": _number(figures.node_ms_p95),
        "pipeline p50 [ms]": _number(figures.pipeline_ms_p50),
        "pipeline p95 [ms]": _number(figures.pipeline_ms_p95),
        "masked share": _number(figures.masked_share, 4),
        **{f"attended share, {cause}": _attended(figures, cause) for cause in CAUSES},
        "events per frame": _number(figures.events_per_frame, 1),
        "synops per frame": _number(figures.synops_per_frame, 1),
        "image topic": facts.topic,
        "image transport": facts.transport,
        "image converter": facts.converter,
        "backend": facts.backend,
        "backend that is being opened": facts.opening,
        "restarts of the backend": facts.restarts,
        "last trouble with backends": facts.last_notice,
        "kernels": facts.kernels,
        "arithmetic": facts.arithmetic,
        "thresholds": facts.thresholds,
        "latency of the backend [steps]": "" if facts.latency_steps is None else facts.latency_steps,
        "measured step [us]": _number(profile.get("step_s"), 2, 1e6),
        "measured power [W]": _number(profile.get("power_w"), 4),
        "measured energy per frame [mJ]": _number(profile.get("energy_j"), 4, 1e3),
        "measured busiest core [synops per step]": _number(profile.get("busiest_core_synops"), 1),
        "mask mode": facts.mask_mode,
        "network": facts.network,
        "input size": "x".join(map(str, facts.input_wh)) if facts.input_wh else "",
        "last error": facts.last_error,
    }
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=facts.name, message=message, hardware_id=HARDWARE_ID, values=pairs)


def make_status_message(report: NodeReport, header: Header) -> DiagnosticArray:
    return DiagnosticArray(header=header, status=[status(report)])


def _attended(figures: Figures, cause: str) -> str:
    """Empty as long as there is no masked share either."""
    return _number(None if figures.masked_share is None else figures.attended_shares.get(cause, 0.0), 4)


def _number(value: float | None, digits: int = 2, scale: float = 1.0) -> str:
    """Empty when there is no value: a 0 would look like a measurement."""
    return "" if value is None else f"{value * scale:.{digits}f}"


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
    same frames as masked_share; a cause that was at work in none of them is missing.
    """

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


class FrameStats:
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
