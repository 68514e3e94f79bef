"""What a recorded bag holds about each answered frame, joined by the header that all outputs share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rosbags.highlevel import AnyReader

from ...detection.detections import Detections
from ...sources.image_message import NANOSECONDS

_OF_A_FRAME = ("/detections", "/mask", "/overlay")

PENDING_LIMIT = 200
"""Answers that may wait for their pictures; more means that a picture was never recorded."""


@dataclass(frozen=True)
class Answer:
    """One frame. stamp_ns: of its picture. recorded_ns: when its detections were recorded.

    mask: uint8 [height, width], 255 = sent, and overlay: uint8 [height, width, 3], BGR; None when not recorded.
    """

    stamp_ns: int
    recorded_ns: int
    detections: Detections
    mask: np.ndarray | None = None
    overlay: np.ndarray | None = None


@dataclass
class RecordedBag:
    """A bag of the node's topics; reads it from beginning to end.

    labels: class names by number, known once the first answer is read. report: values of the last diagnostics.
    """

    folder: Path
    labels: tuple[str, ...] = ()
    report: dict[str, str] = field(default_factory=dict)

    def answers(self) -> Iterator[Answer]:
        """All answered frames, in their order."""
        waiting: dict[int, dict[str, tuple[int, object]]] = {}
        with AnyReader([self.folder]) as reader:
            self.labels = self._read_labels(reader)
            for connection, recorded_ns, raw in reader.messages():
                message = reader.deserialize(raw, connection.msgtype)
                if connection.topic == "/diagnostics":
                    self.report = {pair.key: pair.value for pair in message.status[0].values}
                elif connection.topic in _OF_A_FRAME:
                    waiting.setdefault(_stamp_ns(message), {})[connection.topic] = (recorded_ns, message)
                yield from self._finished(waiting, PENDING_LIMIT)
        yield from self._finished(waiting, 0)

    def _finished(self, waiting: dict[int, dict[str, tuple[int, object]]], limit: int) -> Iterator[Answer]:
        """From the oldest on: answers that are complete, and those that more than ``limit`` others wait behind."""
        while waiting:
            stamp_ns, parts = next(iter(waiting.items()))
            if len(parts) < len(_OF_A_FRAME) and len(waiting) <= limit:
                return
            del waiting[stamp_ns]
            if "/detections" in parts:
                yield self._answer(stamp_ns, parts)

    def _answer(self, stamp_ns: int, parts: dict[str, tuple[int, object]]) -> Answer:
        recorded_ns, message = parts["/detections"]
        pictures = {topic[1:]: _pixels(parts[topic][1]) for topic in ("/mask", "/overlay") if topic in parts}
        return Answer(stamp_ns, recorded_ns, self._detections(message), **pictures)

    @staticmethod
    def _read_labels(reader: AnyReader) -> tuple[str, ...]:
        latched = [connection for connection in reader.connections if connection.topic == "/label_info"]
        for connection, _, raw in reader.messages(latched):
            return tuple(entry.class_name for entry in reader.deserialize(raw, connection.msgtype).class_map)
        return ()

    def _detections(self, message) -> Detections:
        """Boxes, scores and numbers; LabelInfo leads from the name in a message to its number."""
        found = message.detections
        centre = np.array([(d.bbox.center.position.x, d.bbox.center.position.y) for d in found]).reshape(-1, 2)
        half = np.array([(d.bbox.size_x, d.bbox.size_y) for d in found]).reshape(-1, 2) / 2.0
        numbers = {name: number for number, name in enumerate(self.labels)}
        return Detections(
            np.concatenate([centre - half, centre + half], axis=1).astype(np.float32),
            np.array([d.results[0].hypothesis.score for d in found], np.float32),
            np.array([numbers[d.results[0].hypothesis.class_id] for d in found], np.int32),
        )


def _stamp_ns(message) -> int:
    return message.header.stamp.sec * NANOSECONDS + message.header.stamp.nanosec


def _pixels(message) -> np.ndarray:
    """uint8 [height, width] or [height, width, 3]; our own pictures have no padding."""
    shape = (message.height, message.width, -1) if message.encoding == "bgr8" else (message.height, message.width)
    return np.asarray(message.data).reshape(shape)
