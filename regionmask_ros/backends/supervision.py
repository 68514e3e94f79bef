"""What becomes of a backend that fails while it runs: it is started once more, and then given up.

Given up means that another backend takes its place, or, where none is wanted, that pictures are refused for a while.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

GOOD_WHILE_S = 600.0
"""So long after a restart the next failure counts as a first one.

A cause that stays, such as a network that does not fit into memory, brings the failure back within seconds. One in
ten minutes is an accident, and costs little: with the default limits for a step and for opening, at most 15 % of the
time.
"""

FRESH_S = 5.0
"""What is over and done with stays a warning for so long, so that somebody who looks now and then sees it."""


class Verdict(Enum):
    RESTART = "open it again"
    FALL_BACK = "another one takes its place"
    GIVE_UP = "nothing takes its place"


@dataclass(frozen=True)
class Trouble:
    """What people are told. line: "" for nothing. error: nothing is detected meanwhile. until_s: monotonic."""

    line: str = ""
    error: bool = False
    until_s: float = -math.inf

    def at(self, now_s: float) -> Trouble:
        """Itself while it lasts, then nothing."""
        return self if now_s < self.until_s else Trouble()


@dataclass(frozen=True)
class Supervision:
    """restarts: so far. restarted_s: when last (monotonic), None: not in a while. given_up_s: since when pictures are
    refused, None: they are not. reason: of the last failure. trouble: the last one, see ``Trouble.at``."""

    restarts: int = 0
    restarted_s: float | None = None
    given_up_s: float | None = None
    reason: str = ""
    trouble: Trouble = Trouble()

    def rests(self, now_s: float) -> bool:
        """Given up, and too lately to try again."""
        return self.given_up_s is not None and now_s - self.given_up_s < GOOD_WHILE_S


class Supervisor:
    """The state of one pipeline's backend. It changes in whatever thread has the pipeline; any may look at it."""

    def __init__(self) -> None:
        self.state = Supervision()

    def failed(self, backend: str, reason: str, fallback: str, now_s: float) -> Verdict:
        """What is to be done: see ``after_failure``."""
        self.state, verdict = after_failure(self.state, backend, reason, fallback, now_s)
        return verdict

    def works(self, now_s: float) -> None:
        """It has taken a frame: it is up again, if it was not."""
        if self.state.given_up_s is not None:
            self.forgive()
        elif self.state.restarted_s is not None and self.state.trouble.until_s == math.inf:
            self.state = replace(self.state, trouble=replace(self.state.trouble, until_s=now_s + FRESH_S))

    def forgive(self) -> None:
        """What has failed is no longer in use, or works again: it starts without a past."""
        self.state = Supervision(self.state.restarts)


def after_failure(
    before: Supervision, backend: str, reason: str, fallback: str, now_s: float
) -> tuple[Supervision, Verdict]:
    """backend: its name. reason: one line. fallback: the name of the one to go on with, "" for none."""
    if before.restarted_s is None or now_s - before.restarted_s >= GOOD_WHILE_S:
        trouble = Trouble(f"backend {backend} failed and is started again: {reason}", False, math.inf)
        return Supervision(before.restarts + 1, now_s, None, reason, trouble), Verdict.RESTART
    if fallback:
        trouble = Trouble(f"backend {backend} failed twice, {fallback} goes on: {reason}", False, math.inf)
        return Supervision(before.restarts, None, None, reason, trouble), Verdict.FALL_BACK
    trouble = Trouble(f"backend {backend} failed twice and is given up, fallback is none: {reason}", True, math.inf)
    return Supervision(before.restarts, before.restarted_s, now_s, reason, trouble), Verdict.GIVE_UP
