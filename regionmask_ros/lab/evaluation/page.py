"""The page of ``evaluate``: accuracy against modelled and against measured cost, and the tables behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...report.page import Figure, Table, write_report
from ...report.plots import Point, TradeoffPanel, tradeoff_png, tradeoff_svg
from .settings import TRAINED, UNMASKED
from .table import SPANS, figure, percent, shift_title, span

EDP_LABEL = "gain in modelled energy-delay product (Loihi 2 model, synops spread evenly)"
CPU_LABEL = "gain in measured processor time"
FIRST_FRAME_NOTE = "The first frame of a run sends everything and is left out of all but the accuracy."
MODEL_NOTE = (
    "A model of Loihi 2, not a measurement. even: synops spread evenly over a layer's cores; rows: output rows laid "
    "over cores, the smaller and the larger gain of a free synop and one of 24 pJ."
)

SEED = Point("Sarkar et al. 2025 (theirs)", 1.65, 1.09, 1.09, 1.09, theirs=True)
"""What arXiv 2503.16775 reports for about 60 % of regions masked: another network, other video, a chip that was
measured."""

MAX_PANELS = 10
"""Sequences that get a panel of their own; more would be too small to read."""


@dataclass(frozen=True)
class Pictures:
    """Where the page and the two figures are written."""

    page: str
    edp: str
    cpu: str


def write_tradeoff_page(paths: Pictures, result: Mapping[str, Any], command: str, version: str) -> None:
    """result: what ``--json`` writes, with ``rows`` and ``summary``."""
    summary = result["summary"]
    names = list(dict.fromkeys(row["sequence"] for row in result["rows"]))
    edp = _panels(result, names, lambda row: row["edp_gain_modelled"]["even"], (SEED,))
    cpu = _panels(result, names, lambda row: row["cpu_gain"])
    Path(paths.edp).write_bytes(tradeoff_png(edp, EDP_LABEL))
    Path(paths.cpu).write_bytes(tradeoff_png(cpu, CPU_LABEL))
    intro = (
        f"{len(summary)} settings on {len(names)} sequences: {', '.join(names)}. The first "
        f"{100 * result['calibration_share']:.0f} % of each sequence were for learning, the rest is scored. Drops and "
        "gains refer to the unmasked run with trained thresholds. Bars and intervals hold 90 %, by block bootstrap: "
        "one point of mAP is within the noise of a short sequence."
    )
    write_report(
        paths.page, "Masks: accuracy against cost", intro,
        tables=[*_tables("All sequences", summary, _summary_accuracy), *_sequence_tables(result["rows"], names)],
        figures=[
            Figure("mAP against modelled energy-delay product, mean over the sequences (right and up is better; "
                   "dashed: plain frame skipping; star: what the paper reports of its own)",
                   tradeoff_svg(edp[0].points, EDP_LABEL, "edp")),
            Figure("mAP against measured processor time, mean over the sequences",
                   tradeoff_svg(cpu[0].points, CPU_LABEL, "cpu")),
        ],
        command=command, version=version, figures_heading="Accuracy against cost",
    )


Gain = Callable[[Mapping[str, Any]], "float | None"]


def _panels(result: Mapping[str, Any], names: Sequence[str], gain: Gain, theirs: Sequence[Point] = ()) -> list[TradeoffPanel]:
    """All sequences together, and each by itself."""
    mean = [
        _point(row, gain(row), row["map50_drop_mean"], row["map50_drop_ci90"]) for row in result["summary"]
        if gain(row) is not None and row["map50_drop_mean"] is not None
    ]
    panels = [TradeoffPanel("mean over the sequences" if len(names) > 1 else names[0], [*mean, *theirs])]
    for name in names if 1 < len(names) <= MAX_PANELS else ():
        panels.append(TradeoffPanel(name, [
            _point(row, gain(row), row["map50_drop"], row["map50_drop_ci90"]) for row in result["rows"]
            if row["sequence"] == name and gain(row) is not None and row["map50_drop"] is not None
        ]))
    return panels


def _point(row: Mapping[str, Any], gain: float, drop: float, interval: Sequence[float]) -> Point:
    """Settings that differ in nothing but the wanted masked share are a family."""
    name = row["setting"]
    base, at, share = name.partition("@")
    family = base + "".join(share.partition(":")[1:]) if at else ""
    rival = name.startswith("skip") or name.removesuffix(TRAINED) == UNMASKED
    return Point(name, gain, drop, *interval, family=family, rival=rival)


def _sequence_tables(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Table]:
    tables = []
    for name in names:
        mine = [row for row in rows if row["sequence"] == name]
        if "moved_view" in mine[0]:
            tables.append(_moved(mine))
        tables += _tables(f"{name}, {mine[0]['input_size']}, {mine[0]['frames']} frames", mine, _row_accuracy)
    return tables


def _moved(rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("setting", *(f"{span}: {what}" for span in SPANS for what in ("mAP@0.5", "of unmasked")))
    body = tuple(
        (row["setting"], *(text for span in SPANS for text in _span_cells(row["moved_view"][span]))) for row in rows)
    return Table(f"{shift_title(rows)}: accuracy", columns, body,
                 "Both views are cut from the pictures of the sequence; its labels move with them.")


def _span_cells(one: Mapping[str, float | None]) -> tuple[str, str]:
    return figure(one["map50"], 1), percent(one["of_unmasked"])


def _tables(caption: str, rows: Sequence[Mapping[str, Any]], accuracy: Callable[[str, Sequence], Table]) -> list[Table]:
    """Four tables: what was scored, counted, modelled and measured never shares one."""
    def table(kind: str, columns: tuple[str, ...], cells: Callable, note: str = "") -> Table:
        body = tuple((row["setting"], *cells(row)) for row in rows)
        return Table(f"{caption}: {kind}", ("setting", *columns), body, note)

    return [
        accuracy(caption, rows),
        table("counted", ("masked", "synops gain"),
              lambda row: (percent(row["masked_share"]), figure(row["synops_gain"])), FIRST_FRAME_NOTE),
        table("modelled EDP gain", ("even", "rows, low", "rows, high"),
              lambda row: tuple(figure(row["edp_gain_modelled"][k]) for k in ("even", "rows_low", "rows_high")),
              MODEL_NOTE),
        table("measured processor time", ("gain", "mask, ms a frame"),
              lambda row: (figure(row["cpu_gain"]), figure(row["mask_ms_mean"], 3)),
              "Ratio of mean times, one thread."),
    ]


def _summary_accuracy(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    body = tuple(
        (r["setting"], figure(r["map50"], 1), figure(r["map50_drop_mean"]), span(r["map50_drop_ci90"]),
         figure(r["map50_drop_worst"], 1)) for r in rows)
    return Table(f"{caption}: accuracy", ("setting", "mAP@0.5", "drop", "90 %", "worst"), body)


def _row_accuracy(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    body = tuple(
        (r["setting"], figure(r["map50"], 1), span(r["map50_ci90"]), figure(r["map50_drop"], 1),
         span(r["map50_drop_ci90"]), figure(r["new_object_delay_frames"]["median"], 0),
         figure(r["new_object_delay_frames"]["p95"], 0)) for r in rows)
    columns = ("setting", "mAP@0.5", "90 %", "drop", "90 %", "new: median", "new: p95")
    return Table(f"{caption}: accuracy", columns, body, "new: frames that new objects are found later than unmasked.")
