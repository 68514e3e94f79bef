"""The page of ``run``: its figures, tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.result import StepCounts, StepResult, TileTotals
from .against import SAVED_UNITS, TRUTH_NOTE, Comparison
from .page import EmbeddedImage, EmbeddedVideo, Figure, Gallery, KeyFigure, Page
from .plots import Panel, per_frame_svg
from .tables import Table
from .video_file import read_start

FIRST_FRAME_NOTE = "Without the first frame: it sends everything, whatever the mask."
SIDES = ("masked", "unmasked")

STAGES = ("total", "resize", "mask", "encode", "engine", "decode")
"""The stages of a frame that are timed; ``total`` is the whole frame."""


@dataclass(frozen=True)
class FrameRecord:
    """One processed frame.

    Attributes:
        index: Number of the frame, from 0.
        stamp_ns: Time stamp in nanoseconds.
        refresh: Whether it is a refresh frame.
        masked_share: Share of the regions that are masked, 0 to 1.
        detections: Number of detections.
        counts: Events and synaptic operations; None for an ONNX network.
        ms: Wall time of each of ``STAGES``.
        tiles: What the tile engine did; None where another backend computes.
    """

    index: int
    stamp_ns: int
    refresh: bool
    masked_share: float
    detections: int
    counts: StepCounts | None
    ms: Mapping[str, float]
    tiles: TileTotals | None = None


def record_of(result: StepResult) -> FrameRecord:
    """What is kept of a result."""
    mask = result.mask
    return FrameRecord(result.index, result.frame.stamp_ns, mask.refresh, mask.masked_share, len(result.detections),
                       result.counts, result.ms, result.tile_counts.totals if result.tile_counts else None)


def summarize(records: Sequence[FrameRecord]) -> dict[str, Any]:
    """Summarizes a run.

    Args:
        records: One for each frame.

    Returns:
        Values for JSON. Means and percentiles are over all frames but the first, refresh frames included: the first
        frame is never masked, and its time includes opening. A run of one frame is described by that frame.
        ``detections`` is the number over all frames; ``events_per_frame`` includes the encoder and all layers. Events
        and synops are None for an ONNX network. ``mac_share`` (of the dense network's operations), MACs, tiles and
        moved bytes are the tile engine's, None elsewhere.
    """
    steady = records[1:] or records
    counted = [record.counts for record in steady if record.counts is not None]
    tiled = [record.tiles for record in steady if record.tiles is not None]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else 0.0

    def spread(values: Sequence[float]) -> dict[str, float]:
        median, p90 = np.percentile(values, [50, 90]) if values else (0.0, 0.0)
        return {"median": round(float(median), 4), "p90": round(float(p90), 4), "mean": round(mean(values), 4)}

    return {
        "frames": len(records),
        "masked_share": mean([r.masked_share for r in steady]),
        "detections": sum(r.detections for r in records),
        "events_per_frame": mean([counts.events for counts in counted]) if counted else None,
        "encoder_events_per_frame": mean([counts.encoder_events for counts in counted]) if counted else None,
        "synops_per_frame": mean([counts.total_synops for counts in counted]) if counted else None,
        "mac_share": mean([tiles.mac_share for tiles in tiled]) if tiled else None,
        "macs_per_frame": mean([tiles.macs for tiles in tiled]) if tiled else None,
        "tiles_per_frame": mean([tiles.tiles for tiles in tiled]) if tiled else None,
        "moved_bytes_per_frame": mean([tiles.moved_bytes for tiles in tiled]) if tiled else None,
        "ms": {stage: spread([r.ms[stage] for r in steady]) for stage in STAGES},
    }


def summary_tables(summary: Mapping[str, Any]) -> list[Table]:
    """Lays the summary of a run out; measured and counted values never share a table.

    Args:
        summary: What ``--json`` writes. Used keys: bag (with missing_messages), network, input_size, mask,
            refresh_period, backend, arithmetic, thresholds, frames, detections, masked_share, events_per_frame,
            synops_per_frame, mac_share, macs_per_frame, tiles_per_frame, moved_bytes_per_frame and ms (by stage, each
            with median and p90). A missing key leaves its row out.

    Returns:
        Settings, counted and measured values; a table without rows is left out.
    """
    period, share = summary.get("refresh_period"), summary.get("masked_share")
    settings = _rows(
        ("network", summary.get("network"), "{}"),
        ("network input", summary.get("input_size"), "{}"),
        ("mask", summary.get("mask"), "{}"),
        ("refresh frames", period, "every {}" if period else "first frame only"),
        ("backend", summary.get("backend"), "{}"),
        ("arithmetic", summary.get("arithmetic"), "{}"),
        ("thresholds", summary.get("thresholds"), "{}"),
    )
    missing = summary.get("bag", {}).get("missing_messages")
    counted = _rows(("frames", summary.get("frames"), "{:,}"), ("images missing in the bag", missing or None, "{:,}"),
                    ("detections", summary.get("detections"), "{:,}"),
                    ("masked share", None if share is None else 100.0 * share, "{:.1f} %"),
                    ("events per frame", summary.get("events_per_frame"), "{:,.0f}"),
                    ("synops per frame", summary.get("synops_per_frame"), "{:,.0f}"),
                    ("share of the dense MACs", summary.get("mac_share"), "{:.1%}"),
                    ("MACs per frame", summary.get("macs_per_frame"), "{:,.0f}"),
                    ("active tiles per frame, all layers", summary.get("tiles_per_frame"), "{:,.0f}"),
                    ("bytes moved per frame", summary.get("moved_bytes_per_frame"), "{:,.0f}"))
    ms = summary.get("ms", {})
    measured = tuple(
        (stage, f"{ms[stage]['median']:.2f}", f"{ms[stage]['p90']:.2f}") for stage in STAGES if stage in ms)
    tables = (
        Table("Settings", ("setting", "value"), settings),
        Table("Counted", ("quantity", "value"), counted, FIRST_FRAME_NOTE),
        Table("Measured here, ms per frame", ("stage", "median", "90th percentile"), measured),
    )
    return [table for table in tables if table.rows]


def _rows(*rows: tuple[str, Any, str]) -> tuple[tuple[str, str], ...]:
    """Rows of name, value and format string; those without a value are left out."""
    return tuple((name, form.format(value)) for name, value, form in rows if value is not None)


def run_page(source: str, summary: Mapping[str, Any], records: Sequence[FrameRecord], video: EmbeddedVideo | None,
             comparison: Comparison | None = None, images: Sequence[EmbeddedImage] = (), command: str = "",
             version: str = "") -> Page:
    """Lays a run out.

    Args:
        source: Name of the video.
        summary: What ``--json`` writes.
        records: One for each frame.
        video: What is shown first.
        comparison: With the unmasked twin, if there is one.
        images: Frames that stand for the run.
        command: Command line that gives the same result again.
        version: Version of this package.

    Returns:
        The page.
    """
    panels = (
        Panel("masked share, %", np.array([r.masked_share for r in records]), percent=True),
        *_count_panels(records),
        Panel("milliseconds per frame, measured", np.array([r.ms["total"] for r in records])),
    )
    plot = per_frame_svg(panels, np.array([r.refresh for r in records]))
    counted = [panel.title.partition(",")[0].removesuffix(" per frame") for panel in panels[1:-1]]
    return Page(
        f"{source}: objects and masks",
        f"{summary['detections']:,} detections in {summary['frames']:,} frames of {source}, with mask "
        f"{summary['mask']}. A masked region was not observed in that frame; the network kept its last values.",
        lead=video,
        key_figures=key_figures(summary),
        galleries=(*missed_gallery(comparison), *([Gallery("Images", tuple(images))] if images else [])),
        figures=(Figure(f"{', '.join(['Masked share', *counted])} and time of every frame", plot),),
        tables=tuple(summary_tables(summary)), command=command, version=version)


def key_figures(summary: Mapping[str, Any]) -> tuple[KeyFigure, ...]:
    """The figures that matter: what masks saved, what they cost, how long a frame took.

    Args:
        summary: What ``--json`` writes. Used keys: masked_share, detections, frames, ms (of total), mask, and against
            where the run has an unmasked twin.

    Returns:
        Three figures.
    """
    ms, twin = summary["ms"]["total"], summary.get("against")
    time = KeyFigure("Time of a frame", f"{ms['median']:.1f} ms", f"median, measured; 9 of 10 take at most "
                     f"{ms['p90']:.1f} ms" + (f"; unmasked: {twin['ms']['total']['median']:.1f} ms" if twin else ""))
    if not twin:
        ask = "" if summary["mask"] == "none" else "; --against none measures what that saved, and what it missed"
        return (
            KeyFigure("Masked", f"{100.0 * summary['masked_share']:.0f} %", f"of the regions, on average{ask}"),
            KeyFigure("Found", f"{summary['detections']:,}", f"detections in {summary['frames']:,} frames"),
            time)
    return saved_figure(twin, summary["masked_share"]), missed_figure(twin), time


def saved_figure(twin: Mapping[str, Any], masked_share: float | None) -> KeyFigure:
    """What masks saved.

    Args:
        twin: Of the summary; see `compare_runs`.
        masked_share: Share of the regions that are masked; None where it is not known.

    Returns:
        The figure.
    """
    share = twin["saved_share"]
    value = "-" if share is None else f"{100.0 * share:.0f} %"
    unit = SAVED_UNITS[twin["saved"]]
    regions = "" if masked_share is None else f" ({100.0 * masked_share:.0f} % of the regions masked)"
    return KeyFigure("Saved by masks", value, f"of the {unit}{regions}")


def missed_figure(twin: Mapping[str, Any]) -> KeyFigure:
    """What masks cost: the share of the twin's detections that the masked run does not have."""
    every = twin["found"] + twin["missed"]
    return KeyFigure("Missed by masks", f"{100.0 * twin['missed_share']:.1f} %",
                     f"{twin['missed']:,} of the {every:,} detections without masks; {twin['extra']:,} others are only "
                     "in the masked run")


def missed_gallery(comparison: Comparison | None) -> tuple[Gallery, ...]:
    """Thumbnails of what was missed, for a page.

    Args:
        comparison: With the unmasked twin, if there is one.

    Returns:
        One gallery, or none.
    """
    if comparison is None:
        return ()
    thumbnails = comparison.thumbnails()
    heading = "Missed: what was missed for the longest time" if thumbnails else "Missed: nothing"
    return (Gallery(heading, thumbnails, TRUTH_NOTE, is_small=True),)


def embed_video(path: str, sides: tuple[str, str] | None = None, name: str = "") -> EmbeddedVideo | None:
    """Reads a video for a page.

    Args:
        path: A file of `VideoWriter`.
        sides: Names of its halves; None for a video that is shown as it is.
        name: Name of the file that the caption points to.

    Returns:
        The video; None if it has no image.
    """
    mp4, seconds = read_start(path)
    what = "Move the edge: drag it, or press the arrow keys." if sides else "Observed regions are in color."
    rest = "" if seconds is None else f" The first {seconds:.0f} s; all of it is in {name}."
    return EmbeddedVideo(what + rest, mp4, sides) if mp4 else None


def _count_panels(records: Sequence[FrameRecord]) -> tuple[Panel, ...]:
    tiled = [record.tiles.mac_share for record in records if record.tiles is not None]
    if tiled and len(tiled) == len(records):
        return (Panel("MACs, % of the dense network's, counted", np.array(tiled), percent=True),)
    counted = [record.counts for record in records if record.counts is not None]
    if len(counted) < len(records):
        return ()
    return (Panel("events per frame, counted", np.array([counts.events for counts in counted]), counted=True),
            Panel("synops per frame, counted", np.array([counts.total_synops for counts in counted]), counted=True))
