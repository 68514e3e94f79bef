"""Objects of a dense network, held between the looks that show them.

A dense network shows an object only where it looks. In between, the object's box moves with the image
(``tracking.motion``). A look that should show an object and does not is a miss: the object's score falls, and three
misses end it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..core.boxes import covered_fraction, iou_matrix
from ..core.detections import Detections
from ..core.grid import coverage
from ..core.look import Look
from .guard import Agreement, compare
from .motion import OpticalFlow
from .tracker import Tracks, associate, predict

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

    def select(self, which: np.ndarray) -> HeldObjects:
        """Some of the objects. The argument is bool [n]."""
        return self if which.all() else replace(self, tracks=self.tracks.select(which), misses=self.misses[which])


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


def find_shown(boxes: np.ndarray, looks: Sequence[Look], image_wh: tuple[int, int], full_scale: float) -> np.ndarray:
    """Finds objects that one of the looks should show.

    Args:
        boxes: float64 [n, 4], where the objects are, in image pixels.
        looks: Of this frame.
        image_wh: Width and height of the image.
        full_scale: Image pixels per input pixel of the looks at the highest resolution.

    Returns:
        bool [n].
    """
    shown = np.zeros(len(boxes), bool)
    boxes = np.clip(boxes, 0.0, np.array(image_wh * 2, np.float64))
    inside = covered_fraction(boxes, np.array([look.window for look in looks])) >= SEEN_SHARE
    for look, whole in zip(looks, inside.T):
        large: np.ndarray | bool = True
        if max(look.scale) > 1.25 * full_scale:
            large = ((boxes[:, 2:] - boxes[:, :2]) / np.array(look.scale)).min(axis=1) >= SMALLEST_PX
        shown |= whole & large
    return shown


def hold_objects(held: HeldObjects, found: Detections, cut: np.ndarray, looks: Sequence[Look], keep: np.ndarray,
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
    tracks = held.tracks
    if len(tracks):
        tracks = predict(tracks, _choose_followed(held), motion, frame)
        visible = covered_fraction(tracks.predicted_boxes, np.array([(0, 0, *image_wh)]))[:, 0] >= LEAST_VISIBLE
        held = replace(held, tracks=tracks).select(visible)
        tracks = held.tracks
    if not looks:
        return _report(_at(held, frame), np.full(len(tracks), -1), found, image_wh)
    shown = find_shown(tracks.predicted_boxes, looks, image_wh, full_scale)
    shown &= coverage(tracks.predicted_boxes, keep, image_wh) > MASKED_SHARE
    whole = found.take(~cut) if cut.any() else found
    if len(tracks) and cut.any():
        found, kept_ids = _drop_cut(tracks, found, cut)
        shown &= ~np.isin(tracks.ids, kept_ids)
    predicted = shown & (held.misses == 0)
    agreement = compare(tracks, predicted, whole).scale(EVIDENCE)
    elapsed = round(float(np.median(frame - tracks.last_observed[predicted]))) if predicted.any() else 0
    before, misses_of = tracks.ids, held.misses
    tracks, object_of = associate(tracks, found, np.ones(len(found), bool), frame)
    detection_of = np.full(len(tracks), -1)
    detection_of[object_of] = np.arange(len(found))
    # Objects keep their order, and new ones come last.
    misses = np.zeros(len(tracks), np.int64)
    place = np.searchsorted(tracks.ids, before)
    misses[place] = misses_of + shown
    misses[detection_of >= 0] = 0
    trust = TRUST_MEMORY * held.trust + (1.0 - TRUST_MEMORY) * agreement.share
    gone = misses >= (MOST_MISSES if trust >= TRUSTED else 1)
    gone |= (misses > 0) & _is_covered(tracks, detection_of, found)
    held = _at(HeldObjects(tracks, misses, agreement, elapsed, trust), frame)
    return _report(held.select(~gone), detection_of[~gone], found, image_wh)


def _choose_followed(held: HeldObjects) -> np.ndarray:
    """The objects that move with the image, bool [n]."""
    count = len(held.tracks)
    followed = np.ones(count, bool)
    if count > MOST_FOLLOWED:
        scores = held.tracks.scores * MISS_FACTOR ** held.misses
        followed[np.argpartition(scores, count - MOST_FOLLOWED)[:count - MOST_FOLLOWED]] = False
    return followed


def _at(held: HeldObjects, frame: int) -> HeldObjects:
    tracks = held.tracks
    return replace(held, tracks=tracks.at(frame, tracks.predicted_boxes, np.full(len(tracks), frame, np.int64)))


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


def _is_covered(tracks: Tracks, detection_of: np.ndarray, found: Detections) -> np.ndarray:
    """Missed objects that lie on a detection of their class: the same object, found once more. bool [n]."""
    covered = np.zeros(len(tracks), bool)
    missed = np.flatnonzero(detection_of < 0)
    if len(missed) and len(found):
        overlap = iou_matrix(tracks.predicted_boxes[missed], found.boxes.astype(np.float64))
        same = tracks.class_ids[missed][:, None] == found.class_ids[None, :]
        covered[missed] = ((overlap > SAME_PLACE_IOU) & same).any(axis=1)
    return covered


def _report(held: HeldObjects, detection_of: np.ndarray, found: Detections, image_wh: tuple[int, int]
            ) -> tuple[HeldObjects, Detections]:
    """What is reported of the objects."""
    tracks, matched = held.tracks, detection_of >= 0
    boxes = tracks.predicted_boxes.astype(np.float32)
    boxes[matched] = found.boxes[detection_of[matched]]
    boxes = np.clip(boxes, 0, np.array(image_wh * 2, np.float32))
    scores = (tracks.scores * MISS_FACTOR ** held.misses).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    reported = Detections(boxes, scores, tracks.class_ids.astype(np.int32), tracks.ids, ~matched)
    return held, reported.take(order)
