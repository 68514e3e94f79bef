"""Reads rosbag2 bags (mcap or db3) without ROS: their topics, messages and images.

Damage is reported in one line, whatever exception the rosbags library raises for it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterator
from itertools import accumulate, islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..core.frame import Frame
from ..errors import InvalidFile, UserError, to_one_line
from ..files.paths import display_path
from ..files.safe_read import open_regular
from .base import Source
from .image_message import decode_compressed_image, decode_image, stamp_ns
from .images import DEFAULT_FPS
from .pictures.reading import Reading

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection
    from rosbags.typesys.store import Typestore

_Result = TypeVar("_Result")

DEFINITIONS = MappingProxyType({
    "vision_msgs/msg/Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections\n",
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\nvision_msgs/BoundingBox2D bbox\n"
        "string id\n"),
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position\nfloat64 theta\n",
    "vision_msgs/msg/Point2D": "float64 x\nfloat64 y\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"),
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
})
"""The .msg text of the vision_msgs 4 types that labels consist of, for bags without definitions of their messages."""

METADATA = "metadata.yaml"
FILE_MAGICS = (b"\x89MCAP0\r\n", b"SQLite format 3\0")
"""First bytes of the files in a bag's folder."""

COMPRESSED = "sensor_msgs/msg/CompressedImage"
DECODERS: dict[str, Callable[..., Frame]] = {
    "sensor_msgs/msg/Image": decode_image, COMPRESSED: decode_compressed_image}
"""The image types, and what converts their messages."""

COMPRESSED_SUFFIX = "/compressed"
"""What image_transport appends to a camera's topic for its compressed images."""

MAX_METADATA_BYTES = 4 << 20
MAX_DEPTH = 100
"""Brackets inside of each other, and lists, in a bag's metadata."""

FPS_MESSAGES = 30
"""Number of images at the beginning of a bag from which the rate is computed."""


