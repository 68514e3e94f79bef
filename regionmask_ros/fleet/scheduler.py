"""Hands units to workers, tries those again whose worker died, and counts what happens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import UserError
from .calls import Executor, UnitResult, Work
from .progress import UnitProgress
from .units import Unit

TRIES = 3
"""How often a unit is begun whose worker dies: a machine may fail, and a source may kill whoever reads it."""

POLL_S = 1.0


@dataclass(frozen=True)
class Failure:
    """A unit without a result.

    Attributes:
        unit: The unit.
        why: A line.
    """

    unit: Unit
    why: str


def run_units(executor: Executor, work: Work, units: Sequence[Unit], take: Callable[[Unit, UnitResult], None],
              progress: UnitProgress | None, strict: bool) -> list[Failure]:
    """Does units in any order.

    Args:
        executor: Does them.
        work: What is done with each.
        units: The units.
        take: Called with each result as it comes, before the next unit begins in its place.
        progress: Follows; None: nothing is shown.
        strict: Whether the first unit that fails ends the work.

    Returns:
        The units that failed, in their order.

    Raises:
        UserError: With ``strict``, a unit failed.
    """
    waiting, running = deque(range(len(units))), set[int]()
    deaths = [0] * len(units)
    failures: dict[int, Failure] = {}
    while waiting or running:
        while waiting and len(running) < executor.capacity:
            number = waiting.popleft()
            running.add(number)
            executor.submit(number, work, units[number])
        for outcome in executor.wait(POLL_S):
            number, unit = outcome.ticket, units[outcome.ticket]
            running.remove(number)
            if outcome.result is not None:
                take(unit, outcome.result)
                if progress:
                    progress.add(outcome.result)
                continue
            why = outcome.refusal
            if outcome.death:
                deaths[number] += 1
                if deaths[number] < TRIES:
                    waiting.appendleft(number)
                    continue
                why = f"{outcome.death}; tried {TRIES} times"
            if strict:
                raise UserError(f"{unit.title}: {why.removeprefix(f'{unit.place.path}: ')} (--strict: the work ends "
                                "here, and --resume goes on with it)")
            failures[number] = Failure(unit, why)
            if progress:
                progress.fail()
        if progress:
            progress.tick()
    return [failures[number] for number in sorted(failures)]
