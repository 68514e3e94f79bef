"""Remembers which steps are done, in one small file in ``.venv``, and keeps two set-ups apart with a lock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_FORMAT = 1


class State:
    """The steps that are done. Saved after every change, by renaming. Several threads may use it.

    Attributes:
        path: The file.
        keys: Step name to key. A step is done if its key equals the wanted one.
        unfinished: The step that was writing into ``.venv`` when the set-up ended, or empty. If it is not empty,
            packages may be half installed.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file. One that is missing or damaged counts as nothing done."""
        self.path = path
        self.keys: dict[str, str] = {}
        self.unfinished = ""
        self._lock = threading.Lock()
        try:
            content = json.loads(path.read_text())
            if content["format"] == _FORMAT:
                self.keys, self.unfinished = dict(content["keys"]), str(content["unfinished"])
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def has(self, step: str, key: str) -> bool:
        """Checks whether a step was done with this key."""
        return self.keys.get(step) == key

    def set(self, step: str, key: str) -> None:
        """Records that a step is done."""
        with self._lock:
            self.keys[step] = key
        self.save()

    @contextlib.contextmanager
    def writing(self, step: str) -> Iterator[None]:
        """Marks a step as unfinished while the block runs. After an exception or a sudden end the mark stays.

        Args:
            step: The step that writes into ``.venv``. It no longer counts as done.

        Yields:
            Nothing.
        """
        with self._lock:
            self.keys.pop(step, None)
            self.unfinished = step
        self.save()
        yield
        self.unfinished = ""
        self.save()

    def save(self) -> None:
        """Writes the file."""
        with self._lock:
            content = {"format": _FORMAT, "unfinished": self.unfinished, "keys": self.keys}
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text(json.dumps(content, indent=1) + "\n")
            os.replace(temporary, self.path)


def compute_digest(*parts: str | Path) -> str:
    """Computes a short hash over texts and files.

    Args:
        *parts: Texts, files, and folders, which count with all files below them. A missing file counts as such.

    Returns:
        24 hexadecimal digits.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(part.encode() + b"\0")
            continue
        files = sorted(part.rglob("*")) if part.is_dir() else [part]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).digest()
                total.update(file.relative_to(part.parent).as_posix().encode() + b"\0" + content)
    return total.hexdigest()[:24]


@contextlib.contextmanager
def lock_exclusively(path: Path, on_wait: Callable[[], None]) -> Iterator[int]:
    """Holds an exclusive lock on a file while the block runs.

    Args:
        path: A committed file, which is not changed.
        on_wait: Called once if another process holds the lock.

    Yields:
        The descriptor of the open file. Processes that inherit it keep the lock.

    Raises:
        OSError: When the file cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system without locks (ENOLCK, EBADF) is no reason to refuse the work.
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                on_wait()
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)
