"""The messages of vision_msgs 4 that labels in bags are made of: bags need not bring definitions.

A rosbag2 folder, mcap or db3, opened without ROS: its topics, and what damage is told in one line.

Pictures of a rosbag2 folder, mcap or db3, without ROS.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.frame import Frame
from ..errors import UserError, to_one_line
from ..files.paths import display_path
from .image_message import frame_from, frame_from_compressed, stamp_ns

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection
    from rosbags.typesys.store import Typestore


DEFINITIONS = MappingProxyType({
    "vision_msgs/msg/Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections\n",
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\nvision_msgs/BoundingBox2D bbox\n"
        "string id\n"
    ),
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position\nfloat64 theta\n",
    "vision_msgs/msg/Point2D": "float64 x\nfloat64 y\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
})
"""Text of each .msg file, by type."""


METADATA = "metadata.yaml"
FILE_MAGICS = (b"\x89MCAP0\r\n", b"SQLite format 3\0")
"""First bytes of the files that a bag's folder holds."""


def is_bag(path: str) -> bool:
    """A folder with a bag's metadata, or a file that such a folder holds."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, METADATA))
    # Opening a pipe would wait for whoever writes to it.
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(16).startswith(FILE_MAGICS)
    except OSError:
        return False


def bag_folder(path: str) -> Path:
    """The bag's folder, also for a file inside it. Raises UserError for a file that is alone."""
    if not os.path.exists(path):
        raise UserError(f"{display_path(path)}: no such file or folder")
    folder = Path(path) if os.path.isdir(path) else Path(os.path.abspath(path)).parent
    if not (folder / METADATA).is_file():
        cure = f"make it with: ros2 bag reindex {display_path(folder)}"
        raise UserError(f"{display_path(path)}: {METADATA} is missing beside it; {cure}")
    return folder


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[AnyReader]:
    """The bag for as long as the block lasts. Raises UserError when it cannot be read."""
    try:
        from rosbags.highlevel import AnyReader
    except ImportError:
        raise UserError("rosbags is missing, which reads bags: run 'make setup', or: pip install rosbags") from None
    reader = translate_errors(lambda: AnyReader([folder], default_typestore=_typestore()), str(folder))
    translate_errors(reader.open, str(folder))
    try:
        yield reader
    finally:
        reader.close()


def messages(reader: AnyReader, connections: Collection[Connection], path: str) -> Iterator[tuple[Any, int]]:
    """All messages of these connections and when each was recorded, in nanoseconds; in the order of recording.

    Raises UserError, after the last good one, when the bag is damaged.
    """
    raws = reader.messages(connections)
    while (entry := translate_errors(lambda: next(raws, None), path)) is not None:
        connection, log_ns, raw = entry
        yield translate_errors(lambda: reader.deserialize(raw, connection.msgtype), path), log_ns


def choose_topic(known: Collection[str], what: str, topic: str, path: str) -> str:
    """The topic of that name, or the only one there is. what: what the known topics have, such as "pictures".

    Raises UserError, naming the known ones, when there is none of that name, none at all, or several to choose from.
    """
    if not known:
        raise UserError(f"{display_path(path)}: this bag has no topic with {what}")
    listed = ", ".join(sorted(known))
    if topic:
        full = full_name(topic)
        if full in known:
            return full
        raise UserError(f"{display_path(path)}: no {what} on {display_path(full)}; it has them on {listed}")
    if len(known) > 1:
        raise UserError(f"{display_path(path)}: {what} on several topics, {listed}: name one of them")
    return next(iter(known))


def full_name(topic: str) -> str:
    """Bags hold full names."""
    return topic if topic.startswith("/") else f"/{topic}"


def translate_errors(call: Callable[[], Any], path: str) -> Any:
    """Whatever the library stumbles over in somebody's file, in one line."""
    try:
        return call()
    except UserError:
        raise
    except Exception as error:
        cause = str(error) or type(error).__name__
        raise UserError(to_one_line(f"{display_path(path)}: not a bag that can be read ({cause})")) from error


def _typestore() -> Typestore:
    """For bags without definitions of their messages, which Humble's db3 bags are."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.LATEST)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    return store


COMPRESSED = "sensor_msgs/msg/CompressedImage"

READERS: dict[str, Callable[[Any], Frame]] = {
    "sensor_msgs/msg/Image": frame_from, COMPRESSED: frame_from_compressed,
}

COMPRESSED_SUFFIX = "/compressed"
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


class BagImages:
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
                raise UserError(f"{display_path(path)}: no picture on {self.topic}")
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

    def __enter__(self) -> BagImages:
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
            raise UserError(f"{display_path(self._path)}: {self.topic} at {recorded.log_ns} ns: {error}") from error
        if stamp_ns(message.header.stamp):
            return frame
        return Frame(frame.pixels, frame.order, recorded.log_ns, frame.frame_id)


def _connections(reader: AnyReader, topic: str) -> list[Connection]:
    return [c for c in reader.connections if c.topic == topic and c.msgtype in READERS]


def _choose(reader: AnyReader, topic: str, preferred: str, only_compressed: bool, path: str) -> str:
    known = {c.topic for c in reader.connections if c.msgtype in READERS}
    if only_compressed:
        known = {c.topic for c in reader.connections if c.msgtype == COMPRESSED}
        if topic and full_name(topic) not in known and full_name(topic) + COMPRESSED_SUFFIX in known:
            topic += COMPRESSED_SUFFIX
        return choose_topic(known, "compressed pictures", topic, path)
    if not topic and preferred and full_name(preferred) in known:
        return full_name(preferred)
    if not topic:
        # Both topics of a camera show the same.
        known = {name for name in known if name.removesuffix(COMPRESSED_SUFFIX) == name or name.removesuffix(COMPRESSED_SUFFIX) not in known}
    return choose_topic(known, "pictures", topic, path)
