"""Reads db3 files with Python's own SQLite: damaged ones as far as they go, and the log that a crash has left.

rosbags has a reader for them, which this one replaces. It passes the path to SQLite as a URI without quoting it, reads
without the write-ahead log, and parses the QoS of every topic.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import quote_from_bytes

from ...errors import InvalidFile
from .storage import MAX_MESSAGE_BYTES, Channel, RawMessage, Storage, normalize_type

_HEADER = struct.Struct(">16xH6xII60xI")
"""Size of a page, count of changes, number of pages, count of changes when that number was written."""

_MAX_ROW = (1 << 63) - 1
_MAX_DAMAGED_PLACES = 1000

_TABLES = ("topics", "messages", "message_definitions")
_SELECT_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


class DatabaseFile(Storage):
    """An open db3 file.

    Args:
        path: Its absolute path. It is not written, and nothing is written beside it.
        index: Of an object that has read it before.

    Raises:
        InvalidFile: It is not the database of a bag, or its topics cannot be read.
    """

    def __init__(self, path: bytes, index: Any = None) -> None:
        super().__init__()
        self.is_truncated = torn_bytes(path) is not None
        try:
            self._database = sqlite3.connect(f"file://{quote_from_bytes(path)}?mode=ro&immutable=1", uri=True)
        except sqlite3.Error as error:
            raise InvalidFile(str(error)) from error
        try:
            self._prepare()
            if index is None:
                self._read_topics()
            else:
                self.channels, self.start_ns, self.end_ns = index
        except (sqlite3.Error, InvalidFile) as error:
            self._database.close()
            raise InvalidFile("truncated before the first message" if self.is_truncated else str(error)) from error
        self.index = self.channels, self.start_ns, self.end_ns

    def close(self) -> None:
        """See ``Storage``."""
        self._database.close()

    def messages(self, keys: Collection[int]) -> Iterator[RawMessage]:
        """See ``Storage``."""
        channels = {channel.key: channel for channel in self.channels if channel.key in keys}
        lost = 0
        for log_ns, row, key in sorted(self._find_rows(channels)):
            try:
                data = self._database.execute("SELECT data FROM messages WHERE rowid = ?", (row,)).fetchone()
            except sqlite3.Error:
                data = None
            if data is None or not isinstance(data[0], bytes):
                lost += 1
                continue
            yield RawMessage(log_ns, channels[key], data[0])
        if lost:
            self.note(f"{lost} of its messages {'is' if lost == 1 else 'are'} damaged and left out")

    def _find_rows(self, keys: Collection[int]) -> list[tuple[int, int, int]]:
        """Time, row and topic of the messages on some topics; those on damaged pages are left out."""
        marks = ", ".join("?" * len(keys))
        try:
            # In the order of the rows, because the index by time may be damaged or missing.
            rows = list(self._database.execute(
                f"SELECT timestamp, rowid, topic_id FROM messages NOT INDEXED WHERE topic_id IN ({marks})",
                tuple(keys)))
        except sqlite3.Error:
            rows = [row for row in self._salvage_rows() if row[2] in keys]
        return [row for row in rows if isinstance(row[0], int)]

    def _salvage_rows(self) -> Iterator[tuple[Any, int, Any]]:
        """Time, row and topic of all messages that can be had of a damaged file."""
        last: int | None = 0
        for _ in range(_MAX_DAMAGED_PLACES):
            if last is None:
                return
            try:
                for row in self._database.execute(
                        "SELECT timestamp, rowid, topic_id FROM messages NOT INDEXED WHERE rowid > ? ORDER BY rowid",
                        (last,)):
                    last = max(last, row[1])
                    yield row
                return
            except sqlite3.Error as error:
                self.has_gaps = True
                if not self.is_truncated:
                    self.note(f"messages on damaged pages are left out ({error})")
                last = self._find_behind(last)

    def _find_behind(self, row: int) -> int | None:
        """The first row behind a damaged place, minus one; None if the damage goes on to the end."""
        step = 1
        while not self._can_read_behind(row + step):
            step *= 2
            if row + step > _MAX_ROW:
                return None
        bad, good = row + step // 2, row + step
        while good - bad > 1:
            middle = (bad + good) // 2
            bad, good = (bad, middle) if self._can_read_behind(middle) else (middle, good)
        return good

    def _can_read_behind(self, row: int) -> bool:
        try:
            self._database.execute(
                "SELECT timestamp FROM messages NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT 1", (row,)).fetchone()
        except sqlite3.Error:
            return False
        return True

    def _prepare(self) -> None:
        self._database.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
        # From Python 3.11 on; before, the limit is SQLite's own, 1 GB.
        limit = getattr(sqlite3, "SQLITE_LIMIT_LENGTH", None)
        if limit is not None and hasattr(self._database, "setlimit"):
            self._database.setlimit(limit, MAX_MESSAGE_BYTES)
        self._database.execute("PRAGMA trusted_schema = OFF")
        if self.is_truncated:
            # Otherwise SQLite refuses the whole file. Nothing can be written: it was opened for reading.
            self._database.execute("PRAGMA writable_schema = ON")

    def _read_topics(self) -> None:
        # A view or a computed column could be a program that never ends.
        tables = {name for (name,) in self._database.execute(_SELECT_TABLES)
                  if name in _TABLES and not self._has_computed_columns(name)}
        if not {"topics", "messages"} <= tables:
            raise InvalidFile("a database, but not of a bag: it has no tables topics and messages")
        definitions = self._read_definitions() if "message_definitions" in tables else {}
        counts = self._count()
        for key, topic, msgtype, encoding in self._database.execute(
                "SELECT id, name, type, serialization_format FROM topics"):
            if isinstance(topic, str) and isinstance(msgtype, str):
                form, text = definitions.get(msgtype, ("", ""))
                self.channels.append(Channel(
                    key, topic, normalize_type(msgtype), str(encoding), counts.get(key, 0),
                    text, form))

    def _has_computed_columns(self, table: str) -> bool:
        rows = self._database.execute("SELECT hidden FROM pragma_table_xinfo(?)", (table,))
        return any(hidden for (hidden,) in rows)

    def _read_definitions(self) -> dict[Any, tuple[str, str]]:
        """Format and text of the definition of each type. What cannot be read is not needed for images."""
        found: dict[Any, tuple[str, str]] = {}
        with contextlib.suppress(sqlite3.Error):
            for name, form, text in self._database.execute(
                    "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"):
                if isinstance(text, str):
                    found.setdefault(name, (str(form), text))
        return found

    def _count(self) -> dict[Any, int]:
        """Number of messages by topic; of a damaged file, those that can be had."""
        counts: dict[Any, int] = {}
        times: list[int] = []
        try:
            for key, number, first, last in self._database.execute(
                    "SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages NOT INDEXED"
                    " GROUP BY topic_id"):
                counts[key] = number
                times += [time for time in (first, last) if isinstance(time, int)]
        except sqlite3.Error:
            counts, times = {}, []
            for time, _, key in self._salvage_rows():
                if isinstance(time, int):
                    counts[key] = counts.get(key, 0) + 1
                    times.append(time)
        self.start_ns, self.end_ns = min(times, default=0), max(times, default=0)
        return counts


def torn_bytes(path: bytes | str) -> int | None:
    """Looks whether a database is shorter than its header says.

    SQLite would fill the last page, if that is not whole, with zeros, and a message with them.

    Args:
        path: The file.

    Returns:
        How many bytes of its last page are there; None for a whole file.
    """
    with contextlib.suppress(OSError, struct.error), open(path, "rb") as file:
        page_size, changes, pages, counted_at = _HEADER.unpack(file.read(_HEADER.size))
        # 65536 bytes do not fit into the field.
        page_size = page_size if page_size > 1 else 1 << 16
        size = os.path.getsize(path)
        if changes == counted_at and size < page_size * pages:
            return size % page_size
    return None
