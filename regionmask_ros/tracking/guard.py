"""The guard of a schedule: whether objects are where they were predicted, and how long predictions hold.

A schedule leaves regions unobserved because their objects can be predicted. Where they cannot, as in traffic at one to
three frames a second, the guard shortens the schedule, down to a refresh frame in every frame, and lengthens it again
when predictions hold. It knows nothing of networks: it compares boxes.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from ..core.detections import Detections
from .kernels import sum_agreement
from .tracker import Tracks

SAME_PLACE_IOU = 0.5
"""A prediction holds when it overlaps what was found this much. Average precision counts a box from there on, too."""

FORGET = 0.5
"""Share of the evidence that stays from one comparison to the next at the same horizon."""

PRIOR = 1.0
"""Sum of scores that is taken as held before anything was compared, so that one weak object decides nothing."""

FIRST_HORIZON, MAX_HORIZON = 1, 64
"""Frames. After a reset a schedule begins short, and has its full length after some frames if predictions hold."""

MAX_PATIENCE = 16
"""Comparisons in a row that must hold before the next attempt to lengthen a schedule, at most."""


LEAST_STEADY = 0.9
"""A detector counts as this steady at least: over a single frame, predictions of fast objects may fail as well."""


@dataclass(frozen=True)
class Agreement:
    """What a comparison of predicted with found boxes gave, in sums of scores.

    Attributes:
        held: Of the predicted and of the found boxes that have a counterpart at their place.
        total: Of all.
    """

    held: float
    total: float

    @property
    def share(self) -> float:
        """Share of the boxes that have a counterpart, 0 to 1; near 1 where there are few."""
        return (self.held + PRIOR) / (self.total + PRIOR)

    def scale(self, factor: float) -> Agreement:
        """The same agreement with less or more weight."""
        return Agreement(factor * self.held, factor * self.total)


def compare(known: Tracks, shown: np.ndarray, found: Detections) -> Agreement:
    """Compares predicted with found boxes.

    What is predicted and not found counts against the prediction, and so does what is found and was not predicted: an
    object that has moved away is both. Scores are the weights, because weak objects come and go wherever they are.

    Args:
        known: The objects, predicted for this frame, see ``tracker.predict``.
        shown: bool [n], which of them were detected in the frame before. The others, remembered ones, can explain what
            is found, but are not missed.
        found: The detections of this frame.

    Returns:
        The agreement.
    """
    held, total = sum_agreement(
        (known.predicted_boxes, known.class_ids, known.scores), shown,
        (found.boxes.astype(np.float64), found.class_ids.astype(np.int64), found.scores.astype(np.float32, copy=False)),
        SAME_PLACE_IOU)
    return Agreement(held, total)


@dataclass(frozen=True)
class Guard:
    """What a guard has learned.

    Attributes:
        horizon: Frames over which predictions hold, 1 to ``MAX_HORIZON``.
        held: Evidence for that, in sums of scores.
        total: All evidence.
        patience: Comparisons in a row that must hold before the horizon grows.
        good: Comparisons in a row that held so far.
        trying: Whether the horizon has grown and was not compared since.
        steady: The share that held last over a single frame. What a detector loses and finds again from frame to frame
            is missing in it, too, and a shorter schedule does not bring it back.
    """

    horizon: int = FIRST_HORIZON
    held: float = 0.0
    total: float = 0.0
    patience: int = 1
    good: int = 0
    trying: bool = False
    steady: float = 1.0

    @property
    def held_share(self) -> float:
        """Share of the predictions that hold, 0 to 1, recent ones first; 1 before the first comparison."""
        return (self.held + PRIOR) / (self.total + PRIOR)

    def limit(self, period: int) -> int:
        """The period that a schedule may have, in frames: between 1 and its own."""
        return min(self.horizon, period)

    def update(self, agreement: Agreement, frames_since: int, least: float, forget: float = FORGET) -> Guard:
        """Learns from a comparison.

        Where too few predictions hold, the horizon becomes what it would be if every frame lost the same share of
        them. Where enough hold over the whole horizon, it doubles. An attempt that fails doubles the comparisons that
        must hold before the next one, and one that succeeds halves them.

        Args:
            agreement: From ``compare``.
            frames_since: Frames since everything was last observed, 1 or more.
            least: Share of the predictions that must hold, 0 to 1, of a detector that is steady.
            forget: Share of the evidence that stays; more of it where a comparison sees a part of the objects only.

        Returns:
            The new state.
        """
        now = dataclasses.replace(self, held=forget * self.held + agreement.held,
                                  total=forget * self.total + agreement.total)
        share = now.held_share
        if frames_since == 1:
            now = dataclasses.replace(now, steady=share)
        least *= max(now.steady, LEAST_STEADY)
        if share < least:
            bearable = int(frames_since * math.log(least) / math.log(share))
            horizon = max(1, min(bearable, self.horizon - 1))
            if self.horizon == 1:
                return dataclasses.replace(now, good=0)
            return Guard(horizon, patience=min(2 * self.patience, MAX_PATIENCE), steady=now.steady)
        if frames_since < self.horizon:
            return now
        patience = max(1, self.patience // 2) if self.trying else self.patience
        if self.good + 1 < patience:
            return dataclasses.replace(now, patience=patience, good=self.good + 1, trying=False)
        return Guard(min(2 * self.horizon, MAX_HORIZON), patience=patience, trying=True, steady=now.steady)
