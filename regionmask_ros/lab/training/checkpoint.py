"""A step of a training is done as a whole or not at all, whenever somebody stops it.

The whole state of a training on disk: an ``.npz`` of plain numbers, read as data from anybody.
"""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ...errors import InvalidFile
from ...files.outputs import write_whole
from ...files.safe_read import open_regular, open_zip, read_array


@contextlib.contextmanager
def defer_interrupts() -> Iterator[None]:
    """Inside the block Ctrl-C and SIGTERM wait; at its end they do what they would have done.

    A step that is broken off has moved some of the weights and not counted: going on from there would end elsewhere.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting = []
    before = {number: signal.signal(number, lambda *came: waiting.append(came[0]))
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if waiting:
        signal.raise_signal(waiting[0])


FILE_KIND = "a checkpoint of train_mgnet"
MAX_STEPS = 10_000_000


def save_checkpoint(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """The file appears when it is complete. Arrays have two axes at most."""
    content = io.BytesIO()
    np.savez(content, **state)
    write_whole(path, content.getvalue())


def load_checkpoint(path: Path, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """like: a state with the arrays that must be there. The length of their first axis may differ for those that grow,
    whose name begins with ``history``. Raises UserError, one line with file and cause.
    """
    try:
        with open_regular(path) as file:
            archive = open_zip(file)
            found = {name: read_array(archive, name, "fiu", FILE_KIND, MAX_STEPS) for name in like}
        for name, wanted in like.items():
            skip = name.startswith("history")
            if found[name].ndim != wanted.ndim or found[name].shape[skip:] != wanted.shape[skip:]:
                raise InvalidFile(f"array {name} is {list(found[name].shape)}: from another training")
            if not np.isfinite(found[name]).all():
                raise InvalidFile(f"array {name} holds numbers that are not finite")
    except InvalidFile as refused:
        raise refused.about(str(path)) from refused
    return found
