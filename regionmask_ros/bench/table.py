"""Rows as text: what was measured and what was counted, in groups of their own."""

from __future__ import annotations

import os
from typing import Sequence


def table(rows: Sequence[dict]) -> str:
    """The rows of one sequence."""
    first = rows[0]
    peers = sorted({name for row in rows for name in row["ratio_to"]})
    heads = ("engine", "setting", "path", "threads", "median", "p10", "p90", "M synops", "k events", "head RMS", *peers)
    body = [_cells(row, peers) for row in rows]
    widths = [max(len(line[column]) for line in (heads, *body)) for column in range(len(heads))]
    groups = (("", 4), ("measured, CPU ms", 3), ("counted, a frame", 2), ("", 1), ("times as fast as", len(peers)))
    lines = [_group_line(groups, widths), _line(heads, widths), *(_line(line, widths) for line in body)]
    calibrations = sorted({os.path.basename(row["calibration"]) for row in rows if row["calibration"]})
    note = f"; int8 peers calibrated on {', '.join(calibrations)}" if calibrations else ""
    title = f"{os.path.basename(first['sequence'])}, {first['input_size']}, {first['frames']} frames{note}"
    return "\n".join([title, *lines])


def _cells(row: dict, peers: Sequence[str]) -> tuple[str, ...]:
    counted = row["synops_per_frame"] is not None
    ratios = (f"{row['ratio_to'][name]:.2f}" if name in row["ratio_to"] else "-" for name in peers)
    return (
        row["engine"], row["setting"], row["path"], str(row["threads"]),
        *(f"{row[name]:.2f}" for name in ("median_ms", "p10_ms", "p90_ms")),
        f"{row['synops_per_frame'] / 1e6:.1f}" if counted else "-",
        f"{row['events_per_frame'] / 1e3:.1f}" if counted else "-",
        "-" if row["head_rms"] is None else f"{row['head_rms']:.3f}", *ratios,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:3], widths)]
    right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:])]
    return "  ".join(left + right).rstrip()


def _group_line(groups: Sequence[tuple[str, int]], widths: Sequence[int]) -> str:
    """Names above the columns that they stand for."""
    parts, at = [], 0
    for name, columns in groups:
        if columns:
            width = sum(widths[at:at + columns]) + 2 * (columns - 1)
            parts.append(name.center(width))
            at += columns
    return "  ".join(parts).rstrip()
