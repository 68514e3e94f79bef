"""The demo's results from its bag: detections as a table, the annotated video, and a page that shows the run.

The messages of a frame are joined by their stamp.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader

from ... import __version__
from ...core.detections import UNTRACKED, Detections
from ...report.command_pages import ImageSampler
from ...report.page import Figure, write_report
from ...report.plots import Panel, per_frame_svg
from ...report.tables import Table
from ...report.writers import DetectionsCsv, VideoWriter
from ...sources.image_message import NANOSECONDS
from .show import PRESET, Account

_OF_A_FRAME = ("/detections", "/mask", "/overlay")

PENDING_LIMIT = 200
"""Number of frames that may wait for their images; more means that an image was never recorded."""


@dataclass(frozen=True)
class RecordedFrame:
    """One answered frame.

    Attributes:
        stamp_ns: The stamp of its image.
        recorded_ns: When its detections were recorded.
        detections: The objects.
        mask: uint8 [height, width], 255 where the image was observed; None when not recorded.
        overlay: uint8 [height, width, 3], BGR; None when not recorded.
    """

    stamp_ns: int
    recorded_ns: int
    detections: Detections
    mask: np.ndarray | None = None
    overlay: np.ndarray | None = None


@dataclass
class RecordedBag:
    """A bag of the node's topics.

    Attributes:
        folder: The bag.
        labels: Class names by number, known once the first frame is read.
        report: The values of the last diagnostics that were read.
    """

    folder: Path
    labels: tuple[str, ...] = ()
    report: dict[str, str] = field(default_factory=dict)

    def frames(self) -> Iterator[RecordedFrame]:
        """Yields all answered frames in order."""
        waiting: dict[int, dict[str, tuple[int, object]]] = {}
        with AnyReader([self.folder]) as reader:
            self.labels = self._read_labels(reader)
            for connection, recorded_ns, raw in reader.messages():
                message: Any = reader.deserialize(raw, connection.msgtype)
                if connection.topic == "/diagnostics":
                    self.report = {pair.key: pair.value for pair in message.status[0].values}
                elif connection.topic in _OF_A_FRAME:
                    waiting.setdefault(_stamp_ns(message), {})[connection.topic] = (recorded_ns, message)
                yield from self._pop_finished(waiting, PENDING_LIMIT)
        yield from self._pop_finished(waiting, 0)

    def _pop_finished(self, waiting: dict[int, dict[str, tuple[int, object]]], limit: int) -> Iterator[RecordedFrame]:
        """Yields the oldest frames while they are complete or more than ``limit`` frames wait."""
        while waiting:
            stamp_ns, parts = next(iter(waiting.items()))
            if len(parts) < len(_OF_A_FRAME) and len(waiting) <= limit:
                return
            del waiting[stamp_ns]
            if "/detections" in parts:
                yield self._make_frame(stamp_ns, parts)

    def _make_frame(self, stamp_ns: int, parts: dict[str, tuple[int, object]]) -> RecordedFrame:
        recorded_ns, message = parts["/detections"]
        images = {topic[1:]: _pixels(parts[topic][1]) for topic in ("/mask", "/overlay") if topic in parts}
        return RecordedFrame(stamp_ns, recorded_ns, self._detections(message), **images)

    @staticmethod
    def _read_labels(reader: AnyReader) -> tuple[str, ...]:
        latched = [connection for connection in reader.connections if connection.topic == "/label_info"]
        for connection, _, raw in reader.messages(latched):
            message: Any = reader.deserialize(raw, connection.msgtype)
            return tuple(entry.class_name for entry in message.class_map)
        return ()

    def _detections(self, message) -> Detections:
        """Reads boxes, scores, class numbers and tracks; LabelInfo maps a name to its number."""
        found = message.detections
        center = np.array([(d.bbox.center.position.x, d.bbox.center.position.y) for d in found]).reshape(-1, 2)
        half = np.array([(d.bbox.size_x, d.bbox.size_y) for d in found]).reshape(-1, 2) / 2.0
        numbers = {name: number for number, name in enumerate(self.labels)}
        return Detections(np.concatenate([center - half, center + half], axis=1).astype(np.float32),
                          np.array([d.results[0].hypothesis.score for d in found], np.float32),
                          np.array([numbers[d.results[0].hypothesis.class_id] for d in found], np.int32),
                          np.array([int(d.id) if d.id else UNTRACKED for d in found], np.int64))


def _stamp_ns(message) -> int:
    return message.header.stamp.sec * NANOSECONDS + message.header.stamp.nanosec


def _pixels(message) -> np.ndarray:
    """Returns uint8 [height, width] or [height, width, 3]; the node's own images have no padding."""
    shape = (message.height, message.width, -1) if message.encoding == "bgr8" else (message.height, message.width)
    return np.asarray(message.data).reshape(shape)


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
    samples: ImageSampler = field(default_factory=ImageSampler)

    def add(self, frame: RecordedFrame, labels: tuple[str, ...]) -> None:
        """Adds the next frame."""
        index, found = len(self.objects), len(frame.detections)
        self.masks += frame.mask is not None
        self.overlays += frame.overlay is not None
        share = float("nan") if frame.mask is None else float(np.mean(frame.mask == 0))
        self.masked_share.append(share)
        self.objects.append(found)
        self.latency_ms.append((frame.recorded_ns - frame.stamp_ns) / 1e6)
        self.by_class.update(labels[number] for number in frame.detections.class_ids)
        # Prefer frames with objects and with a mask at work: neither a refresh frame nor an idle one.
        rank = min(found, 6) + (0.0 < share < 1.0)
        if frame.overlay is not None and self.samples.wants(index, rank):
            self.samples.add(index, rank, f"frame {index}", frame.overlay)

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


