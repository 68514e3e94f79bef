"""What a part of the soak demands, and what was measured: one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        what: What was measured.
        value: The value, for people.
        bar: What is demanded of it; empty for a mere fact.
        is_met: Whether it is so.
    """

    what: str
    value: str
    bar: str = ""
    is_met: bool = True


def format_table(lines: Sequence[Line]) -> str:
    """The lines as a table with a verdict for each that has a bar."""
    rows = [("", "measured", "demanded", ""), *(
        (line.what, line.value, line.bar, ("ok" if line.is_met else "MISSED") if line.bar else "") for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def judge_memory(start_bytes: int | None, end_bytes: int | None, percent: float) -> Line:
    """Compares the memory at the start, after the warm-up, with that at the end.

    Args:
        start_bytes: Resident memory; None where the system does not report it.
        end_bytes: Likewise.
        percent: By how much it may grow.

    Returns:
        The line of the table.
    """
    bar = f"grows by {percent:g} % at most"
    if not start_bytes or not end_bytes:
        return Line("memory", "not reported by this system", bar, False)
    growth = 100.0 * (end_bytes - start_bytes) / start_bytes
    return Line("memory", f"{start_bytes / 1e6:.0f} MB, then {end_bytes / 1e6:.0f} MB ({growth:+.1f} %)", bar,
                growth <= percent)
