"""Work that kills its worker at the end of a unit, for tests of what happens then. Workers import it, too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regionmask_ros.fleet.calls import UnitResult, Work
from regionmask_ros.fleet.opening import opened
from regionmask_ros.fleet.units import Unit, frames_of
from regionmask_ros.sources import Reading


@dataclass(frozen=True)
class Dying:
    """What all units share.

    Attributes:
        work: What is done in fact.
        job: What its units share.
        folder: Where tries are counted.
        deaths: How often the worker dies, by key of the unit.
    """

    work: Work
    job: Any
    folder: str
    deaths: Mapping[str, int]


def work_and_die(dying: Dying, unit: Unit) -> UnitResult:
    tries = Path(dying.folder, unit.key)
    with tries.open("a") as file:
        file.write(f"{os.getpid()}\n")
    result = dying.work(dying.job, unit)
    if len(tries.read_text().split()) <= dying.deaths.get(unit.key, 0):
        os.kill(os.getpid(), signal.SIGKILL)
    return result


def add_pixels(job: None, unit: Unit) -> UnitResult:
    """Work that costs little: the sum of all pixels."""
    with opened(unit, "", Reading()) as source:
        sums = [int(frame.pixels.sum()) for _, frame in frames_of(unit, source)]
    return UnitResult({"frames": len(sums), "sums": sums}, {"txt": repr(sums).encode()})


def add_pixels_when_allowed(folder: str, unit: Unit) -> UnitResult:
    """The same, once the file "go" is in the folder; before, it tells there that it has begun."""
    Path(folder, f"{unit.key}-{os.getpid()}").touch()
    end = time.monotonic() + 120
    while not Path(folder, "go").exists() and time.monotonic() < end:
        time.sleep(0.02)
    return add_pixels(None, unit)
