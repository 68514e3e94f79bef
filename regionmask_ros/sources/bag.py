"""Pictures of a rosbag2 folder, mcap or db3, without ROS."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from ..errors import UserError
from ..frames import Frame
from ..untrusted.refused import one_line
from .image_message import frame_from, frame_from_compressed, stamp_ns
from .naming import shown

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

METADATA = "metadata.yaml"
FILE_MAGICS = (b"\x89MCAP0\r\n", b"SQLite format 3\0")
"""First bytes of the files that a bag's folder holds."""

COMPRESSED = "sensor_msgs/msg/CompressedImage"

READERS: dict[str, Callable[[Any], Frame]] = {
    "sensor_msgs/msg/Image": frame_from, COMPRESSED: frame_from_compressed,
}

DEFAULT_FPS = 10.0
FPS_MESSAGES = 30
"""So many pictures at the beginning tell the rate."""


@dataclass(frozen=True)
class _Recorded:
    """A picture message. log_ns: when it was recorded."""

    message: Any
    log_ns: int


class BagPictures:
    """The pictures of one topic as a Source; stamps and camera frame are those of their headers.

    A picture without a stamp has the time at which it was recorded. topic: may be left out when the bag holds one topic
    with pictures. preferred: taken then if it is among several. compressed: they are compressed in the bag.

    Raises UserError, naming what is wrong: no bag, no such topic, several of them, no picture.
    """

    def __init__(self, path: str, topic: str = "", preferred: str = "") -> None:
        self._path, self._folder = path, bag_folder(path)
        self._reader: AnyReader | None = None
        self.name = os.path.basename(os.path.abspath(self._folder))
        with _opened(self._folder) as reader:
            self.topic = _choose(reader, topic, preferred, path)
            self.compressed = any(c.msgtype == COMPRESSED for c in _connections(reader, self.topic))
            self.frame_count: int | None = sum(c.msgcount for c in _connections(reader, self.topic))
            first = list(islice(self._messages(reader), FPS_MESSAGES))
            if not first:
                raise UserError(f"{shown(path)}: no picture on {self.topic}")
            self.size_wh = self._frame(reader, first[0]).size_wh
        steps = np.diff([recorded.log_ns for recorded in first])
        self.fps = float(1e9 / np.median(steps)) if len(steps) and np.median(steps) > 0 else DEFAULT_FPS

    def frames(self) -> Iterator[Frame]:
        """See Source."""
        self.close()
        with _opened(self._folder) as reader:
            self._reader = reader
            for recorded in self._messages(reader):
                if self._reader is not reader:
                    return
                yield self._frame(reader, recorded)

    def close(self) -> None:
        self._reader = None

    def __enter__(self) -> BagPictures:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _messages(self, reader: AnyReader) -> Iterator[_Recorded]:
        messages = reader.messages(_connections(reader, self.topic))
        while (entry := _told(lambda: next(messages, None), self._path)) is not None:
            connection, log_ns, raw = entry
            yield _Recorded(_told(lambda: reader.deserialize(raw, connection.msgtype), self._path), log_ns)

    def _frame(self, reader: AnyReader, recorded: _Recorded) -> Frame:
        message = recorded.message
        try:
            frame = READERS[message.__msgtype__](message)
        except UserError as error:
            raise UserError(f"{shown(self._path)}: {self.topic} at {recorded.log_ns} ns: {error}") from error
        if stamp_ns(message.header.stamp):
            return frame
        return Frame(frame.pixels, frame.order, recorded.log_ns, frame.frame_id)


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
    folder = Path(path) if os.path.isdir(path) else Path(os.path.abspath(path)).parent
    if not (folder / METADATA).is_file():
        cure = f"make it with: ros2 bag reindex {shown(folder)}"
        raise UserError(f"{shown(path)}: {METADATA} is missing beside it; {cure}")
    return folder


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[AnyReader]:
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise UserError("rosbags is missing, which reads bags: run 'make setup', or: pip install rosbags") from None
    # Older bags hold no definitions of their messages.
    reader = _told(lambda: AnyReader([folder], default_typestore=get_typestore(Stores.LATEST)), str(folder))
    _told(reader.open, str(folder))
    try:
        yield reader
    finally:
        reader.close()


def _connections(reader: AnyReader, topic: str) -> list[Connection]:
    return [c for c in reader.connections if c.topic == topic and c.msgtype in READERS]


def _choose(reader: AnyReader, topic: str, preferred: str, path: str) -> str:
    known = sorted({c.topic for c in reader.connections if c.msgtype in READERS})
    if not known:
        raise UserError(f"{shown(path)}: this bag has no topic with pictures")
    if topic:
        full = _full(topic)
        if full in known:
            return full
        raise UserError(f"{shown(path)}: no pictures on {shown(full)}; it has them on {', '.join(known)}")
    if preferred and _full(preferred) in known:
        return _full(preferred)
    if len(known) > 1:
        raise UserError(f"{shown(path)}: pictures on several topics, {', '.join(known)}: name one of them")
    return known[0]


def _full(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"


def _told(call: Callable[[], Any], path: str) -> Any:
    """Whatever the library stumbles over in somebody's file, in one line."""
    try:
        return call()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged bag raises anything, from KeyError to sqlite3.DatabaseError
        cause = str(error) or type(error).__name__
        raise UserError(one_line(f"{shown(path)}: not a bag that can be read ({cause})")) from error
