"""The results of ``evaluate``: tables for the terminal, and a page with accuracy against modeled and measured cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...report.comparison_plot import CostPoint, comparison_png, comparison_svg
from ...report.fleet_page import failures_table
from ...report.page import Figure, KeyFigure, Page, write_page
from ...report.plots import Point, TradeoffPanel, tradeoff_png, tradeoff_svg
from ...report.tables import ABSENT, Column, Table, format_number, format_percent, make_table
from .settings import TRAINED, UNMASKED

Row = Mapping[str, Any]

ACCURACY, COUNTED, MODELLED, MEASURED = "accuracy", "counted", "modeled EDP gain", "measured CPU"


def _format_interval(ends: Sequence[float | None]) -> str:
    return f"{format_number(ends[0], 1)}..{format_number(ends[1], 1)}"


_whole, _tenths, _thousandths = (partial(format_number, digits=digits) for digits in (0, 1, 3))

_SETTING = Column("setting", "setting", is_text=True)
_MAP = Column("mAP@0.5", "map50", _tenths, ACCURACY)
_MAP_INTERVAL = Column("90 %", "map50_ci90", _format_interval, ACCURACY)
_DROP = Column("drop", "map50_drop", _tenths, ACCURACY)
_DELAY_P95 = Column("new: p95", ("new_object_delay_frames", "p95"), _whole, ACCURACY)
_COST = (
    Column("masked", "masked_share", format_percent, COUNTED),
    Column("synops gain", "synops_gain", format_number, COUNTED),
    Column("MACs", "mac_share", "{:.1%}", COUNTED),
    Column("even", ("edp_gain_modelled", "even"), format_number, MODELLED),
    Column("rows, low", ("edp_gain_modelled", "rows_low"), format_number, MODELLED),
    Column("rows, high", ("edp_gain_modelled", "rows_high"), format_number, MODELLED),
    Column("ms median", "cpu_ms_median", format_number, MEASURED),
    Column("ms mean", "cpu_ms_mean", format_number, MEASURED),
    Column("ms p95", "cpu_ms_p95", format_number, MEASURED),
    Column("gain", "cpu_gain", format_number, MEASURED),
    Column("mask ms", "mask_ms_mean", _thousandths, MEASURED),
)

_NETWORK = (Column("network", "network", is_text=True), Column("backend", "backend", is_text=True))

SEQUENCE_COLUMNS = (_SETTING, _MAP, _MAP_INTERVAL, _DROP, _DELAY_P95, *_COST)
SEQUENCE_PAGE_COLUMNS = (
    _SETTING, _MAP, _MAP_INTERVAL, _DROP, Column("90 % of drop", "map50_drop_ci90", _format_interval, ACCURACY),
    Column("new: median", ("new_object_delay_frames", "median"), _whole, ACCURACY), _DELAY_P95, *_COST,
)
SUMMARY_COLUMNS = (
    _SETTING, _MAP, Column("mean drop", "map50_drop_mean", format_number, ACCURACY),
    Column("90 % of drop", "map50_drop_ci90", _format_interval, ACCURACY),
    Column("worst", "map50_drop_worst", _tenths, ACCURACY),
    *(column for column in _COST if column.key != "cpu_ms_median"),
)
COMPARISON_COLUMNS = (
    *_NETWORK, _SETTING, _MAP, Column("mean drop", "map50_drop_mean", _tenths, ACCURACY),
    Column("worst", "map50_drop_worst", _tenths, ACCURACY),
    *(column for column in _COST
      if column.key in ("masked_share", "mac_share", "cpu_ms_mean", "cpu_ms_p95", "cpu_gain")),
)
SHIFT_COLUMNS = (
    _SETTING,
    *(Column(name, ("moved_view", span, key), form, span)
      for span in ("before", "settling", "after")
      for name, key, form in (
          ("mAP@0.5", "map50", _tenths), ("of unmasked", "of_unmasked", format_percent),
          ("masked", "masked_share", format_percent),
      )),
)

NOTES = {
    COUNTED: "Without the first frame of a run: it sends everything. MACs: share of the dense network's that the tile "
             "engine did.",
    MODELLED: "A model of Loihi 2, not a measurement. even: synops are spread evenly over the cores of a layer; rows: "
              "output rows are assigned to cores; the smaller and the larger gain of a free synop and one of 24 pJ.",
    MEASURED: "Processor time of the process per frame, all its threads. gain: ratio of mean times.",
}
DELAY_NOTE = "new: number of frames by which new objects are found later than in the unmasked run."


def sequence_table(rows: Sequence[Row]) -> Table:
    """Makes the table of one sequence.

    Args:
        rows: The rows of the sequence, one for each setting.

    Returns:
        The table.
    """
    first = rows[0]
    frames = f"{first['frames']} frames from frame {first['first_frame']} on"
    about = f"{first['sequence']}, {first['network']} on {first['backend']}, {first['input_size']}, {frames}"
    return make_table(about, SEQUENCE_COLUMNS, rows)


def shift_table(rows: Sequence[Row]) -> Table:
    """Makes the table of accuracy and masked share before and after the view of a sequence moves.

    Args:
        rows: The rows of one sequence, with ``moved_view``.

    Returns:
        The table.
    """
    moved = rows[0]["moved_view"]
    caption = (f"{rows[0]['sequence']}: the view moves by {format_percent(moved['share'])} of its width with frame "
               f"{moved['frame']}; settling: the {moved['settling_frames']} frames from there on")
    return make_table(caption, SHIFT_COLUMNS, rows,
                      "Both views are cut from the images of the sequence; its labels move with them.")


def summary_table(summary: Sequence[Row]) -> Table:
    """Makes the table of the means over all sequences.

    Args:
        summary: One row for each setting.

    Returns:
        The table.
    """
    about = f"{_count(summary[0])}, {summary[0]['network']}: means, geometric for gains"
    return make_table(about, SUMMARY_COLUMNS, summary)


def comparison_table(summary: Sequence[Row]) -> Table:
    """Makes the table that compares networks.

    Args:
        summary: One row for each network and setting.

    Returns:
        The table.
    """
    about = f"Networks on {_count(summary[0])}: means, geometric for gains; each network against its own unmasked run"
    return make_table(about, COMPARISON_COLUMNS, summary)


def _count(row: Row) -> str:
    return f"{row['sequences']} sequence{'s' * (row['sequences'] > 1)}"


EDP_LABEL = "gain in modeled energy-delay product (Loihi 2 model, synops spread evenly)"
CPU_LABEL = "gain in measured processor time"

PUBLISHED = Point("Sarkar et al. 2025 (published)", 1.65, 1.09, 1.09, 1.09, is_published=True)
"""What arXiv 2503.16775 reports for about 60 % of regions masked: another network, other videos, measured hardware."""

DEFAULT_SETTING = "balanced"

MAX_PANELS = 10
"""Sequences that get a panel of their own; more would be too small to read."""


@dataclass(frozen=True)
class PagePaths:
    """Where the page and its two figures are written.

    Attributes:
        page: HTML file.
        cpu: PNG file, loss of accuracy against the gain in measured processor time.
        ms: PNG file, accuracy against the measured processor time, all networks together.
        edp: PNG file, loss of accuracy against the modeled energy-delay product; "" where the model applies to none of
            the networks.
    """

    page: str
    cpu: str
    ms: str
    edp: str


def write_tradeoff_page(paths: PagePaths, result: Mapping[str, Any], command: str, version: str) -> None:
    """Writes the page and its figures.

    Args:
        paths: Where to write.
        result: What ``--json`` writes, with ``rows`` and ``summary``.
        command: Command line that gives the same result again.
        version: Version of this package.
    """
    rows, summary = result["rows"], result["summary"]
    cpu, costs = _panels(result, lambda row: row["cpu_gain"]), _cost_points(summary)
    Path(paths.cpu).write_bytes(tradeoff_png(cpu, CPU_LABEL))
    Path(paths.ms).write_bytes(comparison_png(costs))
    figures = [
        Figure("mAP against measured processor time, mean over the sequences (left and up is better; dashed: plain "
               "frame skipping)", comparison_svg(costs, "ms")),
        *(Figure(_about_panel("mAP lost against the gain in measured processor time", panel),
                 tradeoff_svg(panel.points, CPU_LABEL, f"cpu{place}"))
          for place, panel in enumerate(_means(cpu, summary)))]
    if paths.edp:
        edp = _panels(result, lambda row: row["edp_gain_modelled"]["even"], (PUBLISHED,))
        Path(paths.edp).write_bytes(tradeoff_png(edp, EDP_LABEL))
        figures += [
            Figure(_about_panel("mAP lost against modeled energy-delay product", panel) + "; star: published result of "
                   "the paper", tradeoff_svg(panel.points, EDP_LABEL, f"edp{place}"))
            for place, panel in enumerate(_means(edp, summary))]
    write_page(paths.page, Page(
        "Masks: accuracy against cost", _introduce(result), key_figures=_key_figures(summary), figures=tuple(figures),
        figures_heading="Accuracy against cost",
        tables=(*failures_table(result.get("failures", ())), *_page_tables(rows, summary)), command=command,
        version=version))


def _key_figures(summary: Sequence[Row]) -> tuple[KeyFigure, ...]:
    """What masks save and cost with the setting that most people use, or else the first one with masks."""
    masked = [row for row in summary if not _is_baseline(row["setting"]) and row["masked_share"]]
    if not masked:
        return ()
    row = next((row for row in masked if row["setting"] == DEFAULT_SETTING), masked[0])
    several = len(_distinct(summary, "network")) > 1
    about = f"{row['setting']}{' with ' + row['network'] if several else ''}, mean over {_count(row)}"
    gain = row["cpu_gain"]
    synops = "" if row["synops_gain"] is None else f"; synops, counted: {row['synops_gain']:.2f} times fewer"
    if row["mac_share"] is not None:
        synops = f"; MACs, counted: {row['mac_share']:.1%} of the dense network's"
    drop, ends = row["map50_drop_mean"], row["map50_drop_ci90"]
    return (
        KeyFigure("Saved by masks", ABSENT if gain is None else f"{gain:.2f} times as fast",
                  f"processor time, measured{synops}; {about}"),
        KeyFigure("Lost by masks", ABSENT if drop is None else f"{drop + 0.0:.1f} points",
                  f"of mAP@0.5 against the unmasked run (90 %: {_format_interval(ends)}); less than 0 is a gain"),
        KeyFigure("Time of a frame", f"{format_number(row['cpu_ms_mean'], 1)} ms",
                  "processor time, measured, mean; without decoding of the video"))


def _introduce(result: Mapping[str, Any]) -> str:
    rows, summary = result["rows"], result["summary"]
    names, settings = _distinct(rows, "sequence"), _distinct(rows, "setting")
    text = (
        f"{len(settings)} settings on {len(names)} sequences: {', '.join(names)}. The first "
        f"{100 * result['calibration_share']:.0f} % of each sequence were for learning, the rest is scored. Drops and "
        "gains refer to the unmasked run of the same network, with trained thresholds. Bars and intervals hold 90 %, "
        "by block bootstrap: one point of mAP is within the noise of a short sequence.")
    others = [name for name in _distinct(summary, "network") if not _is_modeled(summary, name)]
    tiled = _distinct([row for row in summary if row["mac_share"] is not None], "network")
    dense = [name for name in others if name not in tiled]
    if dense:
        text += f" {', '.join(dense)}: computed by a dense runtime, on whole images or windows, without events."
    if tiled:
        text += (f" {', '.join(tiled)}: computed by the tile engine, which counts multiply-accumulate operations "
                 "(MACs) in place of synops.")
    return text if not others else (
        f"{text} The model of Loihi 2 does not apply to {', '.join(others)}: plots of the modeled energy-delay product "
        "leave it out.")


def _is_modeled(rows: Sequence[Row], network: str) -> bool:
    return any(row["edp_gain_modelled"]["even"] is not None for row in rows if row["network"] == network)


def _page_tables(rows: Sequence[Row], summary: Sequence[Row]) -> list[Table]:
    networks, names = _distinct(summary, "network"), _distinct(rows, "sequence")
    tables = []
    if len(networks) > 1:
        tables = _split_by_group("All networks", COMPARISON_COLUMNS, summary, titles=(*_NETWORK, _SETTING))
    for network in networks:
        about = f"{network}, " if len(networks) > 1 else ""
        mine = [row for row in summary if row["network"] == network]
        tables += _split_by_group(f"{about}all sequences", SUMMARY_COLUMNS, mine)
        for name in names:
            members = [row for row in rows if (row["sequence"], row["network"]) == (name, network)]
            if "moved_view" in members[0]:
                tables.append(shift_table(members))
            caption = f"{about}{name}, {members[0]['input_size']}, {members[0]['frames']} frames"
            tables += _split_by_group(caption, SEQUENCE_PAGE_COLUMNS, members, {ACCURACY: DELAY_NOTE})
    return tables


def _distinct(rows: Sequence[Row], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _split_by_group(caption: str, columns: Sequence[Column], rows: Sequence[Row],
                    notes: Mapping[str, str] | None = None, titles: Sequence[Column] = (_SETTING,)) -> list[Table]:
    """One table for each group that has a value: scored, counted, modeled and measured ones never share a table."""
    notes, tables = {**NOTES, **(notes or {})}, []
    for group in dict.fromkeys(column.group for column in columns if column.group):
        members = [replace(column, group="") for column in columns if column.group == group]
        if any(column.format_cell(row) != ABSENT for column in members for row in rows):
            tables.append(make_table(f"{caption}: {group}", (*titles, *members), rows, notes.get(group, "")))
    return tables


Gain = Callable[[Row], "float | None"]


def _panels(result: Mapping[str, Any], gain: Gain, published: Sequence[Point] = ()) -> list[TradeoffPanel]:
    """The means over all sequences of each network; then, of a single network, each sequence by itself."""
    names, networks = _distinct(result["rows"], "sequence"), _distinct(result["summary"], "network")
    panels = []
    for network in networks:
        points = _points([row for row in result["summary"] if row["network"] == network], gain, "map50_drop_mean")
        if points:
            mean = "mean over the sequences" if len(names) > 1 else names[0]
            title = f"{network}, {mean}" if len(networks) > 1 else mean
            panels.append(TradeoffPanel(title, [*points, *published]))
    for name in names if len(networks) == 1 and 1 < len(names) <= MAX_PANELS else ():
        rows = [row for row in result["rows"] if row["sequence"] == name]
        panels.append(TradeoffPanel(name, _points(rows, gain, "map50_drop")))
    return panels


def _means(panels: Sequence[TradeoffPanel], summary: Sequence[Row]) -> Sequence[TradeoffPanel]:
    """The panels that the page shows."""
    return panels[:1] if len(_distinct(summary, "network")) == 1 else panels


def _about_panel(text: str, panel: TradeoffPanel) -> str:
    return f"{text}, {panel.title} (right and up is better; dashed: plain frame skipping)"


def _cost_points(summary: Sequence[Row]) -> list[CostPoint]:
    return [
        CostPoint(row["network"], row["setting"], row["cpu_ms_mean"], row["map50"], _is_baseline(row["setting"]))
        for row in summary if row["cpu_ms_mean"] and row["map50"] is not None]


def _points(rows: Sequence[Row], gain: Gain, drop: str) -> list[Point]:
    """One point for each row that has a gain and a drop. drop: key of the drop."""
    points = []
    for row in rows:
        value = gain(row)
        if value is not None and row[drop] is not None:
            points.append(_point(row["setting"], value, row[drop], row["map50_drop_ci90"]))
    return points


def _point(name: str, gain: float, drop: float, interval: Sequence[float]) -> Point:
    """Settings that differ only in the target share of masked regions are a family."""
    base, at, share = name.partition("@")
    family = base + "".join(share.partition(":")[1:]) if at else ""
    return Point(name, gain, drop, interval[0], interval[1], family=family, is_baseline=_is_baseline(name))


def _is_baseline(name: str) -> bool:
    return name.startswith("skip") or name.removesuffix(TRAINED) == UNMASKED
