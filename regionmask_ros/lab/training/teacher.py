"""Labels for unlabeled clips: the unmasked detector, with a larger input than in use, is the teacher.

Its detections are noisy: large weak boxes lie on empty road, and an object comes and goes from frame to frame. So a box
counts as an object when its score is high, or when neighboring frames have the same box. Other boxes are uncertain,
neither object nor background, and are not trained on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ...core.boxes import iou_matrix
from ...core.detections import Detections
from ...core.frame import Frame, choose_input_size
from ...network.chain import Network
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings

ROAD_USERS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
MIN_SCORE = 0.15
COLUMNS = 7
"""Of ``run_detectors``: frame, x0, y0, x1, y1, score, teacher."""

WHOLE_PIXELS, TILE_PIXELS = 460_000, 230_000
"""Pixels of the network's input for the whole image and for a tile: 1.4 and 1.7 times an image of 640x360, by side."""

TILE_SHARE = 0.6
"""Side of a tile, relative to the image: tiles overlap by a fifth, so that most objects lie wholly in one."""

EDGE_SHARE = 0.03
"""A tile's box that is nearer than this to a side of the tile, relative to the tile, is cut there and does not count.
Sides of the image are no such sides."""

SURE, PLAUSIBLE = 0.6, 0.3
LARGE_SHARE = 0.25
"""Share of the image from which on a box must have the score ``SURE``: large weak boxes are nearly always wrong."""

SAME_OVERLAP = 0.35
NEIGHBORS = (-2, -1, 1, 2)
SUPPORT = {SURE: 1, PLAUSIBLE: 2}
"""Number of neighboring frames that must have the same box, by score."""


@dataclass(frozen=True)
class ClipLabels:
    """What is known about the objects of one clip, by frame number.

    Boxes are float32 [n, 4] a frame, x0 y0 x1 y1 as shares of the image.

    Attributes:
        objects: Boxes of objects.
        uncertain: Boxes that may be objects or not.
        known: Boxes that the detector, as it is in use, reports.
    """

    objects: tuple[np.ndarray, ...]
    uncertain: tuple[np.ndarray, ...]
    known: tuple[np.ndarray, ...]


def run_detectors(network: Network, frames: Iterable[Frame], tick: Callable[[], object] = lambda: None,
                  teach: bool = True) -> np.ndarray:
    """Runs the detector as it is in use, and the teacher.

    Args:
        network: The detector.
        frames: Those of one clip, in order, all of one size.
        tick: Called after each frame.
        teach: Whether to run the teacher, too.

    Returns:
        float32 [n, 7]: frame, x0, y0, x1, y1 as shares of the image, score, and 1 for boxes of the teacher, 0 for
        those of the detector as it is in use.
    """
    rows: list[np.ndarray] = []
    with contextlib.ExitStack() as stack:
        used = stack.enter_context(contextlib.closing(Pipeline(network, PipelineSettings(classes=_classes(network)))))
        views: list[_View] = []
        for number, frame in enumerate(frames):
            if teach and not views:
                views = [stack.enter_context(contextlib.closing(_View(network, frame.size_wh, corner)))
                         for corner in (None, (0, 0), (1, 0), (0, 1), (1, 1))]
            (result,) = used.process(frame)
            rows.append(_rows(number, result.detections, frame.size_wh, teacher=0))
            rows.extend(_rows(number, view.detect(frame), frame.size_wh, teacher=1) for view in views)
            tick()
    return np.concatenate(rows) if rows else np.zeros((0, COLUMNS), np.float32)


def select_labels(found: np.ndarray, frames: int, cuts: Iterable[int] = ()) -> ClipLabels:
    """Decides which boxes of the teacher are objects.

    Args:
        found: float32 [n, 7], of ``run_detectors``.
        frames: Number of frames of the clip.
        cuts: First frames of new shots.

    Returns:
        The clip's labels.
    """
    starts = np.zeros(frames, np.int64)
    starts[[cut for cut in cuts if cut < frames]] = 1
    shot = np.cumsum(starts)
    teacher, used = (_by_frame(found[found[:, 6] == kind], frames) for kind in (1, 0))
    objects, uncertain = [], []
    for number, boxes in enumerate(teacher):
        near = [teacher[number + step] for step in NEIGHBORS
                if 0 <= number + step < frames and shot[number + step] == shot[number]]
        reliable = _is_reliable(boxes, near)
        objects.append(boxes[reliable, :4])
        uncertain.append(boxes[~reliable & (box_area(boxes) < LARGE_SHARE), :4])
    return ClipLabels(tuple(objects), tuple(uncertain), tuple(boxes[:, :4] for boxes in used))


