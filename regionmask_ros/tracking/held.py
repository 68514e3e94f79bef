"""Objects of a dense network, held between the looks that show them.

A dense network shows an object only where it looks. In between, the object's box moves with the image
(``tracking.motion``). A look that should show an object and does not is a miss: the object's score falls, and three
misses end it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ..core.boxes import covered_fraction
from ..core.detections import Detections
from ..core.look import Look
from . import kernels
from .guard import SAME_PLACE_IOU as PREDICTED_IOU
from .guard import Agreement
from .motion import OpticalFlow
from .tracker import NO_GROWTH, NO_SHIFT, Tracks, make_arrays

MISS_FACTOR = 0.6
"""Of an object's score, for each look in a row that misses it."""

MOST_MISSES = 3
"""This many in a row end an object."""

SEEN_SHARE = 0.9
"""A look should show an object when at least this share of its box lies inside the look's window."""

MASKED_SHARE = 0.1
"""Share of an object up to which the mask hides it where a look's window shows it. A rolling window is up to a region
larger than what it observes: most objects there count as shown."""

SMALLEST_PX = 12.0
"""A look at reduced scale should show an object only when the shorter side of its box has this many input pixels."""

LEAST_VISIBLE = 0.2
"""Share of a held box that must lie inside the image."""

CUT_PX = 2.0
"""A box that ends this close to the border of a window, in input pixels, is cut by it."""

CUT_INSIDE = 0.6
"""A cut box shows a part of a held object of its class when at least this share of it lies inside the held box."""

MOST_FOLLOWED = 64
"""Objects, those of the best scores, that move with the image. Optical flow takes time for each one, so that the others
move on with their velocity. A detector that gives weak scores can hold hundreds."""

SAME_PLACE_IOU = 0.45
"""A missed object that overlaps more than this with a detection of its class is the same object."""

EVIDENCE = 0.5
"""Weight of a comparison for the guard. Nothing is observed between two looks, so that every new object is found late,
however well the known ones are predicted: one of few must not shorten a schedule."""

TRUSTED = 0.65
"""Where fewer predictions hold, a missed object has moved away rather than hidden: the first miss ends it."""

TRUST_MEMORY = 0.7
"""Of the share of predictions that hold, from look to look."""

_FACTORS = MISS_FACTOR ** np.arange(MOST_MISSES)


@dataclass(frozen=True)
class HeldObjects:
    """The n objects of one camera.

    Attributes:
        tracks: The objects. ``last_detected`` is the last frame for all of them.
        misses: int64 [n], looks in a row that have missed the object.
        agreement: Of predicted and found objects in the last frame with looks; None before the second one.
        elapsed: Frames since the objects that these looks show were last observed, their median; 0 without one.
        trust: Running mean of the share of predictions that hold, 0 to 1.
    """

    tracks: Tracks = field(default_factory=Tracks.none)
    misses: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    agreement: Agreement | None = None
    elapsed: int = 0
    trust: float = 1.0


def find_cut(boxes: np.ndarray, look: Look, image_wh: tuple[int, int]) -> np.ndarray:
    """Finds boxes that end at the border of a window where the image goes on.

    Args:
        boxes: float [n, 4], x0 y0 x1 y1 in image pixels, found in this look.
        look: The look.
        image_wh: Width and height of the image.

    Returns:
        bool [n].
    """
    x0, y0, x1, y1 = look.window
    across, down = (CUT_PX * scale for scale in look.scale)
    cut = np.zeros(len(boxes), bool)
    if x0 > 0.0:
        cut |= boxes[:, 0] <= x0 + across
    if y0 > 0.0:
        cut |= boxes[:, 1] <= y0 + down
    if x1 < image_wh[0]:
        cut |= boxes[:, 2] >= x1 - across
    if y1 < image_wh[1]:
        cut |= boxes[:, 3] >= y1 - down
    return cut


@lru_cache(maxsize=8)
def describe_looks(looks: tuple[Look, ...], image_wh: tuple[int, int], full_scale: float) -> tuple[np.ndarray, ...]:
    """What ``kernels.find_shown`` needs to know of looks.

    Args:
        looks: Of a frame.
        image_wh: Width and height of the image.
        full_scale: Image pixels per input pixel of the looks at the highest resolution.

    Returns:
        ``windows``, ``least_px`` and ``image``.
    """
    # An object's size counts where it is made smaller only.
    least_px = [[SMALLEST_PX * scale for scale in look.scale] if max(look.scale) > 1.25 * full_scale else [-np.inf] * 2
                for look in looks]
    return (np.array([look.window for look in looks], np.float64).reshape(-1, 4), np.array(least_px).reshape(-1, 2),
            np.array([(0.0, 0.0, *image_wh)]))


