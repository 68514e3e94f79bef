"""The demo's results from its bag: detections as a table, the annotated video, and a page that shows the run.

The unmasked twin is no part of the bag: it is run beside, on the frames that the node has answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...core.options import Value
from ...report.page import Figure, KeyFigure, Page, write_page
from ...report.plots import Panel, per_frame_svg
from ...report.run_page import SIDES, embed_video, missed_figure, missed_gallery, saved_figure
from ...report.tables import Table
from ...report.video_file import VideoWriter
from ...report.writers import DetectionsCsv
from .recorded import RecordedBag, RecordedFrame
from .replay import Replay
from .show import PRESET, Account

MAX_CLASSES = 8


@dataclass
class FrameSeries:
    """Figures of all frames, for page and summary; ``masked_share`` is nan where no mask was recorded."""

    labels: tuple[str, ...] = ()
    report: dict[str, str] = field(default_factory=dict)
    masked_share: list[float] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    by_class: Counter[str] = field(default_factory=Counter)
    masks: int = 0
    overlays: int = 0

    def add(self, frame: RecordedFrame, labels: tuple[str, ...]) -> None:
        """Adds the next frame."""
        self.masks += frame.mask is not None
        self.overlays += frame.overlay is not None
        share = float("nan") if frame.mask is None else float(np.mean(frame.mask == 0))
        self.masked_share.append(share)
        self.objects.append(len(frame.detections))
        self.latency_ms.append((frame.recorded_ns - frame.stamp_ns) / 1e6)
        self.by_class.update(labels[number] for number in frame.detections.class_ids)

    def summary(self) -> dict[str, Any]:
        """Returns figures over all frames; the first one does not count for the masked share."""
        shares = np.array(self.masked_share[1:] or self.masked_share)
        known = shares[~np.isnan(shares)]
        p50, p95 = np.percentile(self.latency_ms, (50, 95)) if self.latency_ms else (None, None)
        return {
            "detections": sum(self.objects),
            "by_class": dict(self.by_class.most_common()),
            "masked_share": round(float(known.mean()), 4) if len(known) else None,
            "latency_ms": {"p50": p50 and round(float(p50), 2), "p95": p95 and round(float(p95), 2)},
            "recorded": {"detections": len(self.objects), "masks": self.masks, "overlays": self.overlays},
            "input_size": self.report.get("input size", ""),
            "backend": self.report.get("backend", ""),
            "arithmetic": self.report.get("arithmetic", ""),
            "mask": self.report.get("mask mode", ""),
            "network": Path(self.report.get("network", "")).name,
            "version": __version__,
        }


ANNOTATED, COMPARED = "annotated.mp4", "comparison.mp4"


def write_files(bag: Path, folder: Path, fps: float, replay: Replay | None = None) -> Iterator[FrameSeries]:
    """Writes detections.csv and annotated.mp4, and comparison.mp4 with the unmasked twin on its right.

    Args:
        bag: Folder of the bag.
        folder: Where the files are written.
        fps: Frame rate of the videos.
        replay: Runs the twin; None: there is none.

    Yields:
        The figures of all frames so far, after each frame.
    """
    recorded, series = RecordedBag(bag), FrameSeries()
    frames = recorded.frames()
    first = next(frames, None)
    with ExitStack() as stack:
        table = stack.enter_context(DetectionsCsv(str(folder / "detections.csv"), recorded.labels))
        video = stack.enter_context(VideoWriter(str(folder / ANNOTATED), fps))
        if replay:
            stack.enter_context(replay)
            replay.twin.video = stack.enter_context(VideoWriter(str(folder / COMPARED), fps))
        frame, index = first, 0
        while frame is not None:
            table.add(index, frame.stamp_ns, frame.detections)
            if frame.overlay is not None:
                video.add(frame.overlay)
            if replay:
                replay.add(index, frame)
            series.add(frame, recorded.labels)
            yield series
            frame, index = next(frames, None), index + 1
    series.labels, series.report = recorded.labels, recorded.report
    yield series


@dataclass(frozen=True)
class Shown:
    """What the page shows.

    Attributes:
        source: Name of the video.
        account: What has become of every frame.
        series: The figures of all frames.
        parameters: Parameters that were set in the node, and their values.
        replay: The twin, if there was one.
    """

    source: str
    account: Account
    series: FrameSeries
    parameters: Mapping[str, Value]
    replay: Replay | None = None


def write_report(folder: Path, shown: Shown, command: str) -> dict[str, Any]:
    """Writes report.html.

    Args:
        folder: Where `write_files` has written.
        shown: What the page shows.
        command: The command line.

    Returns:
        The figures, for summary.json.
    """
    summary, replay = shown.series.summary(), shown.replay
    if replay:
        summary["against"] = replay.summary()
    name = COMPARED if replay else ANNOTATED
    video = embed_video(str(folder / name), SIDES if replay else None, name) if shown.series.overlays else None
    write_page(str(folder / "report.html"), Page(
        f"{shown.source}: objects and masks, through the ROS node",
        f"{shown.account.line()}. The node ran with the preset {PRESET}. Its topics were recorded into the bag beside "
        "this page. The network received no changes of a masked region in that frame; what is drawn there is the last "
        "result." + (" The unmasked twin was run afterwards, on the same frames." if replay else ""),
        lead=video, key_figures=_key_figures(summary),
        galleries=missed_gallery(replay.twin.comparison if replay else None),
        figures=(Figure("Every answered frame", _svg(shown.series)),) if shown.series.objects else (),
        tables=tuple(_tables(shown.account, summary, shown.parameters)), command=command, version=__version__))
    return summary


def _key_figures(summary: Mapping[str, Any]) -> tuple[KeyFigure, ...]:
    share, p50, twin = summary["masked_share"], summary["latency_ms"]["p50"], summary.get("against")
    time = KeyFigure("Time of a frame", "-" if p50 is None else f"{p50:.0f} ms",
                     "median from the image to the recorded result, through ROS, measured")
    if twin:
        return saved_figure(twin, share), missed_figure(twin), time
    return (KeyFigure("Masked", "-" if share is None else f"{100.0 * share:.0f} %", "of the regions, on average"),
            KeyFigure("Found", f"{summary['detections']:,}", "detections"), time)


def _tables(account: Account, summary: dict[str, Any], parameters: Mapping[str, Value]) -> list[Table]:
    frames = max(1, account.answered)
    share = summary["masked_share"]
    counted = [
        ("detections", f"{summary['detections']:,}"),
        ("detections per frame", f"{summary['detections'] / frames:.2f}"),
        *((f"of these {name}", f"{n:,}") for name, n in list(summary["by_class"].items())[:MAX_CLASSES]),
        ("masked share, without the first frame", "" if share is None else f"{100 * share:.1f} %"),
    ]
    names = {"played": "played", "answered": "answered", "dropped_overwritten": "dropped: overwritten by a newer one",
             "dropped_broken": "dropped: broken", "lost_before_node": "lost before the node"}
    frames_table = [(text, f"{account.as_json()[key]:,}") for key, text in names.items()]
    chosen = ("network", "input_size", "backend", "arithmetic", "mask")
    settings = [(key.replace("_", " "), ", ".join(value) if isinstance(value, tuple) else str(value))
                for key, value in [*((key, summary[key]) for key in chosen), *parameters.items()]]
    latency = [(f"{key[1:]}th percentile", f"{ms:.1f}") for key, ms in summary["latency_ms"].items() if ms is not None]
    return [
        Table("Every frame played", ("frames", "number"), tuple(frames_table)),
        Table("Counted", ("quantity", "value"), tuple(counted)),
        Table("Settings", ("setting", "value"), tuple(settings)),
        Table("Measured here, ms from image to recorded result", ("latency", "ms"), tuple(latency)),
    ]


def _svg(series: FrameSeries) -> str:
    """Returns an <svg> element: masked share, objects and latency over the answered frames."""
    panels = (
        Panel("masked share, %", np.array(series.masked_share), percent=True),
        Panel("detections", np.array(series.objects)),
        Panel("milliseconds from image to recorded result, measured", np.array(series.latency_ms)),
    )
    return per_frame_svg(panels, np.zeros(len(series.objects), bool), x_label="answered frame")
