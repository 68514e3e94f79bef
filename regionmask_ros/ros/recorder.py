"""Records the node's topics into a rosbag2 folder, message by message as received.

The message definitions in the bag are made from the message classes that are installed, vision_msgs' included.
"""

from __future__ import annotations

import importlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray, LabelInfo

_RENAMED = {"boolean": "bool", "octet": "byte", "float": "float32", "double": "float64"}
"""Names of basic types: in message classes, and in a .msg file."""

_SEQUENCE = re.compile(r"sequence<(?P<item>.+?)(, (?P<bound>\d+))?>")
_ARRAY = re.compile(r"(?P<item>.+)\[(?P<length>\d+)\]")


def make_typestore(*message_classes: type) -> Typestore:
    """Returns the definitions of these messages and of all that they contain."""
    store = get_typestore(Stores.EMPTY)
    wanted = [type_name(message_class) for message_class in message_classes]
    while wanted:
        name = wanted.pop()
        if name in store.fielddefs:
            continue
        fields = _class_of(name).get_fields_and_field_types()
        lines = [f"{msg_type(kind)} {field}" for field, kind in fields.items()]
        store.register(get_types_from_msg("\n".join(lines) + "\n", name))
        wanted += [inner for kind in fields.values() if "/" in (inner := _innermost(kind))]
    return store


def type_name(message_class: type) -> str:
    """Returns the full name of a type, such as ``sensor_msgs/msg/Image``."""
    return f"{message_class.__module__.partition('.')[0]}/msg/{message_class.__name__}"


def msg_type(kind: str) -> str:
    """Converts the name of a field's type.

    Args:
        kind: As message classes write it.

    Returns:
        As a .msg file writes it.

    >>> msg_type("sequence<vision_msgs/Detection2D>"), msg_type("double[36]"), msg_type("sequence<octet, 4>")
    ('vision_msgs/Detection2D[]', 'float64[36]', 'byte[<=4]')
    """
    if match := _SEQUENCE.fullmatch(kind):
        bound = f"<={match['bound']}" if match["bound"] else ""
        return f"{msg_type(match['item'])}[{bound}]"
    if match := _ARRAY.fullmatch(kind):
        return f"{msg_type(match['item'])}[{match['length']}]"
    text, less, bound = kind.partition("<")
    if less:
        return f"{text}<={bound.rstrip('>')}"
    return _RENAMED.get(kind, kind)


def _innermost(kind: str) -> str:
    """Returns the full name of the type inside sequences and arrays: ``vision_msgs/msg/Detection2D``."""
    return msg_type(kind).partition("[")[0].replace("/", "/msg/")


def _class_of(name: str) -> Any:
    package, _, short = name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), short)


BAG_VERSION: Literal[8] = 8
"""Version of the folder's metadata.yaml; Humble and later read it."""

DEPTH = 100
"""Number of messages that may wait while a chunk of the bag is compressed."""

INFINITE_DURATION = QosTime(*divmod(2**63 - 1, 10**9))


@dataclass(frozen=True)
class RecordedTopic:
    """A topic of the node, its message type, and whether the last message is kept for late subscribers."""

    topic: str
    message_class: type
    latched: bool = False


RECORDED = (
    RecordedTopic("/detections", Detection2DArray),
    RecordedTopic("/label_info", LabelInfo, latched=True),
    RecordedTopic("/mask", Image),
    RecordedTopic("/overlay", Image),
    RecordedTopic("/diagnostics", DiagnosticArray),
)


def topics_below(namespace: str, images: bool) -> tuple[RecordedTopic, ...]:
    """Returns RECORDED for a node in that namespace; with or without masks and overlays, which need most space."""
    inside = "/".join(["", *filter(None, namespace.split("/"))])
    return tuple(
        replace(topic, topic=topic.topic if topic.message_class is DiagnosticArray else f"{inside}{topic.topic}")
        for topic in RECORDED if images or topic.message_class is not Image)


class BagWriter:
    """A compressed mcap bag, for one thread at a time. Its owner closes it once.

    The folder holds metadata.yaml and NAME_0.mcap, as ros2 bag names it.

    Args:
        folder: The new folder.
        recorded: The topics.
        name: NAME; empty: that of the folder.
    """

    def __init__(self, folder: Path, recorded: Sequence[RecordedTopic] = RECORDED, name: str = "") -> None:
        # rosbags names the file after its folder, so the two files move up when they are complete.
        self._folder, self._inner = folder, folder / f"{name or folder.name}_0"
        self._writer = Writer(self._inner, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        store = make_typestore(*(topic.message_class for topic in recorded))
        self._connections: dict[str, Connection] = {
            topic.topic: self._writer.add_connection(topic.topic, type_name(topic.message_class), typestore=store,
                                                     offered_qos_profiles=[_offered_qos(topic.latched)])
            for topic in recorded}

    def write(self, topic: str, raw: bytes, now_ns: int) -> None:
        """Appends a serialized message, with the time at which it was received."""
        self._writer.write(self._connections[topic], now_ns, raw)

    def close(self) -> None:
        """Writes index and metadata."""
        self._writer.close()
        for file in self._inner.iterdir():
            file.rename(self._folder / file.name)
        self._inner.rmdir()


class Recorder(Node):
    """Subscribes to all topics and writes what comes, with the node's time, which may be simulated.

    Callbacks run in the session's executor thread; another thread may read the attributes.

    Args:
        bag: Where messages are written.
        recorded: The topics.
        node_arguments: For ``rclpy.node.Node``.

    Attributes:
        counts: Number of messages by topic.
        report: The values of the last diagnostics.
        report_time_ns: When they were received.
        failure: The error that ended the recording, such as a full disk; None for none.
        node_is_active: Set once the detector is active.
    """

    def __init__(self, bag: BagWriter, recorded: Sequence[RecordedTopic] = RECORDED, **node_arguments: Any) -> None:
        super().__init__("recorder", **node_arguments)
        self._bag = bag
        self.counts = {topic.topic: 0 for topic in recorded}
        self.report: dict[str, str] = {}
        self.report_time_ns = 0
        self.failure: OSError | None = None
        self.node_is_active = threading.Event()
        for topic in recorded:
            self.create_subscription(
                topic.message_class, topic.topic, self._make_handler(topic.topic), _requested_qos(topic.latched),
                raw=True)

    def _make_handler(self, topic: str) -> Callable[[bytes], None]:
        def handle(raw: bytes) -> None:
            try:
                self._bag.write(topic, raw, self.get_clock().now().nanoseconds)
            except OSError as error:
                self.failure = error
            self.counts[topic] += 1
            if topic.endswith("/label_info"):
                self.node_is_active.set()
            elif topic == "/diagnostics":
                self._read_report(raw)

        return handle

    def _read_report(self, raw: bytes) -> None:
        message = deserialize_message(raw, DiagnosticArray)
        self.report = {pair.key: pair.value for pair in message.status[0].values}
        self.report_time_ns = time.time_ns()


def _requested_qos(latched: bool) -> QoSProfile:
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=durability)


def _offered_qos(latched: bool) -> Qos:
    """The QoS that a bag player should offer, so that subscribers of the node can subscribe to the bag."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=INFINITE_DURATION,
        lifespan=INFINITE_DURATION,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=INFINITE_DURATION,
        avoid_ros_namespace_conventions=False,
    )
