"""Which of the found objects are reported: classes, a threshold for each, and how many at most."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.detections import Detections
from ..errors import UserError

CLOSE_ENOUGH = 0.5
"""Similarity from which on a class is offered for an unknown name."""


@dataclass(frozen=True)
class DetectionFilter:
    """thresholds: float32 [classes], lowest score that is reported of each class; infinite: the class is not reported.

    lowest: the least of them. most: number of objects that is reported at most, the best ones; 0: all.
    """

    thresholds: np.ndarray
    lowest: float
    most: int

    @classmethod
    def of(
        cls, labels: tuple[str, ...], score_threshold: float, classes: tuple[str, ...] = (),
        class_thresholds: tuple[tuple[str, float], ...] = (), most: int = 0,
    ) -> DetectionFilter:
        """classes: names of those that are reported; none: all. class_thresholds: pairs of a name and its threshold.

        Raises UserError for a name that is not among the labels.
        """
        thresholds = [score_threshold] * len(labels)
        for name, threshold in class_thresholds:
            thresholds[_number(name, labels)] = threshold
        wanted = {_number(name, labels) for name in classes} or set(range(len(labels)))
        limits = [t if number in wanted else np.inf for number, t in enumerate(thresholds)]
        return cls(np.array(limits, np.float32), min(limits), most)

    def of_wanted_classes(self, found: Detections) -> Detections:
        """Those of classes that are reported, whatever their scores, in the same order."""
        return found if self._selects_all else found.take(np.isfinite(self.thresholds[found.class_ids]))

    @cached_property
    def _single_threshold(self) -> bool:
        return bool((self.thresholds == self.thresholds[0]).all())

    @cached_property
    def _selects_all(self) -> bool:
        return bool(np.isfinite(self.thresholds).all())

    def apply(self, found: Detections) -> Detections:
        """found: best score first, each at or above ``lowest``. Returns those that are reported, in the same order.

        This may follow the suppression of overlaps: it works within a class, where a box only goes for a better one.
        """
        if self._single_threshold and not self.most:
            return found.with_min_score(self.lowest)
        kept = np.flatnonzero(found.scores >= self.thresholds[found.class_ids])
        if self.most:
            kept = kept[:self.most]
        return found if len(kept) == len(found) else found.take(kept)


def _number(name: str, labels: tuple[str, ...]) -> int:
    if name in labels:
        return labels.index(name)
    close = difflib.get_close_matches(name, labels, 1, CLOSE_ENOUGH)
    hint = f"did you mean {close[0]!r}?" if close else f"it knows {', '.join(labels[:5])} and so on"
    raise UserError(f"class {name!r}: the network has none of this name; {hint}")
