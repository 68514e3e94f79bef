"""The result as a page in HTML, report.html."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...report.page import Figure, KeyFigure, Page
from ...report.plots import PAGE_COLORS, figure_svg
from ...report.tables import Table, format_number
from . import tables
from .baselines import BASELINES
from .candidates import EVENT, MASKED60, UNMASKED
from .page import (
    BY_SIZE,
    SECTIONS,
    WORST,
    describe_accuracy,
    describe_programs,
    make_tables,
    portable_command,
    shown_rows,
)
from .plots import PLOTS

HTML_PAGE = "report.html"

_INTRO = (
    "All engines compute the same network with the same weights, one image at a time, and take turns. A time is the "
    "processor time of the whole process, from the network's input to the output of the head.")

_CAPTIONS = {
    "performance_ratios.png": ("rows", "How many times as fast as each baseline"),
    "performance_size.png": ("scale", "Time against pixels"),
    "performance_synops.png": ("linearity", "Time against synops, every measured frame; hollow: masked"),
}
"""By plot: the section that must not be empty, and what it shows."""


def make_page(result: Mapping[str, Any]) -> Page:
    """Lays everything out that the JSON result holds.

    Args:
        result: The JSON result.

    Returns:
        The page.
    """
    machine = result["machine"]
    own = {color: color for color in PAGE_COLORS}
    figures = tuple(Figure(caption, figure_svg(PLOTS[name](result, own), name.partition(".")[0]))
                    for name, (section, caption) in _CAPTIONS.items()
                    if any(section != "rows" or row["ratio_to"] for row in result.get(section, ())))
    return Page(
        "Performance", f"Measured on {machine['cpu']}, {machine['cores']} cores. {_INTRO} {describe_programs(result)}",
        key_figures=_key_figures(result["rows"]), figures=figures, figures_heading="Plots",
        tables=tuple(_tables(result)), command=portable_command(result["command"]), version=result["version"])


def _key_figures(rows: tables.Rows) -> tuple[KeyFigure, ...]:
    """Of the first sequence and size: what masks save, the baselines, and the time of a frame."""
    ours = [row for row in rows if row["engine"] == EVENT]
    unmasked = next((row for row in ours if row["setting"] == UNMASKED), None)
    if unmasked is None:
        return ()
    place = {key: unmasked[key] for key in BY_SIZE}
    same = [row for row in ours if all(row[key] == value for key, value in place.items())]
    masked = next((row for row in same if row["setting"] == MASKED60), None)
    figures = []
    if masked:
        saved = 100.0 * (1.0 - masked["median_ms"] / unmasked["median_ms"])
        figures.append(KeyFigure("Saved by a mask", f"{saved:.0f} %", "of the processor time, measured, with 60 % of "
                                 "the regions masked, always the same ones"))
    ratios = {name: ratio for name, ratio in unmasked["ratio_to"].items() if name in BASELINES and ratio}
    if ratios:
        fastest = min(ratios, key=lambda name: ratios[name])
        figures.append(KeyFigure("Against dense runtimes", f"{ratios[fastest]:.2f} times as fast",
                                 f"as {fastest}, the fastest of them, unmasked, measured"))
    figures.append(KeyFigure(
        "Time of a frame", f"{format_number(unmasked['median_ms'])} ms",
        f"median of the event engine, unmasked, input {unmasked['input_size']}, one thread, measured"))
    return tuple(figures)


def _tables(result: Mapping[str, Any]) -> list[Table]:
    shown = shown_rows(result)
    made = _noted(make_tables(shown, "rows", tables.rows_table, BY_SIZE), describe_accuracy(result))
    made += _headed("First frames of turns", "", make_tables(shown, "rows", tables.cold_table, BY_SIZE))
    if any("worst_ms" in row for row in result["rows"]):
        made += _headed("Slowest frames", WORST, make_tables(shown, "rows", tables.worst_table, BY_SIZE))
    for heading, words, section, table, keys in SECTIONS:
        if shown.get(section):
            made += _headed(heading, words, make_tables(shown, section, table, keys))
    return made


def _headed(heading: str, words: str, made: list[Table]) -> list[Table]:
    """The tables of a section: each names it, and the last one has its text."""
    return _noted([replace(table, caption=f"{heading}: {table.caption}") for table in made], words)


def _noted(made: list[Table], words: str) -> list[Table]:
    """The tables, the last of them with a text."""
    return [*made[:-1], replace(made[-1], note=" ".join(words.replace("`", "").split()))]
