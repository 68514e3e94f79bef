"""From a recorded bag: detections as a table, the annotated video, and one page that shows what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...report.detections_csv import DetectionsCsv
from ...report.figures import Panel, per_frame_svg
from ...report.html import Figure, Table, write_report
from ...report.samples import SamplePictures
from ...report.video_writer import VideoWriter
from .accounts import Account
from .answers import Answer, RecordedBag

MOST_CLASSES = 8


@dataclass
class Story:
    """What the bag says, frame by frame, for page and summary. masked_share: 0 to 1, nan where no mask was recorded."""

    labels: tuple[str, ...] = ()
    report: dict[str, str] = field(default_factory=dict)
    masked_share: list[float] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    by_class: Counter[str] = field(default_factory=Counter)
    masks: int = 0
    overlays: int = 0
    samples: SamplePictures = field(default_factory=SamplePictures)

    def add(self, answer: Answer, labels: tuple[str, ...]) -> None:
        """Takes in the next frame."""
        index, found = len(self.objects), len(answer.detections)
        self.masks += answer.mask is not None
        self.overlays += answer.overlay is not None
        share = float("nan") if answer.mask is None else float(np.mean(answer.mask == 0))
        self.masked_share.append(share)
        self.objects.append(found)
        self.latency_ms.append((answer.recorded_ns - answer.stamp_ns) / 1e6)
        self.by_class.update(labels[number] for number in answer.detections.class_ids)
        # A sample shows something: objects, and a mask at work rather than a refresh frame.
        rank = min(found, 6) + (share > 0.0)
        if answer.overlay is not None and self.samples.wants(index, rank):
            self.samples.add(index, rank, f"frame {index}", answer.overlay)

    def summary(self) -> dict[str, Any]:
        """Figures over all answered frames; masked_share without the first one, as everywhere."""
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


def write_files(bag: Path, folder: Path, fps: float) -> Iterator[Story]:
    """Writes detections.csv and annotated.mp4 into the folder. Yields the growing story after each frame."""
    recorded, story = RecordedBag(bag), Story()
    answers = recorded.answers()
    first = next(answers, None)
    with DetectionsCsv(str(folder / "detections.csv"), recorded.labels) as table, \
            VideoWriter(str(folder / "annotated.mp4"), fps) as video:
        answer, index = first, 0
        while answer is not None:
            table.add(index, answer.stamp_ns, answer.detections)
            if answer.overlay is not None:
                video.add(answer.overlay)
            story.add(answer, recorded.labels)
            yield story
            answer, index = next(answers, None), index + 1
    story.labels, story.report = recorded.labels, recorded.report
    yield story


def write_page(path: Path, source: str, account: Account, story: Story, command: str) -> None:
    """report.html: the account of all frames, what was found, how it went frame by frame, and pictures."""
    summary = story.summary()
    write_report(
        str(path),
        title=f"{source}: objects and masks, through the ROS node",
        intro=f"{account.line()}. The node's topics were recorded into the bag beside this page, and everything here "
        "was made from that bag. A masked region was not looked at in that frame; what is drawn there is what was last "
        "seen.",
        tables=_tables(account, summary),
        figures=[Figure("Every answered frame", _svg(story))] if story.objects else [],
        pictures=story.samples.pictures(),
        command=command,
        version=__version__,
    )


def _tables(account: Account, summary: dict[str, Any]) -> list[Table]:
    frames = max(1, account.answered)
    share = summary["masked_share"]
    counted = [
        ("detections", f"{summary['detections']:,}"),
        ("detections a frame", f"{summary['detections'] / frames:.2f}"),
        *((f"of these {name}", f"{n:,}") for name, n in list(summary["by_class"].items())[:MOST_CLASSES]),
        ("masked share, without the first frame", "" if share is None else f"{100 * share:.1f} %"),
    ]
    names = {"played": "played", "answered": "answered", "dropped_overwritten": "dropped: a newer one came",
             "dropped_broken": "dropped: broken", "lost_before_node": "lost before the node"}
    frames_table = [(text, f"{account.as_json()[key]:,}") for key, text in names.items()]
    chosen = ("network", "input_size", "backend", "arithmetic", "mask")
    settings = [(key.replace("_", " "), summary[key]) for key in chosen]
    latency = [(f"{key[1:]}th percentile", f"{ms:.1f}") for key, ms in summary["latency_ms"].items() if ms is not None]
    return [
        Table("Every frame played", ("frames", "number"), tuple(frames_table)),
        Table("Counted", ("quantity", "value"), tuple(counted)),
        Table("Settings", ("setting", "value"), tuple(settings)),
        Table("Measured here, ms from picture to recorded answer", ("latency", "ms"), tuple(latency)),
    ]


def _svg(story: Story) -> str:
    """Masked share, objects and latency over the answered frames. Returns an <svg> element."""
    panels = (
        Panel("masked share, %", np.array(story.masked_share), percent=True),
        Panel("detections", np.array(story.objects)),
        Panel("milliseconds from picture to recorded answer, measured", np.array(story.latency_ms)),
    )
    return per_frame_svg(panels, np.zeros(len(story.objects), bool), x_label="answered frame")
