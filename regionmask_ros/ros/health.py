"""The node's own report, once a second by the computer's clock, and what it warns of."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import Header

from .diagnostics import (
    FrameCounts,
    FrameStats,
    NodeFacts,
    NodeReport,
    assess_health,
    is_input_missing,
    make_status_message,
)
from .publishers import RESULTS

REPORT_PERIOD_S = 1.0
WARNING_REPORTS = 5
"""A warning stays in as many reports, so that somebody who looks now and then sees it."""


class HealthReporter:
    """Reports until it is destroyed. facts: the node at the moment of the call, None: it is being cleaned up."""

    def __init__(self, node: Node, frame_stats: FrameStats, facts: Callable[[], NodeFacts | None]) -> None:
        self._node, self._frame_stats, self._facts = node, frame_stats, facts
        self._earlier_frame = deque([FrameCounts()], WARNING_REPORTS)
        self._received, self._heard_s = 0, time.monotonic()
        self._state, self._clock_ns, self._starving = "", -1, False
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", RESULTS)
        # On simulated time a timer stops with the bag, and what diagnoses the node must not.
        self._timer = node.create_timer(REPORT_PERIOD_S, self._tell, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy(self) -> None:
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _tell(self) -> None:
        facts = self._facts()
        if facts is None:
            return
        report = self._report(facts)
        starving = is_input_missing(report)
        if starving and not self._starving:
            self._node.get_logger().warning(assess_health(report)[1])
        self._starving = starving
        self._publisher.publish(make_status_message(report, Header(stamp=self._node.get_clock().now().to_msg())))

    def _report(self, facts: NodeFacts) -> NodeReport:
        counts, now_s = self._frame_stats.counts, time.monotonic()
        # An inactive node hears nothing and misses nothing.
        if counts.received != self._received or facts.state != self._state:
            self._received, self._state, self._heard_s = counts.received, facts.state, now_s
        clock_ns, self._clock_ns = self._clock_ns, self._node.get_clock().now().nanoseconds
        report = NodeReport(
            facts=facts,
            counts=counts,
            earlier=self._earlier_frame[0],
            figures=self._frame_stats.figures(now_s),
            quiet_s=now_s - self._heard_s,
            publishers=self._node.count_publishers(facts.topic),
            is_clock_stopped=clock_ns == self._clock_ns,
        )
        self._earlier_frame.append(counts)
        return report
