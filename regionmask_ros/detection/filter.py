"""Which detections are reported: classes, a threshold for each, and how many at most."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.detections import Detections
from ..errors import UserError, quote_outside

SIMILARITY = 0.5
"""From this similarity on, a class is offered for an unknown name."""

MAX_NAME = 100
"""Characters of an unknown name that are compared."""


@dataclass(frozen=True)
class DetectionFilter:
    """Chooses the detections that are reported.

    Attributes:
        thresholds: float32 [classes], lowest score that is reported of each class; infinite: the class is not reported.
        lowest: The lowest of them.
        most: Largest number of detections that is reported, the best ones; 0: all.
    """

    thresholds: np.ndarray
    lowest: float
    most: int = 0

    @classmethod
    def of(cls, labels: tuple[str, ...], score_threshold: float, classes: tuple[str, ...] = (),
           class_thresholds: tuple[tuple[str, float], ...] = (), most: int = 0) -> DetectionFilter:
        """Makes a filter from names.

        Args:
            labels: The network's classes.
            score_threshold: Lowest score of a class without a threshold of its own.
            classes: Those that are reported; none: all.
            class_thresholds: Pairs of a class and its threshold.
            most: See above.

        Returns:
            The filter.

        Raises:
            UserError: A name is not among the labels.
        """
        thresholds = [score_threshold] * len(labels)
        for name, threshold in class_thresholds:
            thresholds[_find_class(name, labels)] = threshold
        wanted = {_find_class(name, labels) for name in classes} or set(range(len(labels)))
        limits = [t if number in wanted else np.inf for number, t in enumerate(thresholds)]
        return cls(np.array(limits, np.float32), min(limits, default=score_threshold), most)

    def of_wanted_classes(self, found: Detections) -> Detections:
        """Those of classes that are reported, whatever their scores, in the same order."""
        return found if self.selects_all else found.take(np.isfinite(self.thresholds[found.class_ids]))

    @cached_property
    def _single_threshold(self) -> bool:
        return bool((self.thresholds == self.thresholds[:1]).all())

    @cached_property
    def selects_all(self) -> bool:
        """Whether all classes are reported."""
        return bool(np.isfinite(self.thresholds).all())

    def apply(self, found: Detections) -> Detections:
        """Chooses detections.

        This may follow the suppression of overlaps: it works within a class, where a box only goes for a better one.

        Args:
            found: Best score first, each at or above ``lowest``.

        Returns:
            Those that are reported, in the same order.
        """
        if self._single_threshold and not self.most:
            return found.with_min_score(self.lowest)
        kept = np.flatnonzero(found.scores >= self.thresholds[found.class_ids])
        if self.most:
            kept = kept[:self.most]
        return found if len(kept) == len(found) else found.take(kept)


def _find_class(name: str, labels: tuple[str, ...]) -> int:
    if name in labels:
        return labels.index(name)
    # The search takes time by the square of the length, and the name may come from anyone.
    close = difflib.get_close_matches(name[:MAX_NAME], labels, 1, SIMILARITY)
    known = ", ".join(labels[:5]) + " and so on" * (len(labels) > 5)
    hint = f"did you mean {close[0]!r}?" if close else f"it knows {known}"
    raise UserError(f"class {quote_outside(name)}: the network has none of this name; {hint}")
