"""What is known of a running detector: state, figures, and its topics with rate and quality of service."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rclpy.node import Node
from vision_msgs.msg import Detection2DArray

from ..errors import to_one_line
from ..report.tables import ABSENT, Column, format_number, format_percent, format_text, make_table
from .client import NodeTopic, RemoteDetector
from .echo import DETECTIONS
from .publishers import LAZY, RESULTS
from .status_watch import NodeStatus, StatusWatch

POLL_S = 0.02
REPORTS_S = 3.5
"""Reports come once a second: within this time two, which the rates are taken from."""


@dataclass(frozen=True)
class NodeInfo:
    """A node at one moment.

    Attributes:
        name: Its full name.
        state: Of its life cycle.
        status: Its last report; None if it makes none, as while it is not configured.
        topics: Its topics.
        rates: Messages per second, by the topics of which that is known.
    """

    name: str
    state: str
    status: NodeStatus | None
    topics: tuple[NodeTopic, ...]
    rates: dict[str, float]


def collect_info(node: Node, detector: RemoteDetector, watch: StatusWatch) -> NodeInfo:
    """Asks a detector, and listens for a moment.

    Args:
        node: Gets a subscription for that moment.
        detector: The detector.
        watch: Has its reports.

    Returns:
        What was found.

    Raises:
        UserError: It does not answer.
    """
    state, topics = detector.read_state(), detector.list_topics()
    if state not in ("active", "inactive"):
        return NodeInfo(detector.name, state, None, topics, {})
    outputs = [one.topic for one in topics if one.is_output and one.kind == DETECTIONS]
    heard: list[float] = []
    listening = [node.create_subscription(Detection2DArray, topic, lambda raw: heard.append(time.monotonic()), RESULTS,
                                          raw=True) for topic in outputs]
    first, last = _wait_for_two(watch, detector.name)

    def stop_listening() -> None:
        for subscription in listening:
            node.destroy_subscription(subscription)

    # In the thread of the callbacks, which waits for them now.
    assert node.executor is not None, "it has brought the reports"
    node.executor.create_task(stop_listening)
    rates = {}
    if first and last and last.received_s > first.received_s:
        between = [time_s for time_s in heard if first.received_s < time_s <= last.received_s]
        rates = dict.fromkeys(outputs, len(between) / (last.received_s - first.received_s))
        rates[last.values.get("image topic", "")] = (
            _count(last, "frames received") - _count(first, "frames received")) / (last.received_s - first.received_s)
    return NodeInfo(detector.name, state, last or first, topics, rates)


def _wait_for_two(watch: StatusWatch, name: str) -> tuple[NodeStatus | None, NodeStatus | None]:
    """Two reports that came after the call, one after the other, as far as they come in time."""
    before, deadline_s = watch.last(name), time.monotonic() + REPORTS_S
    found: list[NodeStatus] = []
    while len(found) < 2 and time.monotonic() < deadline_s:
        last = watch.last(name)
        if last is not None and last is not before:
            found.append(last)
            before = last
        time.sleep(POLL_S)
    return (found[0] if found else watch.last(name)), (found[1] if len(found) > 1 else None)


def _count(status: NodeStatus, key: str) -> int:
    text = status.values.get(key, "")
    return int(text) if text.isdecimal() else 0


def format_info(info: NodeInfo) -> str:
    """Writes it for a terminal; texts from the network are one printable line each."""
    lines = [f"{to_one_line(info.name)}  {info.state}"]
    if info.status is not None:
        lines += [f"  {name:<12} {to_one_line(text)}" for name, text in list_figures(info.status)]
    rows = [{"way": "out" if one.is_output else "in", "topic": to_one_line(one.topic), "kind": one.kind,
             "rate": info.rates.get(one.topic), "qos": _describe_qos(one)} for one in info.topics]
    table = make_table("topics:", _COLUMNS, rows)
    return "\n".join([*lines, *(f"  {line}" for line in format_text(table).split("\n"))])


_COLUMNS = (
    Column("", "way", is_text=True), Column("name", "topic", is_text=True), Column("type", "kind", is_text=True),
    Column("Hz", "rate", lambda rate: format_number(rate, 1)), Column("quality of service", "qos", is_text=True),
)


def _describe_qos(one: NodeTopic) -> str:
    is_lazy = one.is_output and one.topic.endswith(tuple(f"/{name}" for name in LAZY))
    notes = ["latched"] * one.is_latched + ["made while subscribed"] * is_lazy
    return ", ".join([one.reliability.replace("_", " "), *notes])


def list_figures(status: NodeStatus) -> list[tuple[str, str]]:
    """The main figures of a report in words, by name."""
    values = status.values

    def at(key: str, unit: str = "") -> str:
        return f"{values[key]}{unit}" if values.get(key) else ABSENT

    share = values.get("masked share")
    masked = f"{format_percent(float(share))} masked" if share else "no frames yet"
    frames = (f"{at('frames received')} received, {at('frames answered')} answered, "
              f"{at('frames dropped (overwritten)')} overwritten, {at('frames dropped (broken)')} broken, "
              f"{at('frames lost before the node (reported)')} lost before the node")
    latency = (f"{at('latency in node p50 [ms]', ' ms')} median, {at('latency in node p95 [ms]', ' ms')} 95th "
               "percentile, in the node")
    return [
        ("diagnostics", f"{status.level}: {status.message}"),
        ("network", f"{at('network')}, input {at('input size')}"),
        ("backend", f"{at('backend')}, kernels {at('kernels')}, arithmetic {at('arithmetic')}"),
        ("mask", f"{at('mask mode')}, {masked}"),
        ("frames", frames),
        ("latency", latency),
    ]
