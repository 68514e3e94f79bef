"""Output files that appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from dataclasses import dataclass
from typing import Sequence

from ..errors import UserError
from ..sources.naming import must_be_utf8, shown

_DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@dataclass(frozen=True)
class _Pending:
    temporary: str
    final: str


class Outputs:
    """Several output files, written under temporary names and renamed together.

    inputs: files and folders that are being read; an output that would replace one, or a file in one, is refused.

    Every path is tried at once: ``file`` and ``folder`` raise UserError when nothing can be written there, before any
    work is done. As a context manager it aborts on the way out unless ``commit`` was called, and tells a full disk in
    one line.
    """

    def __init__(self, inputs: Sequence[str] = ()) -> None:
        self._inputs = tuple(inputs)
        self._pending: list[_Pending] = []
        self._made: list[str] = []

    def folder(self, path: str) -> str:
        """Makes the folder and those above it where they are missing; an abort takes the new ones away again."""
        if not path:
            raise UserError("the output folder's name is empty")
        must_be_utf8(path)
        missing = []
        level = os.path.abspath(path)
        while not os.path.lexists(level):
            missing.append(level)
            level = os.path.dirname(level)
        try:
            for level in reversed(missing):
                os.mkdir(level)
                self._made.append(level)
        except OSError as error:
            raise UserError(f"{shown(path)}: cannot make this folder: {error.strerror}") from None
        if not os.path.isdir(path):
            raise UserError(f"{shown(path)}: not a folder: give another place for the output")
        return path

    def file(self, path: str) -> str:
        """A temporary name, in the same folder and with the same ending, to write to; an empty file is there now."""
        self._refuse(path)
        folder, name = os.path.split(path)
        stem, suffix = os.path.splitext(name)
        temporary = os.path.join(folder, f".{stem[:100]}.{secrets.token_hex(4)}.partial{suffix}")
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            raise UserError(f"{shown(path)}: cannot be written: {error.strerror}") from None
        self._pending.append(_Pending(temporary, path))
        return temporary

    def commit(self) -> list[str]:
        """Gives every file its final name, replacing what was there. Returns the final names."""
        written = []
        while self._pending:
            pending = self._pending[0]
            try:
                os.replace(pending.temporary, pending.final)
            except OSError as error:
                raise UserError(f"{shown(pending.final)}: cannot be written: {error.strerror}") from None
            written.append(self._pending.pop(0).final)
        self._made.clear()
        return written

    def abort(self) -> None:
        """Removes every temporary file, and the folders made here as far as they are empty."""
        for pending in self._pending:
            with contextlib.suppress(OSError):
                os.unlink(pending.temporary)
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        self._pending.clear()
        self._made.clear()

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        places = [shown(pending.final) for pending in self._pending]
        self.abort()
        if isinstance(error, OSError) and error.errno in _DISK_TROUBLE and places:
            raise UserError(f"{', '.join(places)}: cannot be written: {error.strerror}") from None

    def _refuse(self, path: str) -> None:
        """Raises UserError for a path that cannot, or must not, become an output."""
        must_be_utf8(path)
        try:
            os.lstat(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UserError(f"{shown(path)}: cannot be written: {error.strerror}") from None
        if not os.path.basename(path) or os.path.isdir(path):
            raise UserError(f"{shown(path)}: a folder: give the name of a file")
        if os.path.exists(path) and not os.path.isfile(path):
            raise UserError(f"{shown(path)}: not a regular file: give another name")
        if os.path.realpath(path) in (os.path.realpath(pending.final) for pending in self._pending):
            raise UserError(f"{shown(path)}: named for two outputs: give another name")
        for source in filter(None, self._inputs):
            if os.path.exists(path) and os.path.exists(source) and _is_part_of(path, source):
                raise UserError(f"{shown(path)}: would replace the input: give another name")


def _is_part_of(path: str, source: str) -> bool:
    """Whether the file is the source or, where that is a folder, lies in it."""
    folder = os.path.dirname(os.path.realpath(path))
    return os.path.samefile(path, source) or (os.path.isdir(source) and os.path.samefile(folder, source))
