"""One call of a worker: what it is given, what comes back, and how its errors are told from its death."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2

from .. import __version__
from ..errors import UserError, to_one_line


@dataclass(frozen=True)
class UnitResult:
    """What a unit of work gives back. It travels between machines, so that it holds contents and no names of files.

    Attributes:
        facts: In JSON's types.
        files: Contents of files by their endings.
        cpu_s: Processor time of the worker, all its threads together, in seconds.
        wall_s: Time that it took, in seconds.
    """

    facts: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    cpu_s: float = 0.0
    wall_s: float = 0.0


Work = Callable[[Any, Any], UnitResult]
"""Does one unit: called with what all units share, and with the unit. A module's function, so that workers find it."""


@dataclass(frozen=True)
class Shared:
    """What all calls have in common; it is sent to each worker once.

    Attributes:
        job: The first argument of the work.
        version: Of the package that sends it.
    """

    job: Any
    version: str = __version__


@dataclass(frozen=True)
class Outcome:
    """How a call has ended. One of result, refusal and death is given.

    Attributes:
        ticket: Number of the call.
        result: What the work returned.
        refusal: Why the work cannot be done, a line; another try would end in the same way.
        death: How the worker ended in the middle of it, a line; another try may succeed.
    """

    ticket: int
    result: UnitResult | None = None
    refusal: str = ""
    death: str = ""


class Executor(Protocol):
    """Does calls somewhere else. For one thread. It is closed with ``close``, which stops all calls."""

    @property
    def capacity(self) -> int:
        """How many calls it can have at a time, 1 or more; it may change."""

    @property
    def place(self) -> str:
        """Where the calls are done, in words."""

    def submit(self, ticket: int, work: Work, item: Any) -> None:
        """Starts a call ``work(job, item)``; not more than ``capacity`` at a time."""

    def wait(self, timeout_s: float) -> list[Outcome]:
        """The calls that have ended, after at most that time; it returns as soon as there is one."""

    def close(self) -> None:
        """Ends all workers. Can be called again."""


def perform(shared: Shared, ticket: int, work: Work, item: Any) -> Outcome:
    """Does a call, in a worker.

    Args:
        shared: What all calls have in common.
        ticket: Number of the call.
        work: The work.
        item: Its unit.

    Returns:
        The outcome. An error is one, too: one bad source, or one that nobody has thought of, must not end the work on
        all others.
    """
    if shared.version != __version__:
        return Outcome(ticket, refusal=f"the worker has regionmask_ros {__version__}, not {shared.version}: install "
                                       "the same version on all machines")
    # As many workers as cores: threads of OpenCV would only disturb the others.
    cv2.setNumThreads(1)
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    try:
        result = work(shared.job, item)
    except UserError as error:
        return Outcome(ticket, refusal=str(error))
    except MemoryError:
        return Outcome(ticket, refusal="out of memory; give fewer --jobs, or cut it with --slice")
    except Exception as error:  # noqa: BLE001  Whatever it is, it concerns this unit alone, and is told with it.
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome(ticket, refusal=to_one_line(
            f"{type(error).__name__}: {error} ({place.name}, line {place.lineno}): please report it"))
    return Outcome(ticket, UnitResult(result.facts, result.files, time.process_time() - start_cpu_s,
                                      time.perf_counter() - start_s))