def is_bag(path: str) -> bool:
    """Whether the path is a folder with a bag's metadata, or a file that such a folder contains."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, METADATA))
    # Opening a pipe would block until another program writes to it.
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(16).startswith(FILE_MAGICS)
    except OSError:
        return False


def find_bag_folder(path: str) -> Path:
    """Finds a bag's folder.

    Args:
        path: The folder, or a file in it.

    Returns:
        The folder.

    Raises:
        UserError: The path does not exist, or there is no metadata.yaml.
    """
    if not os.path.exists(path):
        raise UserError(f"{display_path(path)}: no such file or folder")
    folder = Path(path) if os.path.isdir(path) else Path(os.path.abspath(path)).parent
    if not (folder / METADATA).is_file():
        fix = f"make it with: ros2 bag reindex {display_path(folder)}"
        raise UserError(f"{display_path(path)}: {METADATA} is missing in its folder; {fix}")
    return folder


@contextlib.contextmanager
def open_bag(folder: Path) -> Iterator[AnyReader]:
    """Opens a bag for the duration of the block.

    Args:
        folder: The bag's folder.

    Yields:
        The open reader.

    Raises:
        UserError: The bag cannot be read, or rosbags is not installed.
    """
    try:
        from rosbags.highlevel import AnyReader
    except ImportError:
        raise UserError("reading a bag needs rosbags: run 'make setup', or: pip install rosbags") from None
    _check_metadata(folder)
    reader = _translate_errors(lambda: AnyReader([folder], default_typestore=_typestore()), str(folder))
    _translate_errors(reader.open, str(folder))
    try:
        if not all(isinstance(text, str) for c in reader.connections for text in (c.topic, c.msgtype)):
            raise UserError(f"{display_path(folder)}: not a bag that can be read (a topic without a name)")
        yield reader
    finally:
        reader.close()


def _check_metadata(folder: Path) -> None:
    """Raises UserError for a text that would keep the YAML parser busy: its time grows with the square of the depth."""
    path = folder / METADATA
    try:
        with open_regular(path) as file:
            text = file.read(MAX_METADATA_BYTES + 1)
    except (InvalidFile, OSError) as error:
        raise UserError(f"{display_path(path)}: not a bag that can be read ({error})") from error
    if len(text) > MAX_METADATA_BYTES:
        raise UserError(f"{display_path(path)}: larger than {MAX_METADATA_BYTES >> 20} MB")
    depths = accumulate(1 if bracket in b"[{" else -1 for bracket in re.findall(rb"[\[\]{}]", text))
    if max(depths, default=0) > MAX_DEPTH or b"- " * MAX_DEPTH in text:
        raise UserError(f"{display_path(path)}: nested too deeply: it is damaged")


def read_messages(reader: AnyReader, connections: Collection[Connection], path: str) -> Iterator[tuple[Any, int]]:
    """Reads all messages of some connections, in the order in which they were recorded.

    Args:
        reader: An open bag.
        connections: Connections of this bag.
        path: The bag's name for messages.

    Yields:
        Each message, and the time at which it was recorded, in nanoseconds.

    Raises:
        UserError: After the last good message: the bag is damaged.
    """
    raw_messages = reader.messages(connections)
    while (entry := _translate_errors(lambda: next(raw_messages, None), path)) is not None:
        connection, log_ns, raw = entry
        if not isinstance(log_ns, int):
            raise UserError(f"{display_path(path)}: not a bag that can be read (a time is {log_ns!r})")
        yield _deserialize(reader, connection, raw, path), log_ns


def _deserialize(reader: AnyReader, connection: Connection, raw: bytes, path: str) -> Any:
    return _translate_errors(lambda: reader.deserialize(raw, connection.msgtype), path)


def choose_topic(known: Collection[str], what: str, topic: str, path: str) -> str:
    """Chooses a topic by its name, or the only one that there is.

    Args:
        known: Names of the suitable topics.
        what: What these topics have, for messages, such as "images".
        topic: The wanted name; empty for the only one.
        path: The bag's name for messages.

    Returns:
        The topic's absolute name.

    Raises:
        UserError: There is no suitable topic, none of this name, or several and no name is given.
    """
    if not known:
        raise UserError(f"{display_path(path)}: this bag has no topic with {what}")
    names = ", ".join(sorted(known))
    if topic:
        absolute = absolute_topic(topic)
        if absolute in known:
            return absolute
        raise UserError(f"{display_path(path)}: no {what} on {display_path(absolute)}; it has them on {names}")
    if len(known) > 1:
        raise UserError(f"{display_path(path)}: {what} on several topics, {names}: name one of them")
    return next(iter(known))


def absolute_topic(topic: str) -> str:
    """The topic's name with a slash in front, as in bags."""
    return topic if topic.startswith("/") else f"/{topic}"


def _translate_errors(call: Callable[[], _Result], path: str) -> _Result:
    """Calls, and turns every exception of the library into a UserError of one line."""
    try:
        return call()
    except UserError:
        raise
    # For damaged files rosbags raises exceptions of many kinds, those of SQLite, YAML and lz4 included.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UserError(to_one_line(f"{display_path(path)}: not a bag that can be read ({reason})")) from error


