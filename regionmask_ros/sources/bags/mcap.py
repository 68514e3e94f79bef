"""Reads MCAP files, whole or not: with an index or without, truncated, with channels of any encoding.

rosbags has a reader for MCAP, which this one replaces. It needs the footer, the profile "ros2", an index or messages in
order, and for every channel QoS and a schema that it can parse. The library mcap needs no ROS; but it sorts a file
without an index in memory, gives up at the first damaged record, and decompresses whatever a chunk claims to be. Here,
only what is needed is parsed, every size is checked first, and what is damaged is left out.

The format: https://mcap.dev/spec
"""

from __future__ import annotations

import heapq
import os
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, BinaryIO
from zlib import crc32

from ...errors import InvalidFile
from .storage import (
    MAX_MESSAGE_BYTES,
    SCHEMALESS,
    Channel,
    RawMessage,
    Storage,
    decompress_lz4,
    decompress_zstd,
    normalize_type,
)

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = 2, 3, 4, 5, 6, 7, 8
STATISTICS, DATA_END = 0x0B, 0x0F

_HEAD = struct.Struct("<BQ")
_MESSAGE_HEAD = struct.Struct("<HIQQ")
_FOOTER_BYTES = _HEAD.size + 20 + len(MAGIC)
_FORMAT_ERRORS = (struct.error, ValueError, OverflowError, InvalidFile)

MAX_SUMMARY_BYTES = 256 << 20
MAX_DEFINITION_BYTES = 16 << 20

RUN_BYTES = 4 << 20
"""Messages outside of chunks are read and sorted in runs of about this size."""

SAMPLED_CHUNKS = 64
"""About so many places of an index are looked at before it is believed."""

HELD_BYTES = 256 << 20
"""Chunks may overlap in time. This much of them is held to put their messages in order; chunks of hostile files that
overlap more come out of order."""


