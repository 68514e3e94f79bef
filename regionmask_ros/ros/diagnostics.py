"""What the node reports about itself on /diagnostics, once a second by the computer's clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_msgs.msg import Header

from ..core.result import REFRESH
from ..errors import to_one_line
from ..mask.schedule import BORDER, OBJECTS
from ..mask.source import ATTENTION, DYNAMIC, STATIC
from ..pipeline.backend_health import BackendNotice
from .callback_guard import CallbackErrors
from .frame_stats import FrameCounts, FrameFigures, FrameStats
from .publishers import RESULTS

SOURCES = (STATIC, DYNAMIC, ATTENTION, OBJECTS, BORDER, REFRESH)
"""Why regions are kept. An adaptive mask counts as a static one; objects and border are a preset's."""

HARDWARE_ID = "regionmask_ros"
"""Viewers find a status by its hardware id and name, so both stay the same for every backend."""

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

REPORT_PERIOD_S = 1.0

WARNING_REPORTS = 5
"""A warning stays in this many reports, so that a viewer that polls sees it."""

INPUT_TIMEOUT_S = 3.0
"""A warning follows when a publisher is there and no image has come for this long."""

LOSS_HINT = "give the camera's process the DDS profile for images (see README)"


@dataclass(frozen=True)
class NodeFacts:
    """What the node knows about itself at one moment.

    Attributes:
        name: Of the status.
        state: Of the life cycle.
        topic: Where images are expected.
        transport: ``raw`` or ``compressed``.
        converter: What reads images.
        backend: Name of the current backend.
        kernels: What it computes with.
        arithmetic: Its arithmetic.
        thresholds: ``trained`` or ``tuned``.
        mask_mode: The mask or the preset.
        schedule: How long a preset's schedule is, and whether predictions hold; empty without a guard.
        network: File or name of the network.
        latency_steps: Time steps from a frame's events to its result; None before the first frame.
        profile: What was measured on hardware; None where nothing was.
        input_wh: Width and height of the network's input; None before the first frame.
        resets: How often the detector was reset.
        last_error: Why the last broken frame was dropped; empty for none.
        is_failing: Whether the detector, not the image, was the cause of that.
        opening: The backend that is opening beside the current one; empty for none.
        restarts: Number of restarts of backends that failed.
        notice: The current message about backends.
        last_notice: The last message about backends, current or not.
        errors: What callbacks have raised.
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
    schedule: str
    network: str
    latency_steps: int | None
    profile: Mapping[str, Any] | None
    input_wh: tuple[int, int] | None
    resets: int
    last_error: str
    is_failing: bool
    opening: str
    restarts: int
    notice: BackendNotice
    last_notice: str
    errors: CallbackErrors


@dataclass(frozen=True)
class NodeReport:
    """The node at one moment, and what went through it.

    Attributes:
        facts: About the node.
        counts: Now.
        earlier: The counts of some seconds ago.
        figures: Of the last seconds.
        quiet_s: Seconds since the last image or since the start.
        publishers: Number of publishers of images.
        is_clock_stopped: Whether simulated time has not moved since the last report.
        earlier_errors: Number of exceptions in callbacks some seconds ago.
    """

    facts: NodeFacts
    counts: FrameCounts
    earlier: FrameCounts
    figures: FrameFigures
    quiet_s: float
    publishers: int
    is_clock_stopped: bool
    earlier_errors: int


def assess_health(report: NodeReport) -> tuple[bytes, str]:
    """Returns the level and the one line that says why."""
    facts, now, earlier = report.facts, report.counts, report.earlier
    if facts.errors.count > report.earlier_errors:
        return ERROR, f"an error in the node was caught: {facts.errors.last}"
    if facts.state != "active":
        return OK, facts.state
    if facts.notice:
        return (ERROR if facts.notice.is_error else WARN), facts.notice.line
    if now.broken > earlier.broken:
        return (ERROR if facts.is_failing else WARN), f"frame dropped: {facts.last_error}"
    if now.received == earlier.received and not now.in_flight:
        return WARN, _explain_silence(report)
    if now.lost > earlier.lost:
        return WARN, f"images are lost on the way: {LOSS_HINT}"
    if report.publishers > 1:
        return WARN, f"{report.publishers} publishers on {facts.topic}: their images mix, and time seems to jump"
    if now.overwritten > earlier.overwritten:
        return WARN, "images come faster than the detector works: the oldest ones are dropped"
    return OK, f"{report.figures.fps:.1f} frames per second"


def is_input_missing(report: NodeReport) -> bool:
    """Returns whether images are published and time goes on, but none has come for a while."""
    expected = report.facts.state == "active" and report.publishers > 0 and not report.is_clock_stopped
    return expected and report.quiet_s >= INPUT_TIMEOUT_S


def _explain_silence(report: NodeReport) -> str:
    topic = report.facts.topic
    if report.is_clock_stopped:
        return f"no images on {topic}: simulated time stands still"
    if is_input_missing(report):
        return (f"publisher present on {topic}, no frames for {report.quiet_s:.0f} s: "
                f"{LOSS_HINT}, check image_reliability")
    hint = "" if report.counts.received else "; is the camera running and the topic remapped?"
    return f"no images on {topic}{hint}"


def make_status(report: NodeReport) -> DiagnosticStatus:
    """Returns the report as a status message, whose keys never change."""
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
        "latency stamp to publish p50 [ms]": _number(figures.stamp_ms[0]),
        "latency stamp to publish p95 [ms]": _number(figures.stamp_ms[1]),
        "latency in node p50 [ms]": _number(figures.node_ms[0]),
        "latency in node p95 [ms]": _number(figures.node_ms[1]),
        "pipeline p50 [ms]": _number(figures.pipeline_ms[0]),
        "pipeline p95 [ms]": _number(figures.pipeline_ms[1]),
        "masked share": _number(figures.masked_share, 4),
        **{f"attended share, {source}": _attended_share(figures, source) for source in SOURCES},
        "events per frame": _number(figures.events, 1),
        "synops per frame": _number(figures.synops, 1),
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
        "schedule": facts.schedule,
        "network": facts.network,
        "input size": "x".join(map(str, facts.input_wh)) if facts.input_wh else "",
        "last error": facts.last_error,
        "errors in callbacks": facts.errors.count,
        "last error in a callback": facts.errors.last,
    }
    pairs = [KeyValue(key=key, value=to_one_line(str(value))) for key, value in values.items()]
    message = to_one_line(message)
    return DiagnosticStatus(level=level, name=facts.name, message=message, hardware_id=HARDWARE_ID, values=pairs)


class DiagnosticsReporter:
    """Publishes reports until it is destroyed.

    Args:
        node: Its publisher, timer and clock are used.
        frame_stats: What went through the node.
        facts: Returns the node's facts at the moment of the call; None while it is being cleaned up.
    """

    def __init__(self, node: Node, frame_stats: FrameStats, facts: Callable[[], NodeFacts | None]) -> None:
        self._node, self._frame_stats, self._facts = node, frame_stats, facts
        self._earlier_counts = deque([FrameCounts()], WARNING_REPORTS)
        self._earlier_errors = deque([0], WARNING_REPORTS)
        self._received, self._received_s, self._state = 0, time.monotonic(), ""
        self._clock_ns, self._was_input_missing = -1, False
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RESULTS)
        # A timer on simulated time stops with the bag; diagnostics must not.
        self._timer = node.create_timer(REPORT_PERIOD_S, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy(self) -> None:
        """Ends the reports."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _publish(self) -> None:
        facts = self._facts()
        if facts is None:
            return
        report = self._make_report(facts)
        is_missing = is_input_missing(report)
        if is_missing and not self._was_input_missing:
            self._node.get_logger().warning(assess_health(report)[1])
        self._was_input_missing = is_missing
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._publisher.publish(DiagnosticArray(header=header, status=[make_status(report)]))

    def _make_report(self, facts: NodeFacts) -> NodeReport:
        counts, now_s = self._frame_stats.counts, time.monotonic()
        # An inactive node receives nothing and misses nothing.
        if counts.received != self._received or facts.state != self._state:
            self._received, self._state, self._received_s = counts.received, facts.state, now_s
        clock_ns, self._clock_ns = self._clock_ns, self._node.get_clock().now().nanoseconds
        report = NodeReport(facts=facts, counts=counts, earlier=self._earlier_counts[0],
                            figures=self._frame_stats.figures(now_s), quiet_s=now_s - self._received_s,
                            publishers=self._node.count_publishers(facts.topic),
                            is_clock_stopped=clock_ns == self._clock_ns, earlier_errors=self._earlier_errors[0])
        self._earlier_counts.append(counts)
        self._earlier_errors.append(facts.errors.count)
        return report


def _attended_share(figures: FrameFigures, source: str) -> str:
    """Empty as long as there is no masked share either."""
    return _number(None if figures.masked_share is None else figures.attended_shares.get(source, 0.0), 4)


def _number(value: float | None, digits: int = 2, scale: float = 1.0) -> str:
    """Empty when there is no value: a 0 would look like a measurement."""
    return "" if value is None else f"{value * scale:.{digits}f}"
