"""Everything that the node says, byte by byte, into a rosbag2 folder."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray, LabelInfo

from .definitions import type_name, typestore_of

BAG_VERSION = 8
"""Of the folder's metadata.yaml: Humble and Jazzy read it, too."""

DEPTH = 100
"""Messages that may wait while a chunk of the bag is compressed."""

FOREVER = QosTime(*divmod(2**63 - 1, 10**9))


@dataclass(frozen=True)
class Recorded:
    """A topic of the node. latched: the last message is kept for late subscribers."""

    topic: str
    message_class: type
    latched: bool = False


RECORDED = (
    Recorded("/detections", Detection2DArray),
    Recorded("/label_info", LabelInfo, latched=True),
    Recorded("/mask", Image),
    Recorded("/overlay", Image),
    Recorded("/diagnostics", DiagnosticArray),
)


class BagWriter:
    """A compressed mcap bag of RECORDED. For one thread at a time; closed once, by its owner."""

    def __init__(self, folder: Path) -> None:
        self._writer = Writer(folder, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        store = typestore_of(*(recorded.message_class for recorded in RECORDED))
        self._connections: dict[str, Connection] = {
            recorded.topic: self._writer.add_connection(
                recorded.topic, type_name(recorded.message_class), typestore=store,
                offered_qos_profiles=[_offered(recorded.latched)],
            )
            for recorded in RECORDED
        }

    def write(self, topic: str, raw: bytes) -> None:
        """Appends a serialised message, stamped with the time of now."""
        self._writer.write(self._connections[topic], time.time_ns(), raw)

    def close(self) -> None:
        """Writes index and metadata."""
        self._writer.close()


class Recorder(Node):
    """Subscribes to everything in RECORDED and writes it.

    Callbacks run in the session's executor thread; the main thread reads the counts, the last report and ``failure``,
    which is the error that ended the recording, such as a full disk.
    """

    def __init__(self, bag: BagWriter, **node_arguments: object) -> None:
        super().__init__("recorder", **node_arguments)
        self._bag = bag
        self.counts = {recorded.topic: 0 for recorded in RECORDED}
        self.report: dict[str, str] = {}
        self.report_time_ns = 0
        self.failure: OSError | None = None
        self.node_is_active = threading.Event()
        for recorded in RECORDED:
            self.create_subscription(
                recorded.message_class, recorded.topic, self._take(recorded.topic), _wanted(recorded.latched), raw=True
            )

    def _take(self, topic: str) -> Callable[[bytes], None]:
        def take(raw: bytes) -> None:
            try:
                self._bag.write(topic, raw)
            except OSError as error:
                self.failure = error
            self.counts[topic] += 1
            if topic == "/label_info":
                self.node_is_active.set()
            elif topic == "/diagnostics":
                self._read_report(raw)

        return take

    def _read_report(self, raw: bytes) -> None:
        message = deserialize_message(raw, DiagnosticArray)
        self.report = {pair.key: pair.value for pair in message.status[0].values}
        self.report_time_ns = time.time_ns()


def _wanted(latched: bool) -> QoSProfile:
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=durability
    )


def _offered(latched: bool) -> Qos:
    """What a bag player should offer, so that whoever listened to the node can listen to the bag."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=FOREVER,
        lifespan=FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=FOREVER,
        avoid_ros_namespace_conventions=False,
    )
