"""One answer of the doctor."""

from __future__ import annotations

from dataclasses import dataclass

OK, ABSENT, BROKEN = "ok", "absent", "broken"
"""Works; is not there, and need not be; should work and does not."""


@dataclass(frozen=True)
class Finding:
    """subject: what was looked at. state: one of the three above. fact: what was found. cure: what to do, if anything.
    """

    subject: str
    state: str
    fact: str
    cure: str = ""

    def __post_init__(self) -> None:
        if self.state not in (OK, ABSENT, BROKEN):
            raise ValueError(f"a finding's state is {self.state!r}")
