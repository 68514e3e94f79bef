"""What the time stamps of a camera's pictures give away."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StampNews:
    """warning: to be told to the user, "" for none. repeated: the stamp is the same as the last picture's."""

    warning: str = ""
    repeated: bool = False


NOTHING = StampNews()

ZERO = "pictures have no time stamp: passed on as they are, to be joined with nothing"
REPEATED = "two pictures have the same time stamp: both are answered, but joins by time will mix them up"


class StampWatch:
    """Looks at each stamp once. A stamp of 0 is none at all, and neither repeats nor jumps.

    Zero and repeated stamps are told the first time, because they go on for ever; each jump back is told.
    """

    def __init__(self) -> None:
        self._last_ns = 0
        self._told: set[str] = set()

    def look(self, stamp_ns: int) -> StampNews:
        """The next picture's stamp, in nanoseconds."""
        last, self._last_ns = self._last_ns, stamp_ns
        if not stamp_ns:
            return StampNews(self._once(ZERO))
        if stamp_ns == last:
            return StampNews(self._once(REPEATED), repeated=True)
        if stamp_ns < last:
            return StampNews(f"time stamps jumped back by {(last - stamp_ns) / 1e9:.3f} s: the detector starts afresh")
        return NOTHING

    def _once(self, warning: str) -> str:
        if warning in self._told:
            return ""
        self._told.add(warning)
        return warning
