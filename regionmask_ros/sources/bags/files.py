"""Finds the files of a bag and opens them: folders, single files, compressed ones, and databases with a log.

A bag is never written. What has to be changed before it can be read is changed in a copy in the temporary folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import InvalidFile
from ...files.content import HEAD_BYTES, Family, check_head
from ...files.paths import natural_key
from ...files.temporary import temporary_folder
from .database import DatabaseFile, torn_bytes
from .mcap import McapFile
from .ros1 import Ros1File
from .storage import ZSTD_MAGIC, Storage, zstd_module

SUFFIXES = (".mcap", ".db3", ".bag")
COMPRESSED_SUFFIX = ".zstd"

_MAGICS = {b"\x89MCAP0\r\n": "mcap", b"SQLite format 3\0": "db3", b"#ROSBAG V": "bag"}
_LOG_SUFFIX, _JOURNAL_SUFFIX = "-wal", "-journal"
"""What SQLite has beside a database in use: the write-ahead log, or the rollback journal.

A journal is not used: it can name another file, which SQLite would then delete.
"""

_PART = re.compile(r"(?P<stem>.+)_[0-9]+(?P<suffix>\.[a-z0-9]+)(\.zstd)?", re.DOTALL)
_COPY_BYTES = 1 << 20
_SPARED_BYTES = 256 << 20
"""What copies leave free in the temporary folder."""


@dataclass(frozen=True)
class StorageFile:
    """A storage file of a bag.

    Attributes:
        path: The file, absolute.
        kind: ``mcap``, ``db3`` (ROS 2) or ``bag`` (ROS 1), by its content.
        is_compressed: Whether it is inside of a Zstandard file.
    """

    path: str
    kind: str
    is_compressed: bool

    @property
    def name(self) -> str:
        """Its name without folders."""
        return os.path.basename(self.path)


def recognize(path: str) -> StorageFile | None:
    """Recognizes a storage file by its content.

    Args:
        path: Of a regular file.

    Returns:
        The file; None if it is another file or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(16)
            is_compressed = head.startswith(ZSTD_MAGIC)
            if is_compressed:
                file.seek(0)
                head = _decompressed(file).read(16)
    # First, because the module for the other one may be missing.
    except (OSError, ValueError):
        return None
    except (EOFError, zstd_module().ZstdError):
        # Not even the first bytes can be had: what it should be is said by its name alone.
        name = path.lower().removesuffix(COMPRESSED_SUFFIX)
        head = next((magic for magic, kind in _MAGICS.items() if name.endswith(f".{kind}")), b"")
    kind = next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), "")
    return StorageFile(os.path.abspath(path), kind, is_compressed) if kind else None