class _View:
    """A detector for the whole image (corner None), or for the tile at a corner (0 or 1 across, 0 or 1 down)."""

    def __init__(self, network: Network, image_wh: tuple[int, int], corner: tuple[int, int] | None) -> None:
        share = 1.0 if corner is None else TILE_SHARE
        self._wh = round(image_wh[0] * share), round(image_wh[1] * share)
        across, down = corner or (0, 0)
        self._origin = across * (image_wh[0] - self._wh[0]), down * (image_wh[1] - self._wh[1])
        self._image_wh = image_wh
        budget = WHOLE_PIXELS if corner is None else TILE_PIXELS
        input_wh = choose_input_size((self._wh[0] * 2, self._wh[1] * 2), budget)
        self._detector = Pipeline(network, PipelineSettings(
            input_size=input_wh, score_threshold=MIN_SCORE, classes=_classes(network)))

    def detect(self, frame: Frame) -> Detections:
        """Boxes in pixels of the whole image."""
        (x, y), (width, height) = self._origin, self._wh
        pixels = np.ascontiguousarray(frame.pixels[y:y + height, x:x + width])
        (result,) = self._detector.process(Frame(pixels, frame.order, frame.stamp_ns, frame.frame_id))
        found = self._drop_cut(result.detections)
        return Detections(found.boxes + np.array([x, y, x, y], np.float32), found.scores, found.class_ids)

    def close(self) -> None:
        self._detector.close()

    def _drop_cut(self, found: Detections) -> Detections:
        """Without boxes that a side of the tile cuts, unless it is a side of the image."""
        (x, y), (width, height) = self._origin, self._wh
        inner = np.array([x > 0, y > 0, x + width < self._image_wh[0], y + height < self._image_wh[1]])
        margin = EDGE_SHARE * np.array([width, height, width, height])
        gap = np.abs(found.boxes - [0, 0, width, height])
        return found.take(~((gap < margin) & inner).any(axis=1))


def _classes(network: Network) -> tuple[str, ...]:
    return tuple(name for name in ROAD_USERS if name in network.labels)


def _rows(number: int, found: Detections, image_wh: tuple[int, int], teacher: int) -> np.ndarray:
    boxes = found.boxes / np.tile(np.array(image_wh, np.float32), 2)
    ends = np.tile(np.array([number, teacher], np.float32), (len(found), 1))
    return np.column_stack([ends[:, 0], boxes, found.scores, ends[:, 1]]).astype(np.float32)


def _by_frame(found: np.ndarray, frames: int) -> list[np.ndarray]:
    """Boxes and scores of each frame, float32 [n, 5]."""
    return np.split(found[:, 1:6], np.searchsorted(found[:, 0], np.arange(1, frames)))


def _is_reliable(found: np.ndarray, near: list[np.ndarray]) -> np.ndarray:
    """Which boxes of a frame are objects, bool [n]. found, near: boxes and scores, float32 [., 5] each."""
    support = np.zeros(len(found), np.int64)
    for other in near:
        if len(other) and len(found):
            support += (iou_matrix(found[:, :4], other[:, :4]) >= SAME_OVERLAP).any(axis=1)
    score = found[:, 4]
    reliable = np.zeros(len(found), bool)
    for lowest, wanted in SUPPORT.items():
        reliable |= (score >= lowest) & (support >= min(wanted, len(near)))
    return reliable & ((score >= SURE) | (box_area(found) < LARGE_SHARE))


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Areas of boxes, [n] from [n, 4 or more]."""
    area: np.ndarray = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area
