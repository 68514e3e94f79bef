"""Reads db3 files with Python's own SQLite: damaged ones as far as they go, and the log that a crash has left.

rosbags has a reader for them, which this one replaces. It passes the path to SQLite as a URI without quoting it, reads
without the write-ahead log, and parses the QoS of every topic.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import quote_from_bytes

from ...errors import InvalidFile
from .storage import MAX_MESSAGE_BYTES, Channel, RawMessage, Storage, normalize_type

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
            raise InvalidFile(str(error)) from error
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
        """Time, row and topic of the messages on some topics; of a damaged file, those before the damage."""
        rows = []
        marks = ", ".join("?" * len(keys))
        try:
            # In the order of the rows, because the index by time may be damaged or missing.
            for row, key, log_ns in self._database.execute(
                    f"SELECT rowid, topic_id, timestamp FROM messages NOT INDEXED WHERE topic_id IN ({marks})",
                    tuple(keys)):
                if isinstance(log_ns, int):
                    rows.append((log_ns, row, key))
        except sqlite3.Error as error:
            self.is_truncated = True
            self.note(f"its end cannot be read: {error}")
        return rows

    def _prepare(self) -> None:
        self._database.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
        # From Python 3.11 on; before, the limit is SQLite's own, 1 GB.
        limit = getattr(sqlite3, "SQLITE_LIMIT_LENGTH", None)
        if limit is not None and hasattr(self._database, "setlimit"):
            self._database.setlimit(limit, MAX_MESSAGE_BYTES)
        self._database.execute("PRAGMA trusted_schema = OFF")

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
                    key, topic, normalize_type(msgtype), str(encoding), None if counts is None else counts.get(key, 0),
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

    def _count(self) -> dict[Any, int] | None:
        """Number of messages by topic; None for a file that cannot be read to its end."""
        counts: dict[Any, int] = {}
        times: list[int] = []
        try:
            for key, number, first, last in self._database.execute(
                    "SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages NOT INDEXED"
                    " GROUP BY topic_id"):
                counts[key] = number
                times += [time for time in (first, last) if isinstance(time, int)]
        except sqlite3.Error:
            return None
        self.start_ns, self.end_ns = min(times, default=0), max(times, default=0)
        return counts