def describe_other(path: str) -> str:
    """Says what a file is that ``recognize`` does not know.

    Args:
        path: Of a regular file.

    Returns:
        The reason why it is not read, and what to do where that is known.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
        if not head:
            return "empty file"
        check_head(head, (Family.BAG, Family.ROS1_BAG, Family.ZSTD), "a bag")
    except (OSError, InvalidFile) as error:
        return str(error)
    return "neither MCAP, nor SQLite, nor a ROS 1 bag"


def has_storage_name(name: str) -> bool:
    """Whether a file is named as the storage files of bags are."""
    return name.lower().removesuffix(COMPRESSED_SUFFIX).endswith(SUFFIXES)


def list_storage_names(folder: str) -> list[str]:
    """Names of the files in a folder that are named as storage files, in natural order; hidden ones if no other is."""
    try:
        names = [name for name in os.listdir(folder) if has_storage_name(name)
                 and os.path.isfile(os.path.join(folder, name))]
    except OSError:
        return []
    visible = [name for name in names if not name.startswith(".")]
    return sorted(visible or names, key=natural_key)


def find_promised(folder: str, name: str) -> str | None:
    """The name under which a file is there that metadata names: as it is, compressed, or decompressed."""
    for candidate in (name, name + COMPRESSED_SUFFIX, name.removesuffix(COMPRESSED_SUFFIX)):
        if os.path.isfile(os.path.join(folder, candidate)):
            return candidate
    return None


def parts_beside(name: str, names: Sequence[str]) -> list[str]:
    """The files of a split recording to which a file belongs by its name, this one included."""
    match = _PART.fullmatch(name)
    if not match:
        return [name]
    same = (match["stem"], match["suffix"])
    return [one for one in names if (other := _PART.fullmatch(one)) and (other["stem"], other["suffix"]) == same]


class Scratch:
    """Keeps one copy of a file in the temporary folder, for as long as this object exists and no other copy is made.

    Only this user can read it. A copy whose process has died is removed by the next one.
    """

    def __init__(self) -> None:
        self._source: StorageFile | None = None
        self._path = ""
        self._folders = contextlib.ExitStack()
        weakref.finalize(self, self._folders.close)

    def close(self) -> None:
        """Removes the copy."""
        self._folders.close()
        self._source = None

    def open(self, file: StorageFile, index: Any = None) -> Storage:
        """Opens a storage file.

        Args:
            file: The file.
            index: ``Storage.index`` from an opening before.

        Returns:
            The open file, with a note if it was not read as it is.

        Raises:
            InvalidFile: It cannot be read.
        """
        path, is_cut = file.path, False
        notes: list[str] = []
        if file.is_compressed:
            path, is_cut = self._decompress(file)
        elif file.kind == "db3":
            path, notes = self._with_log(file)
            if path == file.path and torn_bytes(path):
                path = self._whole_pages(file)
        try:
            storage = _open(path, file.kind, index)
        except InvalidFile as error:
            raise InvalidFile(f"its compressed data end early: {error}" if is_cut else str(error)) from error
        storage.is_truncated |= is_cut
        for sentence in (*notes, *(["its compressed data end early"] if is_cut else [])):
            storage.note(sentence)
        return storage

    def _decompress(self, file: StorageFile) -> tuple[str, bool]:
        """The decompressed copy, and whether the data end early."""
        if self._source == file:
            return self._path, False
        is_cut = False
        with open(file.path, "rb") as source, self._make(file) as target:
            left = _free_bytes()
            reader = _decompressed(source)
            while True:
                try:
                    block = reader.read(_COPY_BYTES)
                except (EOFError, zstd_module().ZstdError):
                    is_cut = True
                    break
                if not block:
                    break
                left -= len(block)
                if left < 0:
                    raise InvalidFile(_no_room())
                target.write(block)
        self._source = None if is_cut else file
        return self._path, is_cut

    def _with_log(self, file: StorageFile) -> tuple[str, list[str]]:
        """A database with what its log adds, as a copy; without a log the file itself. With notes."""
        if self._source == file:
            return self._path, []
        log = file.path + _LOG_SUFFIX
        if not _size(log):
            is_torn = _size(file.path + _JOURNAL_SUFFIX) > 0
            return file.path, ["the journal that a crash has left is not used: its end may be damaged"] * is_torn
        if _size(file.path) + _size(log) > _free_bytes():
            return file.path, [f"read without the log that a crash has left: {_no_room()}"]
        with self._make(file) as target, open(file.path, "rb") as source:
            shutil.copyfileobj(source, target, _COPY_BYTES)
        copied_log = self._path + _LOG_SUFFIX
        try:
            with open(copied_log, "wb") as target, open(log, "rb") as source:
                shutil.copyfileobj(source, target, _COPY_BYTES)
                target.flush()
                _apply_log(self._path)
        except InvalidFile as error:
            self.close()
            return file.path, [str(error)]
        self._source = file
        return self._path, ["read with the log that a crash has left"]

    def _whole_pages(self, file: StorageFile) -> str:
        """A copy of a database without the last page, which is not whole."""
        left = os.path.getsize(file.path) - (torn_bytes(file.path) or 0)
        if not left:
            raise InvalidFile("truncated before the first message")
        if left > _free_bytes():
            raise InvalidFile(_no_room())
        with self._make(file) as target, open(file.path, "rb") as source:
            while left > 0 and (block := source.read(min(left, _COPY_BYTES))):
                target.write(block)
                left -= len(block)
        self._source = file
        return self._path

    def _make(self, file: StorageFile) -> BinaryIO:
        """A new, empty copy, open for writing; the one before is removed."""
        self.close()
        folder = self._folders.enter_context(temporary_folder(Path(tempfile.gettempdir(), "regionmask_ros")))
        self._path = str(folder / f"bag.{file.kind}")
        return open(self._path, "wb")


def _open(path: str, kind: str, index: Any) -> Storage:
    if kind == "mcap":
        with contextlib.ExitStack() as stack:
            mcap = McapFile(stack.enter_context(open(path, "rb")), index)
            stack.pop_all()
            return mcap
    return DatabaseFile(os.fsencode(path), index) if kind == "db3" else Ros1File(os.fsencode(path))


def _decompressed(file: BinaryIO) -> BinaryIO:
    reader: BinaryIO = zstd_module().open(file, "rb")
    return reader


def _apply_log(path: str) -> None:
    """Lets SQLite bring a database up to date with its log."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            database.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error as error:
        raise InvalidFile(f"read without the log that a crash has left, which is damaged: {error}") from error


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _free_bytes() -> int:
    return shutil.disk_usage(tempfile.gettempdir()).free - _SPARED_BYTES


def _no_room() -> str:
    return f"a copy of it needs more room than {tempfile.gettempdir()} has: set TMPDIR to a folder on a larger disk"