class _Fields:
    """The fields of a record, one after the other."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data, self._at = data, 0

    def integers(self, layout: str) -> tuple[int, ...]:
        """Integers in the notation of ``struct``, without the byte order."""
        values = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return values

    def block(self) -> bytes:
        """Bytes with their length in front."""
        (length,) = self.integers("I")
        block = bytes(self._data[self._at:self._at + length])
        if len(block) < length:
            raise InvalidFile("a record is shorter than it says")
        self._at += length
        return block

    def text(self) -> str:
        """A text, with what is not UTF-8 escaped."""
        return self.block().decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class _Block:
    """A chunk, or a run of messages outside of chunks: its times, its place, and its channels if they are known."""

    start_ns: int
    end_ns: int
    offset: int
    length: int
    is_chunk: bool
    channels: frozenset[int] | None = None


@dataclass
class _Found:
    """What a summary or a scan has found."""

    schemas: dict[int, tuple[str, str, bytes]] = field(default_factory=dict)
    channels: dict[int, tuple[int, str, str]] = field(default_factory=dict)
    counts: Counter[int] | None = field(default_factory=Counter)
    blocks: list[_Block] = field(default_factory=list)

    def learn(self, opcode: int, data: bytes | memoryview) -> None:
        """Takes a schema or channel; the first one of a number counts. One that cannot be parsed is left out."""
        try:
            fields = _Fields(data)
            if opcode == SCHEMA:
                (key,) = fields.integers("H")
                self.schemas.setdefault(key, (fields.text(), fields.text(), fields.block()))
            elif opcode == CHANNEL:
                key, schema = fields.integers("HH")
                self.channels.setdefault(key, (schema, fields.text(), fields.text()))
        except _FORMAT_ERRORS:
            return

    def channel(self, key: int) -> Channel:
        """The channel of that number."""
        schema, topic, encoding = self.channels[key]
        name, form, definition = self.schemas.get(schema, (SCHEMALESS, "", b""))
        return Channel(key, topic, normalize_type(name), encoding, None if self.counts is None else self.counts[key],
                       definition.decode("utf-8", "replace"), form)


class McapFile(Storage):
    """An open MCAP file.

    Args:
        file: The file, which is closed with this object.
        index: Of an object that has read it before.

    Raises:
        InvalidFile: It is not an MCAP file, or nothing in it can be read.
    """

    def __init__(self, file: BinaryIO, index: Any = None) -> None:
        super().__init__()
        self._file, self._size = file, file.seek(0, os.SEEK_END)
        if self._read_at(0, len(MAGIC)) != MAGIC:
            raise InvalidFile("not an MCAP file")
        self._cut_chunk: _Block | None = None
        if index is None:
            self._found = self._read_summary() or self._scan()
        else:
            self._found, self._cut_chunk, self.is_truncated = index
        self.index = self._found, self._cut_chunk, self.is_truncated
        self.channels = [self._found.channel(key) for key in self._found.channels]
        blocks = self._found.blocks
        self.start_ns = min((block.start_ns for block in blocks), default=0)
        self.end_ns = max((block.end_ns for block in blocks), default=0)

    def close(self) -> None:
        """See ``Storage``."""
        self._file.close()

    def messages(self, keys: Collection[int]) -> Iterator[RawMessage]:
        """See ``Storage``."""
        wanted = {key: self._found.channel(key) for key in keys if key in self._found.channels}
        held: list[tuple[int, int, int, bytes]] = []
        held_bytes, serial = 0, count()
        blocks = [b for b in self._found.blocks if b.channels is None or not b.channels.isdisjoint(wanted)]
        for block in sorted(blocks, key=lambda block: block.start_ns):
            while held and (held[0][0] < block.start_ns or held_bytes > HELD_BYTES):
                log_ns, _, key, data = heapq.heappop(held)
                held_bytes -= len(data)
                yield RawMessage(log_ns, wanted[key], data)
            for log_ns, key, data in self._load(block, wanted):
                heapq.heappush(held, (log_ns, next(serial), key, data))
                held_bytes += len(data)
        while held:
            log_ns, _, key, data = heapq.heappop(held)
            yield RawMessage(log_ns, wanted[key], data)

    def _read_at(self, offset: int, size: int) -> bytes:
        """At most that many bytes, and never more than the file has."""
        self._file.seek(offset)
        return self._file.read(max(0, min(size, self._size - offset)))

    def _read_summary(self) -> _Found | None:
        """What the summary says; None if there is none, or it is damaged, or does not tell all."""
        tail = self._read_at(max(0, self._size - _FOOTER_BYTES), _FOOTER_BYTES)
        if len(tail) < _FOOTER_BYTES or tail[-len(MAGIC):] != MAGIC or _HEAD.unpack_from(tail) != (FOOTER, 20):
            return None
        (start,) = struct.unpack_from("<Q", tail, _HEAD.size)
        end = self._size - _FOOTER_BYTES
        if not len(MAGIC) < start <= end or end - start > MAX_SUMMARY_BYTES:
            return None
        found, total, chunks = _Found(), None, 0
        try:
            for opcode, data in _records(self._read_at(start, end - start)):
                found.learn(opcode, data)
                if opcode == CHUNK_INDEX:
                    found.blocks.append(self._read_chunk_index(data))
                elif opcode == STATISTICS:
                    total, chunks, found.counts = _read_statistics(data)
        except _FORMAT_ERRORS:
            return None
        named = {key for block in found.blocks for key in block.channels or ()} | (found.counts or {}).keys()
        is_complete = (
            total is not None and chunks == len(found.blocks) and (total == 0 or chunks > 0)
            and named <= found.channels.keys()
            and all(schema == 0 or schema in found.schemas for schema, _, _ in found.channels.values()))
        return found if is_complete and self._holds(found.blocks) else None

    def _holds(self, blocks: list[_Block]) -> bool:
        """Whether an index names places where chunks are, in a sample: it may be of another version of the file."""
        # A chunk that is named many times could keep a reader busy without end.
        if len({block.offset for block in blocks}) < len(blocks):
            return False
        sample = blocks[::max(1, len(blocks) // SAMPLED_CHUNKS)]
        return all(self._record_at(block.offset) == (CHUNK, block.offset + block.length) for block in sample)

    def _read_chunk_index(self, data: bytes | memoryview) -> _Block:
        fields = _Fields(data)
        start_ns, end_ns, offset, length = fields.integers("QQQQ")
        offsets = fields.block()
        if offset + length > self._size or length < _HEAD.size:
            raise InvalidFile("a chunk lies outside of the file")
        keys = frozenset(key for key, _ in struct.iter_unpack("<HQ", offsets))
        return _Block(start_ns, end_ns, offset, length, True, keys or None)

    def _scan(self) -> _Found:
        """Goes through the file's records; chunks are opened only if nothing else says what is in them."""
        found = _Found()
        run: list[tuple[int, int, int, int]] = []
        chunk: _Block | None = None
        indexed: Counter[int] = Counter()

        def finish() -> None:
            """Adds the chunk or the run that has ended."""
            nonlocal chunk
            if run:
                found.blocks.append(_Block(
                    min(time for time, *_ in run), max(time for time, *_ in run), run[0][1],
                    run[-1][1] + run[-1][2] - run[0][1], False, frozenset(key for *_, key in run)))
                run.clear()
            if chunk is not None:
                self._add_chunk(found, chunk, indexed)
                chunk = None
                indexed.clear()

        offset = len(MAGIC)
        while True:
            opcode, end = self._record_at(offset)
            if opcode in (DATA_END, FOOTER):
                break
            if opcode == 0 or end > self._size:
                finish()
                self._note_cut(found, opcode, offset)
                return found
            if opcode == MESSAGE_INDEX and chunk is not None:
                key, size = struct.unpack("<HI", self._read_at(offset + _HEAD.size, 6).ljust(6, b"\0"))
                indexed[key] += min(size, end - offset) // 16
            elif opcode == MESSAGE:
                entry = self._message_entry(found, offset, end - offset)
                if run and (run[-1][1] + run[-1][2] != offset or offset - run[0][1] > RUN_BYTES):
                    finish()
                run.extend(entry)
            elif opcode == CHUNK:
                finish()
                chunk = self._chunk_at(offset, end - offset)
            elif opcode in (SCHEMA, CHANNEL):
                found.learn(opcode, self._read_at(offset + _HEAD.size, min(end - offset, MAX_DEFINITION_BYTES)))
            offset = end
        finish()
        return found

    def _record_at(self, offset: int) -> tuple[int, int]:
        """Opcode and end of a record; the opcode is 0 where there is none."""
        head = self._read_at(offset, _HEAD.size)
        if len(head) < _HEAD.size:
            return 0, offset
        opcode, length = _HEAD.unpack(head)
        return opcode, offset + _HEAD.size + length

    def _message_entry(self, found: _Found, offset: int, length: int) -> list[tuple[int, int, int, int]]:
        """Time, offset, length and channel of a message outside of chunks; nothing for a damaged one."""
        try:
            key, _, log_ns, _ = _MESSAGE_HEAD.unpack(self._read_at(offset + _HEAD.size, _MESSAGE_HEAD.size))
        except struct.error:
            return []
        assert found.counts is not None
        found.counts[key] += 1
        return [(log_ns, offset, length, key)]

    def _chunk_at(self, offset: int, length: int) -> _Block | None:
        try:
            start_ns, end_ns = struct.unpack("<QQ", self._read_at(offset + _HEAD.size, 16))
        except struct.error:
            return None
        return _Block(start_ns, end_ns, offset, length, True)

    def _add_chunk(self, found: _Found, chunk: _Block, indexed: Counter[int]) -> None:
        """Adds a chunk. It is read if its index is missing or names channels that are not known yet."""
        assert found.counts is not None
        if not indexed or not indexed.keys() <= found.channels.keys():
            content: Counter[int] = Counter()
            times = []
            for opcode, data in self._read_block(chunk):
                found.learn(opcode, data)
                if opcode == MESSAGE and len(data) >= _MESSAGE_HEAD.size:
                    key, _, log_ns, _ = _MESSAGE_HEAD.unpack_from(data)
                    content[key] += 1
                    times.append(log_ns)
            indexed = content
            if times:
                chunk = _Block(min(times), max(times), chunk.offset, chunk.length, True)
        found.counts.update(indexed)
        found.blocks.append(_Block(
            chunk.start_ns, chunk.end_ns, chunk.offset, chunk.length, True, frozenset(indexed)))

    def _note_cut(self, found: _Found, opcode: int, offset: int) -> None:
        """Keeps what can be had of the last chunk of a file whose end is missing."""
        self.is_truncated = True
        chunk = self._chunk_at(offset, self._size - offset) if opcode == CHUNK else None
        if chunk is not None:
            self._cut_chunk = chunk
            self._add_chunk(found, chunk, Counter())

    def _load(self, block: _Block, wanted: Collection[int]) -> Iterator[tuple[int, int, bytes]]:
        for opcode, data in self._read_block(block):
            if opcode == MESSAGE and len(data) >= _MESSAGE_HEAD.size:
                key, _, log_ns, _ = _MESSAGE_HEAD.unpack_from(data)
                if key in wanted:
                    yield log_ns, key, bytes(data[_MESSAGE_HEAD.size:])

    def _read_block(self, block: _Block) -> Iterator[tuple[int, memoryview]]:
        """The records of a chunk or run; those of a damaged chunk are left out, and that is noted."""
        is_cut = self._cut_chunk is not None and block.offset == self._cut_chunk.offset
        try:
            if block.length > MAX_MESSAGE_BYTES:
                raise InvalidFile(f"larger than {MAX_MESSAGE_BYTES >> 20} MB")
            data = self._read_at(block.offset, block.length)
            yield from _records(_open_chunk(data, is_cut) if block.is_chunk else data, is_cut)
        except _FORMAT_ERRORS as error:
            if not is_cut:
                self.note(f"a part of it at byte {block.offset} is damaged and left out: {error}")


