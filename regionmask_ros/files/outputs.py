"""A file for libraries that stall when a disk is full: they write into a pipe, and the disk is our affair.

Output files that appear complete or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UserError
from .atomic import check_utf8, display_path

CHUNK_BYTES = 1 << 20


class PipedFile:
    """Whatever is written to ``inlet``, a name to be opened once for writing, arrives in the file.

    path: of the file. The library never hears of an error; ``close`` tells it.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "wb", buffering=0)
        self._outlet, self._writing_end = os.pipe()
        self.inlet = f"/dev/fd/{self._writing_end}"
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._copy, name="piped file", daemon=True)
        self._thread.start()

    def opened(self) -> None:
        """The library has opened the inlet: from now on its own end decides when the file is complete."""
        os.close(self._writing_end)

    def close(self) -> None:
        """Waits until the library has closed its end. Raises OSError when not everything could be written."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _copy(self) -> None:
        with self._file, open(self._outlet, "rb", buffering=0) as outlet:
            while data := outlet.read(CHUNK_BYTES):
                # After an error the pipe must go on being emptied: otherwise the library would wait for ever.
                while data and self._error is None:
                    try:
                        data = data[self._file.write(data):]
                    except OSError as error:
                        self._error = error


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
        check_utf8(path)
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
            raise UserError(f"{display_path(path)}: cannot make this folder: {error.strerror}") from None
        if not os.path.isdir(path):
            raise UserError(f"{display_path(path)}: not a folder: give another place for the output")
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
            raise UserError(f"{display_path(path)}: cannot be written: {error.strerror}") from None
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
                raise UserError(f"{display_path(pending.final)}: cannot be written: {error.strerror}") from None
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
        places = [display_path(pending.final) for pending in self._pending]
        self.abort()
        if isinstance(error, OSError) and error.errno in _DISK_TROUBLE and places:
            raise UserError(f"{', '.join(places)}: cannot be written: {error.strerror}") from None

    def _refuse(self, path: str) -> None:
        """Raises UserError for a path that cannot, or must not, become an output."""
        check_utf8(path)
        try:
            os.lstat(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UserError(f"{display_path(path)}: cannot be written: {error.strerror}") from None
        if not os.path.basename(path) or os.path.isdir(path):
            raise UserError(f"{display_path(path)}: a folder: give the name of a file")
        if os.path.exists(path) and not os.path.isfile(path):
            raise UserError(f"{display_path(path)}: not a regular file: give another name")
        if os.path.realpath(path) in (os.path.realpath(pending.final) for pending in self._pending):
            raise UserError(f"{display_path(path)}: named for two outputs: give another name")
        for source in filter(None, self._inputs):
            if os.path.exists(path) and os.path.exists(source) and _contains_output(path, source):
                raise UserError(f"{display_path(path)}: would replace the input: give another name")


def _contains_output(path: str, source: str) -> bool:
    """Whether the file is the source or, where that is a folder, lies in it."""
    folder = os.path.dirname(os.path.realpath(path))
    return os.path.samefile(path, source) or (os.path.isdir(source) and os.path.samefile(folder, source))
