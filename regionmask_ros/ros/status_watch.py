"""Collects what detectors report about themselves on /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from .diagnostics import HARDWARE_ID
from .publishers import RESULTS

LEVELS = {DiagnosticStatus.OK: "OK", DiagnosticStatus.WARN: "WARN", DiagnosticStatus.ERROR: "ERROR"}

MAX_NODES = 100
"""Reports of more nodes are not kept."""


@dataclass(frozen=True)
class NodeStatus:
    """One report.

    Attributes:
        level: ``OK``, ``WARN`` or ``ERROR``.
        message: All findings in one line.
        values: Texts by the keys of docs/TOPICS.md.
        received_s: When it came; monotonic time.
    """

    level: str
    message: str
    values: Mapping[str, str]
    received_s: float


class StatusWatch:
    """Keeps the last report of each detector.

    Args:
        node: Gets the subscription, for good.
    """

    def __init__(self, node: Node) -> None:
        self._last: dict[str, NodeStatus] = {}
        node.create_subscription(DiagnosticArray, "/diagnostics", self._take, RESULTS)

    def last(self, name: str) -> NodeStatus | None:
        """The last report of the node with that full name; None if there is none yet."""
        return self._last.get(name)

    def _take(self, message: DiagnosticArray) -> None:
        for status in message.status:
            name = f"/{status.name.partition(':')[0]}"
            if status.hardware_id == HARDWARE_ID and (name in self._last or len(self._last) < MAX_NODES):
                self._last[name] = NodeStatus(
                    LEVELS.get(status.level, "ERROR"), status.message,
                    {pair.key: pair.value for pair in status.values}, time.monotonic())
