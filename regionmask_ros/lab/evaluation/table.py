"""Rows as text for a terminal: what was measured, counted and modelled stands in groups of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DASH = "-"


def figure(value: float | None, digits: int = 2) -> str:
    # Rounded first: what is shown as 0 has no sign.
    return DASH if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def span(ends: Sequence[float | None]) -> str:
    return f"{figure(ends[0], 1)}..{figure(ends[1], 1)}"


def percent(share: float | None) -> str:
    return DASH if share is None else f"{100 * share:.0f} %"


COUNTED = (
    ("counted", "masked", lambda row: percent(row["masked_share"])),
    ("counted", "synops gain", lambda row: figure(row["synops_gain"])),
)
MODELLED = tuple(
    ("modelled EDP gain", name, lambda row, kind=kind: figure(row["edp_gain_modelled"][kind]))
    for kind, name in (("even", "even"), ("rows_low", "rows, low"), ("rows_high", "rows, high"))
)
MEASURED_ROW = (
    ("measured CPU", "ms median", lambda row: figure(row["cpu_ms_median"])),
    ("measured CPU", "gain", lambda row: figure(row["cpu_gain"])),
    ("measured CPU", "mask ms", lambda row: figure(row["mask_ms_mean"], 3)),
)

SEQUENCE_COLUMNS = (
    ("", "setting", lambda row: row["setting"]),
    ("accuracy", "mAP@0.5", lambda row: figure(row["map50"], 1)),
    ("accuracy", "90 %", lambda row: span(row["map50_ci90"])),
    ("accuracy", "drop", lambda row: figure(row["map50_drop"], 1)),
    ("accuracy", "new p95", lambda row: figure(row["new_object_delay_frames"]["p95"], 0)),
    *COUNTED, *MODELLED, *MEASURED_ROW,
)
SUMMARY_COLUMNS = (
    ("", "setting", lambda row: row["setting"]),
    ("accuracy", "mAP@0.5", lambda row: figure(row["map50"], 1)),
    ("accuracy", "mean drop", lambda row: figure(row["map50_drop_mean"])),
    ("accuracy", "90 %", lambda row: span(row["map50_drop_ci90"])),
    ("accuracy", "worst", lambda row: figure(row["map50_drop_worst"], 1)),
    *COUNTED, *MODELLED, *MEASURED_ROW[1:],
)
SPANS = ("before", "settling", "after")
"""Of a sequence whose view moves, see ``rows.accuracy_after_shift``."""

_OF_A_SPAN = (
    ("mAP@0.5", lambda one: figure(one["map50"], 1)),
    ("of unmasked", lambda one: percent(one["of_unmasked"])),
    ("masked", lambda one: percent(one["masked_share"])),
)
MOVED_COLUMNS = (
    ("", "setting", lambda row: row["setting"]),
    *((span, name, lambda row, span=span, make=make: make(row["moved_view"][span]))
      for span in SPANS for name, make in _OF_A_SPAN),
)


def shift_title(rows: Sequence[Mapping[str, Any]]) -> str:
    moved = rows[0]["moved_view"]
    return (f"{rows[0]['sequence']}: the view moves by {percent(moved['share'])} of its width with frame "
            f"{moved['frame']}; settling: the {moved['settling_frames']} frames from there on")


def shift_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy and masked share before the view of a sequence moves, and after."""
    return f"{shift_title(rows)}\n{_table(MOVED_COLUMNS, rows)}"


def sequence_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of one sequence."""
    first = rows[0]
    title = f"{first['sequence']}, {first['input_size']}, {first['frames']} frames from frame {first['first_frame']} on"
    return f"{title}\n{_table(SEQUENCE_COLUMNS, rows)}"


def summary_table(summary: Sequence[Mapping[str, Any]]) -> str:
    """Means over all sequences."""
    title = f"{summary[0]['sequences']} sequences: means, geometric for gains"
    return f"{title}\n{_table(SUMMARY_COLUMNS, summary)}"


def _table(columns: Sequence, rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [[name for _, name, _ in columns], *([make(row) for _, _, make in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    groups = dict.fromkeys(group for group, _, _ in columns)
    head = []
    for group in groups:
        mine = [width for width, (other, _, _) in zip(widths, columns) if other == group]
        head.append(group.center(sum(mine) + 2 * (len(mine) - 1)))
    lines = ["  ".join(head)]
    for line in cells:
        lines.append("  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]))
    return "\n".join(line.rstrip() for line in lines)
