"""Reads bags of ROS 1, with rosbags, and within limits that rosbags does not have."""

from __future__ import annotations

import bz2
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidFile
from .storage import MAX_MESSAGE_BYTES, Channel, RawMessage, Storage, decompress_lz4

if TYPE_CHECKING:
    from rosbags.rosbag1 import Reader


class Ros1File(Storage):
    """An open bag of ROS 1, format 2.0.

    Args:
        path: Its absolute path.

    Raises:
        InvalidFile: It cannot be read.
    """

    def __init__(self, path: bytes) -> None:
        super().__init__()
        from rosbags.rosbag1 import Reader

        self._reader = Reader(Path(os.fsdecode(path)))
        # For damaged files rosbags raises exceptions of many kinds.
        try:
            self._reader.open()
            self._limit(self._reader)
        except Exception as error:
            raise InvalidFile(_reason(error)) from error
        self.channels = [
            Channel(connection.id, connection.topic, connection.msgtype, "ros1", connection.msgcount,
                    connection.msgdef.data, "ros1msg")
            for connection in self._reader.connections]
        if any(channel.count for channel in self.channels):
            self.start_ns, self.end_ns = self._reader.start_time, self._reader.end_time - 1

    def close(self) -> None:
        """See ``Storage``."""
        self._reader.close()

    def messages(self, keys: Collection[int]) -> Iterator[RawMessage]:
        """See ``Storage``."""
        channels = {channel.key: channel for channel in self.channels if channel.key in keys}
        connections = [connection for connection in self._reader.connections if connection.id in channels]
        entries = self._reader.messages(connections) if connections else iter(())
        while True:
            try:
                connection, log_ns, data = next(entries)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001
                self.is_truncated = True
                self.note(f"its end cannot be read: {_reason(error)}")
                return
            yield RawMessage(log_ns, channels[connection.id], data)

    @staticmethod
    def _limit(reader: Reader) -> None:
        """Exchanges the functions that decompress chunks for others that stop at a limit."""
        from rosbags.rosbag1.reader import decompressors

        limited: dict[str, Callable[[bytes], bytes]] = {
            "none": bytes, "bz2": _decompress_bz2, "lz4": decompress_lz4}
        names = {id(function): name for name, function in decompressors.items()}
        for position, chunk in reader.chunks.items():
            reader.chunks[position] = chunk._replace(decompressor=limited[names[id(chunk.decompressor)]])


def _decompress_bz2(data: bytes) -> bytes:
    stream = bz2.BZ2Decompressor()
    content = stream.decompress(data, max_length=MAX_MESSAGE_BYTES + 1)
    if len(content) > MAX_MESSAGE_BYTES or not stream.eof:
        raise InvalidFile("a chunk in it is cut off or too large")
    return content


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    if "index" in text:
        return "its index is missing or damaged, as of a recording that was not finished: rosbag reindex writes it"
    return text
