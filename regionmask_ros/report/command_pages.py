"""The pages of ``run`` and ``calibrate``: their tables, and the few images that stand for the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..core.frame import Frame
from ..core.result import RegionMask, StepCounts
from ..mask.heat import CoverageLoss, LossCurve
from .loss_plot import loss_svg
from .overlay import draw_mask
from .page import EmbeddedImage, Figure, write_report
from .tables import Table

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
        counts: Events and synaptic operations; None for a dense network.
        ms: Wall time of each of ``STAGES``.
    """

    index: int
    stamp_ns: int
    refresh: bool
    masked_share: float
    detections: int
    counts: StepCounts | None
    ms: Mapping[str, float]


def summarize(records: Sequence[FrameRecord]) -> dict[str, Any]:
    """Summarizes a run.

    Args:
        records: One for each frame.

    Returns:
        Values for JSON. Means and percentiles are over all frames but the first, refresh frames included: the first
        frame is never masked, and its time includes opening. A run of one frame is described by that frame.
        ``detections`` is the number over all frames; ``events_per_frame`` includes the encoder and all layers. Events
        and synops are None for a dense network.
    """
    steady = records[1:] or records
    counted = [record.counts for record in steady if record.counts is not None]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else 0.0

    def spread(values: Sequence[float]) -> dict[str, float]:
        median, p90 = np.percentile(values, [50, 90]) if values else (0.0, 0.0)
        return {"median": round(float(median), 4), "p90": round(float(p90), 4)}

    return {
        "frames": len(records),
        "masked_share": mean([r.masked_share for r in steady]),
        "detections": sum(r.detections for r in records),
        "events_per_frame": mean([counts.events for counts in counted]) if counted else None,
        "encoder_events_per_frame": mean([counts.encoder_events for counts in counted]) if counted else None,
        "synops_per_frame": mean([counts.total_synops for counts in counted]) if counted else None,
        "ms": {stage: spread([r.ms[stage] for r in steady]) for stage in STAGES},
    }


FIRST_FRAME_NOTE = "Without the first frame: it sends everything, whatever the mask."
MAX_WIDTH = 960
JPEG_QUALITY = 85


