"""A masked run against its unmasked twin: what it saved, and the objects that it missed.

The twin is the truth here, although it is the same network and makes mistakes of its own: what both miss is not
counted, and what only the twin invents counts as missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ..core.boxes import iou_matrix
from ..core.detections import Detections
from ..core.frame import Frame
from .images import encode_jpeg
from .overlay import draw_box
from .page import EmbeddedImage

SAME_OBJECT_IOU = 0.5
"""Least overlap of a detection of the twin and one of the masked run of the same class that are the same object."""

TRUTH_NOTE = (
    "The unmasked twin is the truth here: the same network, with everything observed. It errs, too. An object of it "
    "is found where the masked run has one of the same class that overlaps by half (IoU 0.5).")

SAVED_UNITS = {"synops": "synaptic operations, counted", "macs": "MACs, counted", "time": "time, measured"}
"""What ``saved`` of `compare_runs` means, for people."""

_SAME_EPISODE_IOU, _EPISODE_GAP = 0.3, 5
"""Misses that overlap as much, at most as many frames apart, are of the same object."""

_MARGIN, _LEAST_PX = 0.6, 96
"""A thumbnail shows the object with this share of its size around it, and at least as many pixels."""

_THUMBNAIL_PX = 240
MAX_THUMBNAILS = 12
_KEPT_EPISODES = 4 * MAX_THUMBNAILS


def match(wanted: Detections, given: Detections) -> np.ndarray:
    """Finds each object once: pairs of the largest overlap come first.

    Args:
        wanted: The objects to be found.
        given: What was found.

    Returns:
        bool [len(wanted)], True = found.
    """
    found = np.zeros(len(wanted), bool)
    overlap = iou_matrix(wanted.boxes, given.boxes)
    overlap[wanted.class_ids[:, None] != given.class_ids[None]] = 0.0
    while overlap.size and overlap.max() >= SAME_OBJECT_IOU:
        row, column = np.unravel_index(int(np.argmax(overlap)), overlap.shape)
        found[row] = True
        overlap[row], overlap[:, column] = 0.0, 0.0
    return found


@dataclass
class _Episode:
    """An object that was missed in several frames, with a thumbnail of its best score."""

    class_id: int
    first: int
    last: int
    box: np.ndarray
    frames: int = 0
    score: float = 0.0
    jpeg: bytes = b""


@dataclass
class Comparison:
    """Counts what a masked run finds of its twin's objects, and keeps thumbnails of what it misses.

    Attributes:
        labels: Class names by class id.
        found: Number of the twin's detections that the masked run has, too.
        missed: Number of the others.
        extra: Number of detections that only the masked run has.
    """

    labels: tuple[str, ...]
    found: int = 0
    missed: int = 0
    extra: int = 0
    _open: list[_Episode] = field(default_factory=list)
    _closed: list[_Episode] = field(default_factory=list)

    def add(self, index: int, frame: Frame, masked: Detections, twin: Detections) -> None:
        """Adds the next frame.

        Args:
            index: Number of the frame.
            frame: Its image.
            masked: What the masked run has found.
            twin: What the twin has found.
        """
        found = match(twin, masked)
        hits = int(np.count_nonzero(found))
        self.found, self.missed, self.extra = (
            self.found + hits, self.missed + len(twin) - hits, self.extra + len(masked) - hits)
        for row in np.flatnonzero(~found).tolist():
            self._miss(index, frame, twin.boxes[row], float(twin.scores[row]), int(twin.class_ids[row]))
        self._close(index)

    @property
    def missed_share(self) -> float:
        """Share of the twin's detections that are missed, 0 to 1."""
        return self.missed / max(1, self.found + self.missed)

    def episodes(self) -> int:
        """Number of objects that were missed for a while, as far as they were remembered."""
        return len(self._open) + len(self._closed)

    def thumbnails(self) -> tuple[EmbeddedImage, ...]:
        """The objects that were missed for the longest time, in order of time."""
        longest = sorted([*self._closed, *self._open], key=_weight)[-MAX_THUMBNAILS:]
        return tuple(EmbeddedImage(self._caption(one), one.jpeg) for one in sorted(longest, key=lambda one: one.first))

    def _caption(self, one: _Episode) -> str:
        name = self.labels[one.class_id] if 0 <= one.class_id < len(self.labels) else str(one.class_id)
        span = f"frame {one.first}" if one.first == one.last else f"frames {one.first} to {one.last}"
        return f"{name}, {span}: missed {one.frames} {'time' if one.frames == 1 else 'times'}"

    def _miss(self, index: int, frame: Frame, box: np.ndarray, score: float, class_id: int) -> None:
        same = [one for one in self._open if one.class_id == class_id and 0 < index - one.last <= _EPISODE_GAP
                and iou_matrix(one.box[None], box[None])[0, 0] >= _SAME_EPISODE_IOU]
        if same:
            one = same[0]
        else:
            one = _Episode(class_id, index, index, box)
            self._open.append(one)
        one.last, one.box, one.frames = index, box, one.frames + 1
        if score > one.score:
            one.score, one.jpeg = score, _thumbnail(frame, box, class_id)

    def _close(self, index: int) -> None:
        self._closed += [one for one in self._open if one.last <= index - _EPISODE_GAP]
        self._open = [one for one in self._open if one.last > index - _EPISODE_GAP]
        if len(self._closed) > 2 * _KEPT_EPISODES:
            self._closed = sorted(self._closed, key=_weight)[-_KEPT_EPISODES:]