def hold_objects(held: HeldObjects, found: Detections, cut: np.ndarray, looks: tuple[Look, ...], keep: np.ndarray,
                 image_wh: tuple[int, int], full_scale: float, frame: int, motion: OpticalFlow | None
                 ) -> tuple[HeldObjects, Detections]:
    """Tracks objects over one more frame.

    Args:
        held: The objects after the frame before.
        found: Detections of this frame, best score first.
        cut: bool [len(found)], see ``find_cut``. Such a box gives way to a held object.
        looks: The looks of this frame; none in an idle frame.
        keep: bool [rows, cols], True = observed in this frame. What a look shows outside of it was dropped, and
            is not missed.
        image_wh: Width and height of the image.
        full_scale: Image pixels per input pixel of the looks at the highest resolution.
        frame: Number of the frame; rises from call to call.
        motion: Of the image since the frame before. None: not known.

    Returns:
        The objects after this frame, and their detections, best score first: as found or, where an object was not
        found, where it has moved to.
    """
    tracks, misses_of, described = held.tracks, held.misses, describe_looks(looks, image_wh, full_scale)
    if len(tracks):
        shift, growth = NO_SHIFT, NO_GROWTH
        followed = _choose_followed(held)
        if motion is not None:
            shift, growth = motion.of(
                tracks.predicted_boxes if len(tracks) <= MOST_FOLLOWED else tracks.predicted_boxes[followed])
        boxes, visible = np.empty((len(tracks), 4)), np.empty(len(tracks), bool)
        are_all = kernels.move_held(tracks.predicted_boxes, tracks.velocity, float(frame - tracks.last_frame), followed,
                                    shift, growth, described[2], LEAST_VISIBLE, boxes, visible)
        tracks = tracks.at(frame, boxes, tracks.last_detected)
        if not are_all:
            tracks, misses_of = tracks.select(visible), misses_of[visible]
    if not looks:
        tracks = tracks.at(frame, tracks.predicted_boxes, np.full(len(tracks), frame, np.int64))
        held = HeldObjects(tracks, misses_of, held.agreement, held.elapsed, held.trust)
        return held, _report(held, np.full(len(tracks), -1), found, image_wh)
    whole = found
    excluded: np.ndarray = np.zeros(len(tracks), bool)
    if cut.any():
        whole = found.take(~cut)
        if len(tracks):
            found, kept_ids = _drop_cut(tracks, found, cut)
            excluded = np.isin(tracks.ids, kept_ids)
    values, shown = _values_of(found), np.empty(len(tracks), bool)
    held_sum, total, elapsed = kernels.compare_shown(
        (tracks.predicted_boxes, tracks.class_ids, tracks.scores, tracks.last_observed), misses_of, excluded,
        values if whole is found else _values_of(whole), described, SEEN_SHARE, np.ascontiguousarray(keep),
        MASKED_SHARE, PREDICTED_IOU, frame, shown)
    agreement = Agreement(held_sum, total).scale(EVIDENCE)
    trust = TRUST_MEMORY * held.trust + (1.0 - TRUST_MEMORY) * agreement.share
    room = make_arrays(len(tracks) + len(found))
    misses, detection_of = np.empty((2, len(room[0])), np.int64)
    count, next_id = kernels.update_held(
        tracks.arrays, misses_of, shown, (*values, np.ones(len(found), bool)), frame, tracks.next_id, SAME_PLACE_IOU,
        MOST_MISSES if trust >= TRUSTED else 1, room, misses, detection_of)
    tracks = Tracks.of([array[:count] for array in room], next_id, frame)
    held = HeldObjects(tracks, misses[:count], agreement, round(elapsed), trust)
    return held, _report(held, detection_of, found, image_wh)


def _values_of(found: Detections) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, classes and scores of detections, for kernels."""
    return (found.boxes.astype(np.float64), found.class_ids.astype(np.int64),
            found.scores.astype(np.float32, copy=False))


def _choose_followed(held: HeldObjects) -> np.ndarray:
    """The objects that move with the image, bool [n]."""
    count = len(held.tracks)
    followed = np.ones(count, bool)
    if count > MOST_FOLLOWED:
        scores = held.tracks.scores * MISS_FACTOR ** held.misses
        followed[np.argpartition(scores, count - MOST_FOLLOWED)[:count - MOST_FOLLOWED]] = False
    return followed


def _drop_cut(tracks: Tracks, found: Detections, cut: np.ndarray) -> tuple[Detections, np.ndarray]:
    """Drops cut boxes that show a part of a held object: the held box is the better one.

    Returns:
        The other detections, and the numbers of these objects.
    """
    inside = covered_fraction(found.boxes[cut].astype(np.float64), tracks.predicted_boxes)
    same = (inside >= CUT_INSIDE) & (found.class_ids[cut][:, None] == tracks.class_ids)
    kept = np.ones(len(found), bool)
    kept[np.flatnonzero(cut)[same.any(axis=1)]] = False
    return found.take(kept), tracks.ids[same.any(axis=0)]


def _report(held: HeldObjects, detection_of: np.ndarray, found: Detections, image_wh: tuple[int, int]) -> Detections:
    """What is reported of the objects."""
    tracks, count = held.tracks, len(held.tracks)
    reported = (np.empty((count, 4), np.float32), np.empty(count, np.float32), np.empty(count, np.int32),
                np.empty(count, np.int64), np.empty(count, bool))
    kernels.report_objects((tracks.ids, tracks.predicted_boxes, tracks.class_ids, tracks.scores), held.misses, _FACTORS,
                   detection_of, found.boxes, np.float32(image_wh[0]), np.float32(image_wh[1]), reported)
    return Detections(*reported)
