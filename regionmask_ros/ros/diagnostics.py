"""What the node reports about itself on /diagnostics, once a second by the computer's clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_msgs.msg import Header

from ..core.result import REFRESH
from ..errors import to_one_line
from ..mask.schedule import BORDER, OBJECTS
from ..mask.source import ATTENTION, DYNAMIC, STATIC
from ..mask.tile_schedule import ROLLING
from .frame_stats import DropKind, FrameCounts, FrameFigures, FrameStats
from .health import (
    InputWatch,
    NodeFacts,
    NodeReport,
    assess_health,
    explain_mask_trouble,
    explain_namesakes,
    explain_silence,
    is_input_missing,
)
from .publishers import RESULTS

SOURCES = (STATIC, DYNAMIC, ATTENTION, OBJECTS, BORDER, ROLLING, REFRESH)
"""Why regions are kept. An adaptive mask counts as a static one; objects and border are a preset's."""

DROPS = {
    DropKind.UNREADABLE: "image unreadable",
    DropKind.REFUSED: "refused by the detector",
    DropKind.NO_BACKEND: "no backend",
    DropKind.IN_BACKEND: "lost in a backend",
    DropKind.FORGOTTEN: "reset or stop",
    DropKind.ERROR: "error in the node",
}
"""The kinds of reasons for which frames are dropped, in the diagnostics. They add up to the broken ones."""

HARDWARE_ID = "regionmask_ros"
"""Viewers find a status by its hardware id and name, so both stay the same for every backend."""

UNKNOWN = "unknown"
"""A 0 would look as if it were known."""

REPORT_PERIOD_S = 1.0

WARNING_REPORTS = 5
"""A warning stays in this many reports, so that a viewer that polls sees it."""


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
        "frames dropped (broken), failures of the detector": counts.failed,
        **{f"frames dropped (broken): {name}": getattr(counts, kind.value) for kind, name in DROPS.items()},
        "frames lost before the node (reported)": counts.lost if facts.camera.reports_losses else UNKNOWN,
        "frames lost before the node (estimated)": counts.missing if counts.judged else UNKNOWN,
        "rate of the camera (estimated) [fps]": _number(1.0 / facts.camera.period_s if facts.camera.period_s else None),
        "frames received while the rate of the camera was known": counts.judged,
        "pauses of the camera": counts.pauses if counts.judged else UNKNOWN,
        "frames with a repeated stamp": counts.repeated,
        "fresh starts": facts.resets,
        "publishers of pictures": report.input.publishers,
        "other nodes of this name": facts.namesakes,
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
        "share of MACs": _number(figures.mac_share, 4),
        "active tiles per frame": _number(figures.tiles, 1),
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
        self._input, self._clock_ns = InputWatch(time.monotonic()), -1
        self._said: dict[str, bool] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RESULTS)
        # A timer on simulated time stops with the bag; diagnostics must not.
        self._timer = node.create_timer(REPORT_PERIOD_S, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy(self) -> None:
        """Ends the reports."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)
        # It refers back to the reports.
        del self._timer

    def _publish(self) -> None:
        facts = self._facts()
        if facts is None:
            return
        report = self._make_report(facts)
        # A publisher of another kind may come late: then the advice is a second line.
        is_missing, advice = is_input_missing(report), facts.camera.advice
        self._warn_once("input", is_missing and not advice, lambda: explain_silence(report))
        self._warn_once("advice", is_missing and bool(advice), lambda: explain_silence(report))
        self._warn_once("mask", bool(facts.mask_trouble), lambda: explain_mask_trouble(facts))
        self._warn_once("name", bool(facts.namesakes), lambda: explain_namesakes(facts))
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._publisher.publish(DiagnosticArray(header=header, status=[make_status(report)]))

    def _warn_once(self, topic: str, is_wrong: bool, explain: Callable[[], str]) -> None:
        """Logs a trouble when it begins."""
        if is_wrong and not self._said.get(topic):
            self._node.get_logger().warning(explain())
        self._said[topic] = is_wrong

    def _make_report(self, facts: NodeFacts) -> NodeReport:
        counts, now_s = self._frame_stats.counts, time.monotonic()
        clock_ns, self._clock_ns = self._clock_ns, self._node.get_clock().now().nanoseconds
        found = self._input.look(facts.state, counts.received, self._node.count_publishers(facts.topic), now_s)
        report = NodeReport(facts=facts, counts=counts, earlier=self._earlier_counts[0],
                            figures=self._frame_stats.figures(now_s), input=found,
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