def _weight(one: _Episode) -> tuple[int, float]:
    return one.frames, one.score


def _thumbnail(frame: Frame, box: np.ndarray, class_id: int) -> bytes:
    """A square around the object, as JPEG, with its box."""
    width, height = frame.size_wh
    x0, y0, x1, y1 = (float(corner) for corner in box)
    side = min(max((1.0 + 2.0 * _MARGIN) * max(x1 - x0, y1 - y0), _LEAST_PX), width, height)
    left = int(np.clip((x0 + x1 - side) / 2.0, 0, width - side))
    top = int(np.clip((y0 + y1 - side) / 2.0, 0, height - side))
    bottom, right = top + max(1, int(side)), left + max(1, int(side))
    crop = Frame(np.ascontiguousarray(frame.pixels[top:bottom, left:right]), frame.order, 0, "").bgr()
    image = cv2.resize(crop, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_LINEAR)
    scale = _THUMBNAIL_PX / (right - left)
    corners = (scale * (corner - origin) for corner, origin in zip((x0, y0, x1, y1), (left, top, left, top)))
    draw_box(image, [round(corner) for corner in corners], class_id)
    return encode_jpeg(image)


def describe_saved(against: Mapping[str, Any]) -> str:
    """What masks saved, for people: such as "88% of the MACs". ``against``: of `compare_runs`."""
    share = "-" if against["saved_share"] is None else f"{against['saved_share']:.0%}"
    return f"{share} of the {SAVED_UNITS[against['saved']].partition(',')[0]}"


def compare_runs(masked: Mapping[str, Any], twin: Mapping[str, Any], comparison: Comparison) -> dict[str, Any]:
    """What ``--json`` has under ``against``.

    Args:
        masked: Summary of the masked run, see ``run_page.summarize``.
        twin: Summary of the twin, with ``mask``.
        comparison: Of all frames.

    Returns:
        Values for JSON. ``saved_share`` is that of the synaptic operations, of the MACs of the tile engine, or of the
        time where neither is counted; None where the twin needed nothing.
    """
    unit = next((unit for unit in ("synops", "macs") if masked[f"{unit}_per_frame"] is not None), "time")
    ours, theirs = (
        run["ms"]["total"]["mean"] if unit == "time" else run[f"{unit}_per_frame"] for run in (masked, twin))
    return {
        "mask": twin["mask"], "detections": twin["detections"], "found": comparison.found,
        "missed": comparison.missed, "missed_share": comparison.missed_share, "extra": comparison.extra,
        "saved_share": 1.0 - ours / theirs if theirs else None, "saved": unit,
        "synops_per_frame": twin["synops_per_frame"], "macs_per_frame": twin["macs_per_frame"], "ms": twin["ms"],
    }
