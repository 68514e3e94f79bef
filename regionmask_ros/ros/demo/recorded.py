"""The demo's bag: the messages of each answered frame, joined by their stamp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader

from ...core.detections import UNTRACKED, Detections
from ...sources.image_message import NANOSECONDS

_OF_A_FRAME = ("/detections", "/mask", "/overlay")

PENDING_LIMIT = 200
"""Number of frames that may wait for their images; more means that an image was never recorded."""


@dataclass(frozen=True)
class RecordedFrame:
    """One answered frame.

    Attributes:
        stamp_ns: The stamp of its image.
        recorded_ns: When its detections were recorded.
        detections: The objects.
        mask: uint8 [height, width], 255 where the image was observed; None when not recorded.
        overlay: uint8 [height, width, 3], BGR; None when not recorded.
    """

    stamp_ns: int
    recorded_ns: int
    detections: Detections
    mask: np.ndarray | None = None
    overlay: np.ndarray | None = None


@dataclass
class RecordedBag:
    """A bag of the node's topics.

    Attributes:
        folder: The bag.
        labels: Class names by number, known once the first frame is read.
        report: The values of the last diagnostics that were read.
    """

    folder: Path
    labels: tuple[str, ...] = ()
    report: dict[str, str] = field(default_factory=dict)

    def frames(self) -> Iterator[RecordedFrame]:
        """Yields all answered frames in order."""
        waiting: dict[int, dict[str, tuple[int, object]]] = {}
        with AnyReader([self.folder]) as reader:
            self.labels = self._read_labels(reader)
            for connection, recorded_ns, raw in reader.messages():
                message: Any = reader.deserialize(raw, connection.msgtype)
                if connection.topic == "/diagnostics":
                    self.report = {pair.key: pair.value for pair in message.status[0].values}
                elif connection.topic in _OF_A_FRAME:
                    waiting.setdefault(_stamp_ns(message), {})[connection.topic] = (recorded_ns, message)
                yield from self._pop_finished(waiting, PENDING_LIMIT)
        yield from self._pop_finished(waiting, 0)

    def _pop_finished(self, waiting: dict[int, dict[str, tuple[int, object]]], limit: int) -> Iterator[RecordedFrame]:
        """Yields the oldest frames while they are complete or more than ``limit`` frames wait."""
        while waiting:
            stamp_ns, parts = next(iter(waiting.items()))
            if len(parts) < len(_OF_A_FRAME) and len(waiting) <= limit:
                return
            del waiting[stamp_ns]
            if "/detections" in parts:
                yield self._make_frame(stamp_ns, parts)

    def _make_frame(self, stamp_ns: int, parts: dict[str, tuple[int, object]]) -> RecordedFrame:
        recorded_ns, message = parts["/detections"]
        images = {topic[1:]: _pixels(parts[topic][1]) for topic in ("/mask", "/overlay") if topic in parts}
        return RecordedFrame(stamp_ns, recorded_ns, self._detections(message), **images)

    @staticmethod
    def _read_labels(reader: AnyReader) -> tuple[str, ...]:
        latched = [connection for connection in reader.connections if connection.topic == "/label_info"]
        for connection, _, raw in reader.messages(latched):
            message: Any = reader.deserialize(raw, connection.msgtype)
            return tuple(entry.class_name for entry in message.class_map)
        return ()

    def _detections(self, message) -> Detections:
        """Reads boxes, scores, class numbers and tracks; LabelInfo maps a name to its number."""
        found = message.detections
        center = np.array([(d.bbox.center.position.x, d.bbox.center.position.y) for d in found]).reshape(-1, 2)
        half = np.array([(d.bbox.size_x, d.bbox.size_y) for d in found]).reshape(-1, 2) / 2.0
        numbers = {name: number for number, name in enumerate(self.labels)}
        return Detections(np.concatenate([center - half, center + half], axis=1).astype(np.float32),
                          np.array([d.results[0].hypothesis.score for d in found], np.float32),
                          np.array([numbers[d.results[0].hypothesis.class_id] for d in found], np.int32),
                          np.array([int(d.id) if d.id else UNTRACKED for d in found], np.int64))


def _stamp_ns(message) -> int:
    return message.header.stamp.sec * NANOSECONDS + message.header.stamp.nanosec


def _pixels(message) -> np.ndarray:
    """Returns uint8 [height, width] or [height, width, 3]; the node's own images have no padding."""
    shape = (message.height, message.width, -1) if message.encoding == "bgr8" else (message.height, message.width)
    return np.asarray(message.data).reshape(shape)