def write_files(bag: Path, folder: Path, fps: float) -> Iterator[FrameSeries]:
    """Writes detections.csv and annotated.mp4.

    Args:
        bag: Folder of the bag.
        folder: Where the files are written.
        fps: Frame rate of the video.

    Yields:
        The figures of all frames so far, after each frame.
    """
    recorded, series = RecordedBag(bag), FrameSeries()
    frames = recorded.frames()
    first = next(frames, None)
    with DetectionsCsv(str(folder / "detections.csv"), recorded.labels) as table, \
            VideoWriter(str(folder / "annotated.mp4"), fps) as video:
        frame, index = first, 0
        while frame is not None:
            table.add(index, frame.stamp_ns, frame.detections)
            if frame.overlay is not None:
                video.add(frame.overlay)
            series.add(frame, recorded.labels)
            yield series
            frame, index = next(frames, None), index + 1
    series.labels, series.report = recorded.labels, recorded.report
    yield series


def write_page(path: Path, source: str, account: Account, series: FrameSeries, command: str,
               parameters: Mapping[str, str]) -> None:
    """Writes report.html: the account of all frames, figures, plots over the frames, and images.

    Args:
        path: The file.
        source: Name of the video.
        account: What has become of every frame.
        series: The figures.
        command: The command line.
        parameters: Parameters that were set in the node, and their values.
    """
    summary = series.summary()
    write_report(
        str(path),
        title=f"{source}: objects and masks, through the ROS node",
        intro=f"{account.line()}. The node ran with the preset {PRESET}. Its topics were recorded into the bag beside "
        "this page, and everything here was made from that bag. The network received no changes of a masked region in "
        "that frame; what is drawn there is the last result.",
        tables=_tables(account, summary, parameters),
        figures=[Figure("Every answered frame", _svg(series))] if series.objects else [],
        images=series.samples.images(),
        command=command,
        version=__version__,
    )


def _tables(account: Account, summary: dict[str, Any], parameters: Mapping[str, str]) -> list[Table]:
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
    settings = [(key.replace("_", " "), value)
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
