"""Pictures of a rosbag2 folder, mcap or db3, without ROS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from ..errors import UserError
from ..frames import Frame
from .bag_reader import bag_folder, choose_topic, full_name, messages, opened
from .image_message import frame_from, frame_from_compressed, stamp_ns
from .naming import shown

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

COMPRESSED = "sensor_msgs/msg/CompressedImage"

READERS: dict[str, Callable[[Any], Frame]] = {
    "sensor_msgs/msg/Image": frame_from, COMPRESSED: frame_from_compressed,
}

BELOW = "/compressed"
"""What image_transport appends to the topic of a camera for its compressed pictures."""

DEFAULT_FPS = 10.0
FPS_MESSAGES = 30
"""So many pictures at the beginning tell the rate."""


@dataclass(frozen=True)
class _Recorded:
    """A picture message. log_ns: when it was recorded."""

    message: Any
    log_ns: int

    @property
    def stamp_ns(self) -> int:
        return stamp_ns(self.message.header.stamp) or self.log_ns


class BagPictures:
    """The pictures of one topic as a Source; stamps and camera frame are those of their headers.

    A picture without a stamp has the time at which it was recorded. topic: may be left out when the bag holds one topic
    with pictures, or a camera's raw and compressed pictures: the raw ones are taken then, with only_compressed the
    others. preferred: taken if it is among several. compressed: they are compressed in the bag.

    Raises UserError, naming what is wrong: no bag, no such topic, several of them, no picture.
    """

    def __init__(self, path: str, topic: str = "", preferred: str = "", only_compressed: bool = False) -> None:
        self._path, self._folder = path, bag_folder(path)
        self._reader: AnyReader | None = None
        self.name = os.path.basename(os.path.abspath(self._folder))
        with opened(self._folder) as reader:
            self.topic = _choose(reader, topic, preferred, only_compressed, path)
            self.compressed = any(c.msgtype == COMPRESSED for c in _connections(reader, self.topic))
            self.frame_count: int | None = sum(c.msgcount for c in _connections(reader, self.topic))
            first = list(islice(self._messages(reader), FPS_MESSAGES))
            if not first:
                raise UserError(f"{shown(path)}: no picture on {self.topic}")
            self.size_wh = self._frame(first[0]).size_wh
        steps = np.diff([recorded.log_ns for recorded in first])
        self.fps = float(1e9 / np.median(steps)) if len(steps) and np.median(steps) > 0 else DEFAULT_FPS

    def frames(self) -> Iterator[Frame]:
        """See Source."""
        self.close()
        with opened(self._folder) as reader:
            self._reader = reader
            for recorded in self._messages(reader):
                if self._reader is not reader:
                    return
                yield self._frame(recorded)

    def stamps(self) -> list[int]:
        """Stamps of all frames in nanoseconds. No picture is decoded, so that a damaged one does not show."""
        with opened(self._folder) as reader:
            return [recorded.stamp_ns for recorded in self._messages(reader)]

    def close(self) -> None:
        self._reader = None

    def __enter__(self) -> BagPictures:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _messages(self, reader: AnyReader) -> Iterator[_Recorded]:
        for message, log_ns in messages(reader, _connections(reader, self.topic), self._path):
            yield _Recorded(message, log_ns)

    def _frame(self, recorded: _Recorded) -> Frame:
        message = recorded.message
        try:
            frame = READERS[message.__msgtype__](message)
        except UserError as error:
            raise UserError(f"{shown(self._path)}: {self.topic} at {recorded.log_ns} ns: {error}") from error
        if stamp_ns(message.header.stamp):
            return frame
        return Frame(frame.pixels, frame.order, recorded.log_ns, frame.frame_id)


def _connections(reader: AnyReader, topic: str) -> list[Connection]:
    return [c for c in reader.connections if c.topic == topic and c.msgtype in READERS]


def _choose(reader: AnyReader, topic: str, preferred: str, only_compressed: bool, path: str) -> str:
    known = {c.topic for c in reader.connections if c.msgtype in READERS}
    if only_compressed:
        known = {c.topic for c in reader.connections if c.msgtype == COMPRESSED}
        if topic and full_name(topic) not in known and full_name(topic) + BELOW in known:
            topic += BELOW
        return choose_topic(known, "compressed pictures", topic, path)
    if not topic and preferred and full_name(preferred) in known:
        return full_name(preferred)
    if not topic:
        # Both topics of a camera show the same.
        known = {name for name in known if name.removesuffix(BELOW) == name or name.removesuffix(BELOW) not in known}
    return choose_topic(known, "pictures", topic, path)
