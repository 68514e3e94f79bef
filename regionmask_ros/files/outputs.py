"""Output files, and folders of the demo, that appear complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from .paths import check_utf8, display_path
from .temporary import (
    exchange,
    hold_lock,
    lock_abandoned,
    make_temporary,
    remove_abandoned,
    write_all_through,
    write_through,
)

CHUNK_BYTES = 1 << 20

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@dataclass(frozen=True)
class _Pending:
    temporary: str
    final: str
    lock: int


class Outputs:
    """Several output files, written under temporary names and renamed together.

    Every path is tried at once, so that a wrong one is reported before any work is done. As a context manager it aborts
    on the way out unless ``commit`` was called, and reports a full disk in one line.

    Args:
        inputs: Files and folders that are being read. An output that would replace one of them, or a file directly in
            one of them, is rejected.
    """

    def __init__(self, inputs: Sequence[str] = ()) -> None:
        self._inputs = tuple(inputs)
        self._pending: list[_Pending] = []
        self._new_folders: list[str] = []
        self._swept: set[str] = set()

    def folder(self, path: str) -> str:
        """Makes a folder and its missing parents. An abort removes the new ones again.

        Args:
            path: The folder.

        Returns:
            The same path.

        Raises:
            UserError: The folder cannot be made, or something else has this name.
        """
        if not path:
            raise UserError("the name of the output folder is empty: give a name")
        check_utf8(path)
        missing = []
        level = os.path.abspath(path)
        while not os.path.lexists(level):
            missing.append(level)
            level = os.path.dirname(level)
        try:
            for level in reversed(missing):
                os.mkdir(level)
                self._new_folders.append(level)
        except OSError as error:
            raise UserError(f"{display_path(path)}: cannot make this folder: {error.strerror}") from None
        if not os.path.isdir(path):
            raise UserError(f"{display_path(path)}: not a folder: give another folder for the output")
        return path

    def new_folder(self, stem: str) -> str:
        """Makes a folder that nobody else has: the first of ``stem-1``, ``stem-2`` ... after those that exist.

        Args:
            stem: Begin of its path.

        Returns:
            The folder.

        Raises:
            UserError: It cannot be made.
        """
        self.folder(os.path.dirname(stem))
        while True:
            path = free_name(stem)
            try:
                os.mkdir(path)
            except FileExistsError:
                continue
            except OSError as error:
                raise UserError(f"{display_path(path)}: cannot make this folder: {error.strerror}") from None
            self._new_folders.append(os.path.abspath(path))
            return path

    def file(self, path: str) -> str:
        """Creates an empty temporary file in the same folder and with the same suffix.

        Temporary files in this folder whose processes have ended are removed.

        Args:
            path: The final name.

        Returns:
            The temporary name, to be written to.

        Raises:
            UserError: No file of this name can be written, or it would replace an input or another output.
        """
        self._check_target(path)
        folder = os.path.dirname(path)
        if folder not in self._swept:
            remove_abandoned(folder)
            self._swept.add(folder)
        try:
            temporary, lock = make_temporary(path)
        except OSError as error:
            raise UserError(f"{display_path(path)}: cannot be written: {error.strerror}") from None
        self._pending.append(_Pending(temporary, path, lock))
        return temporary

    def commit(self) -> list[str]:
        """Renames every temporary file to its final name, and replaces older files.

        Each is on the disk before it is renamed: after a power cut, too, there is the old file or the new one.

        Returns:
            The final names.

        Raises:
            UserError: A file cannot be renamed. Those before it stay.
        """
        written = []
        for pending in self._pending:
            _try_for(pending.final, lambda: write_through(pending.temporary))  # noqa: B023  called at once
        while self._pending:
            pending = self._pending[0]
            _try_for(pending.final, lambda: os.replace(pending.temporary, pending.final))  # noqa: B023
            os.close(pending.lock)
            written.append(self._pending.pop(0).final)
        for folder in {os.path.dirname(final) for final in written}:
            # The files are there, and some file systems cannot do it.
            with contextlib.suppress(OSError):
                write_through(folder)
        self._new_folders.clear()
        return written

    def abort(self) -> None:
        """Removes every temporary file, and those of the new folders that are empty."""
        for pending in self._pending:
            with contextlib.suppress(OSError):
                os.unlink(pending.temporary)
            os.close(pending.lock)
        for folder in reversed(self._new_folders):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        self._pending.clear()
        self._new_folders.clear()

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        names = [display_path(pending.final) for pending in self._pending]
        self.abort()
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS and names:
            raise UserError(f"{', '.join(names)}: cannot be written: {error.strerror}") from None

    def _check_target(self, path: str) -> None:
        """Raises UserError for a path that cannot, or must not, become an output file."""
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
            if os.path.exists(path) and os.path.exists(source) and _is_part_of(path, source):
                raise UserError(f"{display_path(path)}: would replace the input: give another name")


def _try_for(path: str, action: Callable[[], None]) -> None:
    """Raises UserError, with the name of the output, when the system refuses an action."""
    try:
        action()
    except OSError as error:
        raise UserError(f"{display_path(path)}: cannot be written: {error.strerror}") from None


def _is_part_of(path: str, source: str) -> bool:
    """Whether the file is the source or, where that is a folder, lies directly in it."""
    folder = os.path.dirname(os.path.realpath(path))
    return os.path.samefile(path, source) or (os.path.isdir(source) and os.path.samefile(folder, source))


def free_name(stem: str) -> str:
    """Finds the first of ``stem-1``, ``stem-2`` ... after those that exist."""
    parent, name = os.path.split(stem)
    with contextlib.suppress(FileNotFoundError):
        used = (other.removeprefix(f"{name}-") for other in os.listdir(parent or ".") if other.startswith(f"{name}-"))
        return f"{stem}-{max((int(text) for text in used if re.fullmatch('[0-9]{1,9}', text)), default=0) + 1}"
    return f"{stem}-1"


def write_whole(target: Path, content: bytes) -> None:
    """Writes one file, complete or not at all. Missing folders are made and stay.

    Args:
        target: The file. An older one is replaced in one step.
        content: What it shall hold.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with Outputs() as outputs:
            Path(outputs.file(str(target))).write_bytes(content)
            outputs.commit()
    except OSError as error:
        raise UserError(f"{display_path(target)}: cannot be written: {error.strerror or error}") from error


