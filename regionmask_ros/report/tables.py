"""The summary of a run as tables: what was measured and what was counted never share one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..metrics.run_summary import STAGES
from .page import Table

FIRST_FRAME_NOTE = "Shares and figures a frame leave the first frame out: it sends everything, whatever the mask."


def summary_tables(summary: Mapping[str, Any]) -> list[Table]:
    """Tables from the mapping that ``--json`` writes.

    Uses frames, masked_share, detections, events_per_frame, synops_per_frame, ms (a mapping of stages, each with median
    and p90), input_size, network, backend, arithmetic, thresholds, mask and
    refresh_period. A key that is missing leaves its row
    out.
    """
    return [table for table in (_settings(summary), _counted(summary), _measured(summary)) if table.rows]


def _counted(summary: Mapping[str, Any]) -> Table:
    share = summary.get("masked_share")
    rows = [
        _row("frames", summary.get("frames"), "{:,}"),
        _row("detections", summary.get("detections"), "{:,}"),
        _row("masked share", None if share is None else 100.0 * share, "{:.1f} %"),
        _row("events a frame", summary.get("events_per_frame"), "{:,.0f}"),
        _row("synops a frame", summary.get("synops_per_frame"), "{:,.0f}"),
    ]
    return Table("Counted", ("quantity", "value"), tuple(row for row in rows if row), FIRST_FRAME_NOTE)


def _measured(summary: Mapping[str, Any]) -> Table:
    ms = summary.get("ms", {})
    rows = [
        (stage, f"{ms[stage]['median']:.2f}", f"{ms[stage]['p90']:.2f}")
        for stage in STAGES
        if stage in ms
    ]
    return Table("Measured here, ms a frame", ("stage", "median", "90th percentile"), tuple(rows))


def _settings(summary: Mapping[str, Any]) -> Table:
    period = summary.get("refresh_period")
    rows = [
        _row("network", summary.get("network"), "{}"),
        _row("network input", summary.get("input_size"), "{}"),
        _row("mask", summary.get("mask"), "{}"),
        _row("refresh frames", "first frame only" if period == 0 else period, "{}" if period == 0 else "every {}"),
        _row("backend", summary.get("backend"), "{}"),
        _row("arithmetic", summary.get("arithmetic"), "{}"),
        _row("thresholds", summary.get("thresholds"), "{}"),
    ]
    return Table("Settings", ("setting", "value"), tuple(row for row in rows if row))


def _row(name: str, value: Any, form: str) -> tuple[str, str] | None:
    return None if value is None else (name, form.format(value))