def _records(data: bytes | memoryview, is_cut: bool = False) -> Iterator[tuple[int, memoryview]]:
    """Opcode and content of each record. Raises InvalidFile for one that is cut off, unless that is expected."""
    view, offset = memoryview(data), 0
    while offset < len(data):
        if offset + _HEAD.size > len(data):
            break
        opcode, length = _HEAD.unpack_from(data, offset)
        end = offset + _HEAD.size + length
        if end > len(data):
            break
        yield opcode, view[offset + _HEAD.size:end]
        offset = end
    if offset < len(data) and not is_cut:
        raise InvalidFile("a record in it is cut off")


def _open_chunk(record: bytes, is_cut: bool) -> bytes | memoryview:
    """The records of a chunk, within limits. A chunk may be large, so it is not copied."""
    view = memoryview(record)
    fields = _Fields(view[_HEAD.size:])
    _, _, size, checksum = fields.integers("QQQI")
    compression = fields.text()
    (stored,) = fields.integers("Q")
    begin = _HEAD.size + 28 + 4 + len(compression.encode()) + 8
    data: bytes | memoryview = view[begin:begin + stored]
    if size > MAX_MESSAGE_BYTES:
        raise InvalidFile(f"its size is {size} bytes")
    if compression == "zstd":
        data = decompress_zstd(data, size, is_cut)
    elif compression == "lz4":
        data = decompress_lz4(data, size, is_cut)
    elif compression:
        raise InvalidFile(f"compression {compression!r} is not supported")
    if is_cut:
        return data
    if len(data) != size:
        raise InvalidFile(f"it has {len(data)} bytes instead of {size}")
    if checksum and crc32(data) != checksum:
        raise InvalidFile("its checksum does not match")
    return data


def _read_statistics(data: bytes | memoryview) -> tuple[int, int, Counter[int] | None]:
    """Number of messages and of chunks, and the messages by channel if the file counts them."""
    fields = _Fields(data)
    total, _, _, _, _, chunks, _, _ = fields.integers("QHIIIIQQ")
    counts = Counter(dict(struct.iter_unpack("<HQ", fields.block())))
    return total, chunks, counts if counts.total() == total else None
