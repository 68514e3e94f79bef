"""What all storage files of bags have in common: channels, messages and an account of damage."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...errors import InvalidFile

MAX_MESSAGE_BYTES = 1 << 30
"""Size of a message or chunk after decompression. A raw 8K image has 100 MB."""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

SCHEMALESS = "unknown"
"""The type of a channel that names none."""


@dataclass(frozen=True)
class Channel:
    """Messages of one type on one topic of a file.

    Attributes:
        key: What the file calls it.
        topic: The topic.
        msgtype: The type, such as ``sensor_msgs/msg/Image``.
        encoding: How messages are serialized: ``cdr`` in ROS 2, ``ros1`` in ROS 1, or something else.
        count: Number of messages; None where it is not known.
        definition: The type's definition as the file has it, or empty.
        definition_format: ``ros2msg``, ``ros2idl``, ``ros1msg``, or something else.
    """

    key: int
    topic: str
    msgtype: str
    encoding: str = "cdr"
    count: int | None = None
    definition: str = ""
    definition_format: str = ""


class RawMessage(NamedTuple):
    """A message as it is stored."""

    log_ns: int
    channel: Channel
    data: bytes


class Storage(ABC):
    """An open storage file.

    Attributes:
        channels: What is in it.
        start_ns: Time of the first message; 0 if there is none.
        end_ns: Time of the last message.
        is_truncated: Whether its end is missing.
        has_gaps: Whether messages in it were left out that nobody can count.
        notes: Sentences about what is missing or damaged in it, and how it was read.
        index: What the next object for the same file may take instead of searching again.
    """

    index: Any = None

    def __init__(self) -> None:
        self.channels: list[Channel] = []
        self.start_ns = self.end_ns = 0
        self.is_truncated = self.has_gaps = False
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        """Adds a note, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @abstractmethod
    def messages(self, keys: Collection[int]) -> Iterator[RawMessage]:
        """Reads the messages of some channels.

        Args:
            keys: Keys of the channels.

        Yields:
            The messages, in the order of their times. What cannot be read is left out and noted.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the file."""


def normalize_type(name: str) -> str:
    """Writes a type's name as ROS 2 does.

    Args:
        name: Of ROS 1 (``sensor_msgs/Image``), of ROS 2, or of OMG IDL (``sensor_msgs::msg::Image``).

    Returns:
        Such as ``sensor_msgs/msg/Image``.
    """
    parts = name.replace("::", "/").split("/")
    return "/".join([parts[0], "msg", parts[1]] if len(parts) == 2 else parts) or SCHEMALESS


def zstd_module() -> Any:
    """Python's own Zstandard, or where Python is older than 3.14 its backport, which rosbags brings."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def decompress_zstd(data: bytes | memoryview, most: int = MAX_MESSAGE_BYTES, allow_partial: bool = False) -> bytes:
    """Decompresses data of unknown origin.

    Args:
        data: Zstandard frames.
        most: Bytes of the result. The size that the data claim is not believed.
        allow_partial: Whether data that are cut off give what can be had of them.

    Returns:
        The content.

    Raises:
        InvalidFile: The data are damaged or cut off, or their content is larger.
    """
    zstd, parts, size, rest = zstd_module(), [], 0, memoryview(data)
    try:
        while rest and size <= most:
            # Given more than one frame, the decompressor copies all the others, which takes long for many small ones.
            length = _frame_length(rest)
            frame = zstd.ZstdDecompressor()
            parts.append(frame.decompress(rest[:length], max_length=most + 1 - size))
            size += len(parts[-1])
            if not frame.eof and size <= most and not allow_partial:
                raise InvalidFile("cut off")
            rest = rest[length:]
    except zstd.ZstdError as error:
        raise InvalidFile(f"damaged ({error})") from error
    if size > most:
        raise InvalidFile(f"larger than {most} bytes")
    return b"".join(parts)


def _frame_length(data: memoryview) -> int:
    """Bytes of the first Zstandard frame; all of them if it is cut off or damaged."""
    zstd = zstd_module()
    try:
        return int(zstd.get_frame_size(data))
    except zstd.ZstdError:
        return len(data)


def decompress_lz4(data: bytes | memoryview, most: int = MAX_MESSAGE_BYTES, allow_partial: bool = False) -> bytes:
    """Decompresses one LZ4 frame of unknown origin; see ``decompress_zstd``."""
    from lz4.frame import LZ4FrameDecompressor

    frame = LZ4FrameDecompressor()
    try:
        content: bytes = frame.decompress(data, max_length=most + 1)
    except RuntimeError as error:
        raise InvalidFile(f"damaged ({error})") from error
    if len(content) > most:
        raise InvalidFile(f"larger than {most} bytes")
    if not (frame.eof or allow_partial):
        raise InvalidFile("cut off")
    return content
