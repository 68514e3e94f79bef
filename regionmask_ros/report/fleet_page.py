"""The pages of commands with many sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .page import EmbeddedImage, Gallery, KeyFigure, Page
from .tables import Column, Table, format_number, make_table

MOST_ROWS = 2000
"""Sources that the page shows, at most; the summary in JSON has all."""

_SOURCES = (
    Column("name", "name", is_text=True), Column("camera", "camera", is_text=True),
    Column("frames", "frames", "{:,}", "counted"), Column("detections", "detections", "{:,}", "counted"),
    Column("masked", "masked_share", "{:.1%}", "counted"),
    Column("dropped pictures", "dropped_images", "{:,}", "counted"),
    Column("CPU time, s", "cpu_s", lambda value: format_number(value, 1), "measured"),
)
_CAMERAS = (
    Column("camera", "camera", is_text=True), Column("input", "input_size", is_text=True),
    Column("units", "units", "{:,}"), Column("frames", "frames", "{:,}"),
    Column("kept regions", "kept_share", "{:.1%}"), Column("file", "mask", is_text=True),
)
_FAILURES = (Column("source", "source", is_text=True), Column("why", "why", is_text=True))


def run_key_figures(summary: Mapping[str, Any]) -> tuple[KeyFigure, ...]:
    """The figures that matter of a run over many sources.

    Args:
        summary: What ``summary.json`` holds.

    Returns:
        Three figures.
    """
    total = summary["total"]
    failed = f"{total['failed']:,} failed" if total["failed"] else "none failed"
    ms = total["cpu_ms_per_frame"]
    return (
        KeyFigure("Done", f"{len(summary['sources']):,} sources", f"{total['hours_of_video']:.2f} hours, "
                  f"{total['frames']:,} frames; {failed}"),
        KeyFigure("Masked", f"{100.0 * total['masked_share']:.0f} %",
                  f"of the regions, on average; {total['detections']:,} detections"),
        KeyFigure("CPU time of a frame", "-" if ms is None else f"{ms:.1f} ms",
                  "of one core, with decoding, measured over all workers"))


def failures_table(failures: Sequence[Mapping[str, str]]) -> tuple[Table, ...]:
    """The sources that failed; no table where none did."""
    return (make_table("Failed", _FAILURES, failures),) if failures else ()


def fleet_page(summary: Mapping[str, Any], images: Sequence[EmbeddedImage], command: str, version: str) -> Page:
    """The page of a run over many sources.

    Args:
        summary: What ``summary.json`` holds.
        images: The masks of the cameras.
        command: Command line that gives the same result again.
        version: Version of this package.

    Returns:
        The page.
    """
    sources = summary["sources"]
    more = f"The first {MOST_ROWS:,} of {len(sources):,}; summary.json has all." if len(sources) > MOST_ROWS else ""
    about = ("Made of what this run has found, with its masks: a first guess. calibrate --by-camera makes masks from "
             "unmasked runs.")
    return Page(
        f"{len(sources):,} sources: objects and masks",
        f"The detections of each source are in the folder detections, and a static mask for each camera in masks. "
        f"Mask: {summary['mask']}. Done by {summary['place']}.",
        key_figures=run_key_figures(summary),
        galleries=(Gallery("A static mask for each camera", tuple(images), about),) if images else (),
        tables=(
            *failures_table(summary["failures"]),
            make_table("Cameras", _CAMERAS, summary["cameras"]),
            make_table("Sources", _SOURCES, sources[:MOST_ROWS], more),
        ),
        command=command, version=version)
