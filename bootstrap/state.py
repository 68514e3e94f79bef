"""What has been done already, in one small file in ``.venv``, and the lock that keeps two set-ups apart."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Callable, Iterator

_FORMAT = 1


class State:
    """Step name to key. A step whose key equals the wanted one is done. Written after every change, by renaming.

    Several threads may use it.

    ``unfinished`` names a step that was writing into ``.venv`` when the set-up was ended: packages may be half there.
    """

    def __init__(self, path: Path) -> None:
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
        return self.keys.get(step) == key

    def set(self, step: str, key: str) -> None:
        with self._lock:
            self.keys[step] = key
        self.save()

    @contextlib.contextmanager
    def writing(self, step: str) -> Iterator[None]:
        """While inside, a sudden end leaves the mark `unfinished`. An ordinary failure leaves it too."""
        with self._lock:
            self.keys.pop(step, None)
            self.unfinished = step
        self.save()
        yield
        self.unfinished = ""
        self.save()

    def save(self) -> None:
        with self._lock:
            content = {"format": _FORMAT, "unfinished": self.unfinished, "keys": self.keys}
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text(json.dumps(content, indent=1) + "\n")
            os.replace(temporary, self.path)


def digest(*parts: str | Path) -> str:
    """A short hash over texts, files, and all files of folders. A missing file counts as such."""
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
def only_one(path: Path, on_wait: Callable[[], None]) -> Iterator[int]:
    """Holds an exclusive lock on ``path`` (a committed file, which is not changed); yields its file descriptor."""
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
