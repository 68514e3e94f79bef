"""A reader with every fault that a campaign looks for. It shows that a campaign finds them."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from regionmask_ros.errors import UserError

from .kind import Kind


def _number(rng: random.Random) -> int:
    return rng.randrange(1 << 30)


def _accept(folder: Path) -> None:
    pass


def _refuse(folder: Path) -> None:
    raise UserError("a damaged file")


def _crash(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang(folder: Path) -> None:
    end = time.process_time() + 1.2
    while time.process_time() < end:
        pass


def _fail(folder: Path) -> None:
    raise IndexError("list index out of range")


def _fill_memory(folder: Path) -> None:
    assert np.ones(1200 << 20, np.uint8)[-1] == 1


def _write_outside(folder: Path) -> None:
    folder.with_name("outside").write_bytes(b"")


def _leave_file(folder: Path) -> None:
    os.close(os.open(folder / "left", os.O_CREAT | os.O_WRONLY))


def _say_nothing(folder: Path) -> None:
    raise UserError("")


FAULTS = (_accept, _refuse, _crash, _hang, _fail, _fill_memory, _write_outside, _leave_file, _say_nothing)

def _kind(fault: Callable[[Path], None]) -> Kind:
    return Kind(f"faulty reader: {fault.__name__.strip('_')}", 1, _number, lambda case, folder: fault(folder),
                30.0 if fault is _fill_memory else 1.0)


KINDS = tuple(map(_kind, FAULTS))