def _typestore() -> Typestore:
    """Message types for bags without definitions, such as Humble's db3 bags."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.LATEST)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    return store


class BagImages(Source):
    """The images of one topic, with the stamps and camera frames of their headers.

    An image without a stamp has the time at which it was recorded.

    Args:
        path: The bag's folder, or a file in it.
        topic: The image topic. May be empty when the bag has one, or a camera's raw and compressed images: then the raw
            ones are chosen, or with ``only_compressed`` the compressed ones.
        preferred: A topic to choose if the bag has it and ``topic`` is empty.
        only_compressed: Whether only topics with compressed images are suitable.
        reading: See ``Source``.

    Attributes:
        topic: The chosen topic.
        compressed: Whether its images are compressed.

    Raises:
        UserError: The path is not a bag, there is no such topic, no image on it that can be used, or several topics
            are suitable.
    """

    def __init__(
        self, path: str, topic: str = "", preferred: str = "", only_compressed: bool = False,
        reading: Reading | None = None,
    ) -> None:
        super().__init__(reading)
        self._path, self._folder = path, find_bag_folder(path)
        self._reader: AnyReader | None = None
        self.name = os.path.basename(os.path.abspath(self._folder))
        with open_bag(self._folder) as reader:
            self.topic = _choose_image_topic(reader, topic, preferred, only_compressed, path)
            connections = _image_connections(reader, self.topic)
            self.compressed = any(c.msgtype == COMPRESSED for c in connections)
            counts = [c.msgcount for c in connections]
            self.frame_count = sum(counts) if all(isinstance(count, int) for count in counts) else None
            first = list(islice(self._messages(reader), FPS_MESSAGES))
            if not first:
                raise UserError(f"{display_path(path)}: no image on {self.topic}")
            self.size_wh = self._find_size(reader)
        steps = np.diff([log_ns for _, log_ns in first])
        self.fps = float(1e9 / np.median(steps)) if len(steps) and np.median(steps) > 0 else DEFAULT_FPS

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        self.close()
        with open_bag(self._folder) as reader:
            self._reader = reader
            for number, (message, log_ns) in enumerate(self._messages(reader)):
                if self._reader is not reader:
                    return
                try:
                    frame = self._frame(message, log_ns)
                except UserError as error:
                    self.drop(error, f"{self._path} {self.topic} {number}")
                    continue
                self.note_size(frame.size_wh, f"{display_path(self._path)}: {self.topic} at {log_ns} ns")
                yield frame

    def stamps(self) -> list[int]:
        """Stamps of all frames in nanoseconds. No image is decoded, so that damaged images are not noticed."""
        with open_bag(self._folder) as reader:
            return [stamp_ns(message.header.stamp) or log_ns for message, log_ns in self._messages(reader)]

    def close(self) -> None:
        """See ``Source``."""
        self._reader = None

    def _messages(self, reader: AnyReader) -> Iterator[tuple[Any, int]]:
        return read_messages(reader, _image_connections(reader, self.topic), self._path)

    def _find_size(self, reader: AnyReader) -> tuple[int, int]:
        """Width and height of the first image that can be decoded."""
        first, count = None, 0
        for message, log_ns in self._messages(reader):
            count += 1
            try:
                return self._frame(message, log_ns).size_wh
            except UserError as error:
                first = first or error
        assert first is not None, "there is at least one message"
        if count == 1:
            raise first
        raise UserError(f"none of {count} images can be used, the first: {first}", first.reason)

    def _frame(self, message: Any, log_ns: int) -> Frame:
        try:
            frame = DECODERS[message.__msgtype__](message, max_pixels=self.reading.max_pixels)
        except UserError as error:
            place = f"{display_path(self._path)}: {self.topic} at {log_ns} ns"
            raise UserError(f"{place}: {error}", error.reason) from error
        return frame if frame.stamp_ns else Frame(frame.pixels, frame.order, log_ns, frame.frame_id)


def _image_connections(reader: AnyReader, topic: str) -> list[Connection]:
    return [c for c in reader.connections if c.topic == topic and c.msgtype in DECODERS]


def _choose_image_topic(reader: AnyReader, topic: str, preferred: str, only_compressed: bool, path: str) -> str:
    if only_compressed:
        known = {c.topic for c in reader.connections if c.msgtype == COMPRESSED}
        if topic and absolute_topic(topic) not in known and absolute_topic(topic) + COMPRESSED_SUFFIX in known:
            topic += COMPRESSED_SUFFIX
        return choose_topic(known, "compressed images", topic, path)
    known = {c.topic for c in reader.connections if c.msgtype in DECODERS}
    if not topic and preferred and absolute_topic(preferred) in known:
        return absolute_topic(preferred)
    if not topic:
        # A camera's raw and compressed topics show the same images: the raw one is enough.
        known -= {name for name in known if name.endswith(COMPRESSED_SUFFIX)
                  and name.removesuffix(COMPRESSED_SUFFIX) in known}
    return choose_topic(known, "images", topic, path)