def encode_json(content: Any, allow_nan: bool = True) -> bytes:
    """Encodes a result as JSON, a value a line; without ``allow_nan``, a number that JSON has not is a ValueError."""
    return (json.dumps(content, indent=1, allow_nan=allow_nan) + "\n").encode()


def write_json(target: Path, content: Any) -> None:
    """Writes a result as JSON, as ``write_whole`` does."""
    write_whole(target, encode_json(content))


class PipedFile:
    """A file for a library that hangs when the disk is full: the library writes into a pipe, a thread into the file.

    The library never sees an error; ``close`` raises it.

    Args:
        path: The file.

    Attributes:
        inlet: The name that the library shall open for writing, once.
    """

    def __init__(self, path: str) -> None:
        # The thread closes it, when the library has closed its end of the pipe.
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        self._outlet, self._inlet = os.pipe()
        self.inlet = f"/dev/fd/{self._inlet}"
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._copy, name="piped file", daemon=True)
        self._thread.start()

    def release_inlet(self) -> None:
        """To be called when the library has opened the inlet: from now on its end alone keeps the pipe open."""
        os.close(self._inlet)

    def close(self) -> None:
        """Waits until the library has closed its end.

        Raises:
            OSError: Not everything could be written.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _copy(self) -> None:
        with self._file, open(self._outlet, "rb", buffering=0) as outlet:
            while data := outlet.read(CHUNK_BYTES):
                # After an error the pipe must still be emptied: otherwise the library would wait forever.
                while data and self._error is None:
                    try:
                        data = data[self._file.write(data):]
                    except OSError as error:
                        self._error = error


MARKER = ".regionmask_ros_demo"
"""A file that marks a folder as made by the demo."""


class DemoFolder:
    """Context manager: files are written to ``work``, beside the target; ``commit`` renames it to the target.

    Args:
        target: Path of the folder.

    Attributes:
        target: The absolute path.
        work: The folder to write to.

    Raises:
        UserError: The target is neither missing, empty nor made by a demo, or nothing can be written there.
    """

    def __init__(self, target: str) -> None:
        self.target = Path(target).resolve()
        self._check()
        beside = self.target.parent
        token = secrets.token_hex(4)
        self.work = beside / f".{self.target.name}.{token}.partial"
        self._old = beside / f".{self.target.name}.{token}.old"
        self._remove_abandoned()
        try:
            self.work.mkdir(parents=True)
            (self.work / MARKER).touch()
            self._lock = hold_lock(os.open(self.work / MARKER, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise UserError(f"{self.target}: cannot be written: {error.strerror}") from error

    def __enter__(self) -> DemoFolder:
        return self

    def __exit__(self, *exception: object) -> None:
        _remove_demo(self.work)
        os.close(self._lock)

    def commit(self) -> None:
        """Replaces the older folder by the finished one, in one step where the system can."""
        self._check()
        write_all_through(self.work)
        if not self.target.exists():
            os.rename(self.work, self.target)
        elif not exchange(self.work, self.target):
            os.rename(self.target, self._old)
            os.rename(self.work, self.target)
            _remove_demo(self._old)

    def _remove_abandoned(self) -> None:
        """Removes folders of demos that have ended, or gives one back that had been moved away for its successor."""
        start, endings = f".{self.target.name}.", (".partial", ".old")
        try:
            names = os.listdir(self.target.parent)
        except OSError:
            return
        ours = [name for name in names if name.startswith(start) and name.endswith(endings)]
        for folder in (self.target.parent / name for name in ours):
            with contextlib.suppress(OSError):
                os.rmdir(folder)  # Its demo had not even begun.
            with lock_abandoned(folder / MARKER) as is_abandoned:
                if is_abandoned and folder.suffix == ".old" and not os.path.lexists(self.target):
                    os.rename(folder, self.target)
                elif is_abandoned:
                    _remove_demo(folder)

    def _check(self) -> None:
        if not os.path.lexists(self.target):
            return
        if not self.target.is_dir():
            raise UserError(f"{self.target}: not a folder: give another --output")
        if not (self.target / MARKER).exists() and any(self.target.iterdir()):
            raise UserError(
                f"{self.target}: not empty, and not made by the demo: move it away, or give another --output")


def _remove_demo(folder: Path) -> None:
    """Removes a demo's folder, its marker last: one that is killed meanwhile can still be told from a user's folder."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name == MARKER:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    shutil.rmtree(folder, ignore_errors=True)
