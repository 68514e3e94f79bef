"""The teacher: the unmasked detector, given more pixels than in use, tells where road users are in unlabelled clips.

Its raw word is too loud: it marks empty road with huge weak boxes, and an object comes and goes from frame to frame. So
a box counts when it is confident, or when neighbouring frames say the same; what is left in doubt is neither object nor
background, and is not trained on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ...core.boxes import iou_matrix
from ...core.detections import Detections
from ...core.frame import Frame, choose_input_size
from ...network.graph import Network
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings

ROAD_USERS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
MIN_SCORE = 0.15
COLUMNS = 7
WHOLE_PIXELS, TILE_PIXELS = 460_000, 230_000
"""Network input for the whole picture and for each tile: 1.4 and 1.7 times a picture of 640x360, along each side."""

TILE_SHARE = 0.6
"""Side of a tile in sides of the picture: two of them overlap by a fifth, so that most objects are whole in one."""

EDGE_SHARE = 0.03
"""A tile's box that comes so near to a side inside the picture, in sides of the tile, is cut there and does not
count."""

SURE, PLAUSIBLE = 0.6, 0.3
LARGE_SHARE = 0.25
"""Share of the picture from which a box must be ``SURE``: large weak boxes are nearly always wrong."""

SAME_OVERLAP = 0.35
NEIGHBOURS = (-2, -1, 1, 2)
SUPPORT = {SURE: 1, PLAUSIBLE: 2}
"""How many of the neighbouring frames must have the same box, by score."""


@dataclass(frozen=True)
class TeacherLabels:
    """What is known about one clip, by frame number.

    objects: boxes, float32 [n, 4] a frame, x0 y0 x1 y1 as shares of the picture. doubtful: the same, for what may be
    an object or not. known: the same, for what the detector as it is in use reported of that frame.
    """

    objects: tuple[np.ndarray, ...]
    uncertain: tuple[np.ndarray, ...]
    known: tuple[np.ndarray, ...]


def watch(network: Network, frames: Iterable[Frame], tick: Callable[[], None] = lambda: None,
          teach: bool = True) -> np.ndarray:
    """float32 [n, 7]: frame, x0, y0, x1, y1 as shares of the picture, score, and 1 for the teacher's boxes, doubtful or
    not, 0 for those of the detector as it is in use.

    frames: of one clip, in order, all of one size. teach: False for the latter alone.
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
            rows += [_rows(number, view.see(frame), frame.size_wh, teacher=1) for view in views]
            tick()
    return np.concatenate(rows) if rows else np.zeros((0, COLUMNS), np.float32)


def _classes(network: Network) -> tuple[str, ...]:
    return tuple(name for name in ROAD_USERS if name in network.labels)


def _rows(number: int, found: Detections, image_wh: tuple[int, int], teacher: int) -> np.ndarray:
    boxes = found.boxes / np.tile(np.float32(image_wh), 2)
    ends = np.tile(np.float32([number, teacher]), (len(found), 1))
    return np.column_stack([ends[:, 0], boxes, found.scores, ends[:, 1]]).astype(np.float32)


class _View:
    """A detector for the whole picture (corner None), or for the tile at a corner (0 or 1 across, 0 or 1 down)."""

    def __init__(self, network: Network, image_wh: tuple[int, int], corner: tuple[int, int] | None) -> None:
        share = 1.0 if corner is None else TILE_SHARE
        self._wh = tuple(round(side * share) for side in image_wh)
        across, down = corner or (0, 0)
        self._place = across * (image_wh[0] - self._wh[0]), down * (image_wh[1] - self._wh[1])
        self._image_wh = image_wh
        budget = WHOLE_PIXELS if corner is None else TILE_PIXELS
        input_wh = choose_input_size((self._wh[0] * 2, self._wh[1] * 2), budget)
        self._detector = Pipeline(network, PipelineSettings(
            input_size=input_wh, score_threshold=MIN_SCORE, classes=_classes(network)))

    def see(self, frame: Frame) -> Detections:
        """Boxes in pixels of the whole picture."""
        (x, y), (width, height) = self._place, self._wh
        pixels = np.ascontiguousarray(frame.pixels[y:y + height, x:x + width])
        (result,) = self._detector.process(Frame(pixels, frame.order, frame.stamp_ns, frame.frame_id))
        found = self._whole(result.detections)
        return Detections(found.boxes + np.float32([x, y, x, y]), found.scores, found.class_ids)

    def close(self) -> None:
        self._detector.close()

    def _whole(self, found: Detections) -> Detections:
        """Without boxes that a side of the tile cuts, unless it is the picture's own side."""
        (x, y), (width, height) = self._place, self._wh
        inner = np.array([x > 0, y > 0, x + width < self._image_wh[0], y + height < self._image_wh[1]])
        margin = EDGE_SHARE * np.array([width, height, width, height])
        gap = np.abs(found.boxes - [0, 0, width, height])
        return found.take(~((gap < margin) & inner).any(axis=1))


def select_labels(seen: np.ndarray, frames: int, cuts: Iterable[int] = ()) -> TeacherLabels:
    """seen: what ``watch`` returned for a clip of so many frames. cuts: first frames of new shots."""
    shot = np.zeros(frames, np.int64)
    shot[[cut for cut in cuts if cut < frames]] = 1
    shot = shot.cumsum()
    teacher, used = (_by_frame(seen[seen[:, 6] == kind], frames) for kind in (1, 0))
    objects, uncertain = [], []
    for number, found in enumerate(teacher):
        near = [teacher[number + step] for step in NEIGHBOURS
                if 0 <= number + step < frames and shot[number + step] == shot[number]]
        believed = _is_reliable(found, near)
        objects.append(found[believed, :4])
        uncertain.append(found[~believed & (_area(found) < LARGE_SHARE), :4])
    return TeacherLabels(tuple(objects), tuple(uncertain), tuple(found[:, :4] for found in used))


def _by_frame(seen: np.ndarray, frames: int) -> list[np.ndarray]:
    """float32 [n, 5] for each frame: boxes and scores."""
    return np.split(seen[:, 1:6], np.searchsorted(seen[:, 0], np.arange(1, frames)))


def _is_reliable(found: np.ndarray, near: list[np.ndarray]) -> np.ndarray:
    """bool [n]. found, near: float32 [., 5] each, boxes and scores."""
    support = np.zeros(len(found), np.int64)
    for other in near:
        if len(other) and len(found):
            support += (iou_matrix(found[:, :4], other[:, :4]) >= SAME_OVERLAP).any(axis=1)
    score = found[:, 4]
    believed = np.zeros(len(found), bool)
    for lowest, wanted in SUPPORT.items():
        believed |= (score >= lowest) & (support >= min(wanted, len(near)))
    return believed & ((score >= SURE) | (_area(found) < LARGE_SHARE))


def _area(found: np.ndarray) -> np.ndarray:
    return (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