def summary_tables(summary: Mapping[str, Any]) -> list[Table]:
    """Lays the summary of a run out; measured and counted values never share a table.

    Args:
        summary: What ``--json`` writes. Used keys: bag (with missing_messages), network, input_size, mask,
            refresh_period, backend, arithmetic, thresholds, frames, detections, masked_share, events_per_frame,
            synops_per_frame and ms (by stage, each with median and p90). A missing key leaves its row out.

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
                    ("synops per frame", summary.get("synops_per_frame"), "{:,.0f}"))
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


@dataclass(frozen=True)
class _Sample:
    window: int
    rank: float
    image: EmbeddedImage


class ImageSampler:
    """Chooses a few images of a run of unknown length, spread over it.

    The run so far is cut into windows of equal length, and each window keeps its frame of the highest rank. When there
    are too many windows, neighbors merge. So the choice cannot fall into step with a period of the run, such as
    refresh frames. At most ``2 * count`` images are in memory.

    Args:
        count: Number of images wanted.
    """

    def __init__(self, count: int = 6) -> None:
        self._count = count
        self._span = 1
        self._samples: list[_Sample] = []

    def wants(self, index: int, rank: float) -> bool:
        """Tells whether a frame would be kept, so that its image is drawn only if it is needed.

        Args:
            index: Number of the frame, higher than all before.
            rank: How well the frame shows the run.

        Returns:
            True if `add` would keep it.
        """
        last = self._samples[-1] if self._samples else None
        return last is None or last.window != index // self._span or rank > last.rank

    def add(self, index: int, rank: float, caption: str, image: np.ndarray) -> None:
        """Keeps a frame if it is wanted.

        Args:
            index: Number of the frame, as for `wants`.
            rank: How well the frame shows the run.
            caption: Text below the image.
            image: uint8 [height, width, 3], BGR.
        """
        if not self.wants(index, rank):
            return
        window = index // self._span
        if self._samples and self._samples[-1].window == window:
            self._samples.pop()
        self._samples.append(_Sample(window, rank, EmbeddedImage(caption, encode_jpeg(image))))
        if len(self._samples) > 2 * self._count:
            self._merge_windows()

    def images(self) -> list[EmbeddedImage]:
        """Returns at most ``count`` images in order of time: those of the best ranks, evenly spread."""
        wanted = min(self._count, len(self._samples))
        lowest = sorted(sample.rank for sample in self._samples)[-wanted:][:1]
        good = [sample.image for sample in self._samples if sample.rank >= lowest[0]] if lowest else []
        return [good[(2 * place + 1) * len(good) // (2 * wanted)] for place in range(wanted)]

    def _merge_windows(self) -> None:
        """Doubles the length of the windows."""
        self._span *= 2
        best: dict[int, _Sample] = {}
        for sample in self._samples:
            merged = _Sample(sample.window // 2, sample.rank, sample.image)
            if merged.window not in best or merged.rank > best[merged.window].rank:
                best[merged.window] = merged
        self._samples = list(best.values())


def encode_jpeg(image: np.ndarray, max_width: int = MAX_WIDTH) -> bytes:
    """Encodes an image as JPEG.

    Args:
        image: uint8 [height, width, 3], BGR.
        max_width: A wider image is scaled down to this width, in pixels.

    Returns:
        Content of a JPEG file.

    Raises:
        ValueError: OpenCV cannot encode the image.
    """
    height, width = image.shape[:2]
    if width > max_width:
        size_wh = (max_width, max(1, round(height * max_width / width)))
        image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"OpenCV cannot encode an image of {width}x{height} as JPEG")
    return data.tobytes()


HEAT_WEIGHT = 0.6
SAME_IMAGES = (
    "Counted on the images from which the mask was made: on others it loses more. Lost: less than half of the box "
    "is kept; cut: less than 80 % of it.")

LOSS_CAPTION = (
    "Objects lost by masks of all sizes, counted as in the table. Choose the size with --keep, or with --cover, the "
    "share of the heat.")


def mask_image(frame: Frame, keep: np.ndarray) -> np.ndarray:
    """Draws a static mask on a frame.

    Args:
        frame: The frame.
        keep: bool [rows, cols], True = kept.

    Returns:
        uint8 [height, width, 3], BGR: kept regions in color, the rest gray and dark.
    """
    mask = RegionMask(keep, {"static": keep}, refresh=False)
    caption = f"static mask: {mask.masked_share:.0%} of the regions masked"
    return draw_mask(frame, mask, caption)


def heat_image(frame: Frame, heat: np.ndarray) -> np.ndarray:
    """Draws the heat of the regions on a frame, in the scale of its square root, so that rare places are visible.

    Args:
        frame: The frame.
        heat: float [rows, cols], 0 or more.

    Returns:
        uint8 [height, width, 3], BGR.
    """
    scaled = np.sqrt(heat / max(float(heat.max()), 1e-12))
    colors = cv2.applyColorMap((255 * scaled).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    colors = cv2.resize(colors, frame.size_wh, interpolation=cv2.INTER_NEAREST)
    gray = cv2.cvtColor(cv2.cvtColor(frame.bgr(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(colors, HEAT_WEIGHT, gray, 1.0 - HEAT_WEIGHT, 0.0)


def write_calibration_page(path: str, summary: Mapping[str, Any], losses: Sequence[CoverageLoss],
                           images: Sequence[tuple[str, np.ndarray]], curve: LossCurve, command: str, version: str
                           ) -> None:
    """Writes the page.

    Args:
        path: Where to write.
        summary: What ``--json`` writes.
        losses: What the mask loses, by class and height.
        images: Captions, and uint8 [height, width, 3], BGR.
        curve: What masks of all sizes lose.
        command: Command line that gives the same result again.
        version: Version of this package.
    """
    intro = (
        f"A static mask from {summary['objects']:,} objects in {summary['frames']:,} frames, "
        f"{summary['learned_from']}. It keeps {summary['kept_share']:.0%} of the regions "
        f"and {summary['covered_heat']:.1%} of the heat.")
    settings = (
        ("network input", summary["input_size"]),
        ("regions", f"{summary['rows']} x {summary['cols']} of {summary['region_px']} pixels"),
        ("learned from", summary["learned_from"]),
        ("frames", f"{summary['frames']:,}"),
        ("objects", f"{summary['objects']:,}"),
        ("target", summary["target"]),
        ("kept regions", f"{summary['kept_share']:.1%}"),
        ("kept heat", f"{summary['covered_heat']:.2%}"),
    )
    lost = tuple(
        (f"{loss.name}, {loss.size}", f"{loss.objects:,}", f"{loss.lost / loss.objects:.1%}",
         f"{loss.cut / loss.objects:.1%}")
        for loss in losses)
    write_report(
        path, "Static mask", intro,
        tables=[
            Table("How it was made", ("", ""), settings),
            Table("Objects that the mask would have lost", ("class and height", "objects", "lost", "cut"), lost,
                  SAME_IMAGES),
        ],
        figures=[Figure(LOSS_CAPTION, loss_svg(curve, summary["kept_share"], summary["lost_share"]))],
        images=[EmbeddedImage(caption, encode_jpeg(image)) for caption, image in images],
        command=command, version=version, figures_heading="Masks of other sizes",
    )
