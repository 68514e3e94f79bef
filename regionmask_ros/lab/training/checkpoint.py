"""Checkpoints of a training, and steps that are done as a whole or not at all.

A checkpoint is an ``.npz`` of plain numbers, read within limits as untrusted data.
"""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidFile
from ...files.outputs import write_whole
from ...files.safe_read import open_regular, open_zip, read_array

FILE_KIND = "a checkpoint of train_mgnet"
MAX_STEPS = 10_000_000


def save_checkpoint(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Writes a checkpoint. The file appears when it is complete.

    Args:
        path: The file.
        state: Arrays of two axes at most, by name.
    """
    content = io.BytesIO()
    arrays: dict[str, Any] = dict(state)
    np.savez(content, **arrays)
    write_whole(path, content.getvalue())


def load_checkpoint(path: Path, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Reads a checkpoint.

    Args:
        path: The file.
        like: A state with the arrays that must be there. Where a name begins with ``history``, the length of the first
            axis may differ.

    Returns:
        The arrays by name.

    Raises:
        UserError: The file cannot be read, or is from another training.
    """  # noqa: DOC501  ``about`` makes a UserError
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


@contextlib.contextmanager
def defer_interrupts() -> Iterator[None]:
    """Delays Ctrl-C and SIGTERM to the end of the block.

    A step that is interrupted has changed some of the weights and was not counted: a training that continued from there
    would end with other weights.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {number: signal.signal(number, lambda number, _: waiting.append(number))
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    # One alone may be ignored, as Ctrl-C is in a shell's background jobs.
    for received in waiting:
        signal.raise_signal(received)
