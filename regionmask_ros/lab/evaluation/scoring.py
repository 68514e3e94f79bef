"""Accuracy of a run: what was detected in each frame against what was labeled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.detections import UNTRACKED, Detections
from ...datasets.labels import FrameLabels, Labels
from ...errors import UserError
from ...metrics.average_precision import (
    UNMATCHED,
    FrameMatches,
    PrecisionCurve,
    frame_weights,
    match,
    match_tall,
    mean_over_classes,
)


@dataclass(frozen=True)
class Accuracy:
    """Average precision of a run at an intersection over union of 0.5.

    Attributes:
        ap50: For each scored class, 0 to 100; nan for one without an object in the scored frames.
        map50: Their mean.
        map50_tall: As map50, without objects lower than ``average_precision.TALL_PX``.
        resampled: float64 [resamples], map50 of the block bootstrap.
    """

    ap50: Mapping[str, float]
    map50: float
    map50_tall: float
    resampled: np.ndarray


class Scorer:
    """Collects the matches of one run on one sequence, frame by frame.

    Args:
        labels: Of the sequence.
        detector_classes: Names by class id.

    Attributes:
        frames: Number of frames so far.

    Raises:
        UserError: The detector does not know a scored class.
    """

    def __init__(self, labels: Labels, detector_classes: Sequence[str]) -> None:
        self._labels = labels
        self._ids = {}
        for name, detected in labels.counted_class.items():
            ids = [detector_classes.index(one) for one in detected if one in detector_classes]
            if not ids:
                raise UserError(f"class {name!r} is labeled, but the network does not know it: leave it out of the "
                                "labels, or give a network that has the class with --network")
            self._ids[name] = ids
        self._matches: dict[str, list[FrameMatches]] = {name: [] for name in self._ids}
        self._tall: dict[str, list[FrameMatches]] = {name: [] for name in self._ids}
        self._old: set[tuple[str, int]] = set()
        self._first_seen: dict[tuple[str, int], int] = {}
        self._first_found: dict[tuple[str, int], int] = {}
        self._last_seen: dict[tuple[str, int], int] = {}
        self.frames = 0

    def add(self, number: int, found: Detections) -> None:
        """Takes the detections of a frame, whose number counts from the start of the sequence."""
        labels = self._labels.at(number)
        for name, ids in self._ids.items():
            mine = np.isin(found.class_ids, ids)
            objects, ignored = labels.of_class(name)
            matches = match(found.boxes[mine], found.scores[mine], objects, ignored)
            self._matches[name].append(matches)
            self._tall[name].append(match_tall(found.boxes[mine], found.scores[mine], objects, ignored))
            self._note_tracks(number, name, labels, matches)
        self.frames += 1

    def map50(self) -> float:
        """0 to 100, the mean over the scored classes; nan without an object."""
        return mean_over_classes([PrecisionCurve(frames).average_precision() for frames in self._matches.values()])

    def accuracy(self, seed_text: str) -> Accuracy:
        """Computes the accuracy over all frames so far.

        Args:
            seed_text: Decides which frames the bootstrap draws, see ``frame_weights``.

        Returns:
            The accuracy.
        """
        curves = {name: PrecisionCurve(frames) for name, frames in self._matches.items()}
        ap50 = {name: curve.average_precision() for name, curve in curves.items()}
        resampled = np.array([
            mean_over_classes([curve.average_precision(weights) for curve in curves.values()])
            for weights in frame_weights(self.frames, seed_text)])
        tall = mean_over_classes([PrecisionCurve(frames).average_precision() for frames in self._tall.values()])
        return Accuracy(ap50, mean_over_classes(list(ap50.values())), tall, resampled)

    def map50_of(self, first: int, end: int) -> float:
        """As ``Accuracy.map50``, over some of the scored frames.

        Args:
            first: Number of the first of them, counted from 0.
            end: Number behind the last.

        Returns:
            0 to 100; nan without an object in these frames.
        """
        weights = np.zeros(self.frames, np.int64)
        weights[first:end] = 1
        return mean_over_classes(
            [PrecisionCurve(frames).average_precision(weights) for frames in self._matches.values()])

    def delays(self) -> dict[tuple[str, int], tuple[int, bool]]:
        """How long new objects stay undetected.

        Returns:
            For each track that begins after the first scored frame: frames from its first labeled appearance that is
            not ignored to its first match, and True; or without a match, the frames until it is gone, and False.
        """
        delays = {}
        for key, first in self._first_seen.items():
            found = self._first_found.get(key)
            delays[key] = (self._last_seen[key] + 1 - first, False) if found is None else (found - first, True)
        return delays

    def _note_tracks(self, number: int, name: str, labels: FrameLabels, matches: FrameMatches) -> None:
        counted = [i for i, one in enumerate(labels.names) if one == name and not labels.ignore[i]]
        for place, found_by in zip(counted, matches.found_by):
            key = name, int(labels.tracks[place])
            if key[1] == UNTRACKED:
                continue
            if self.frames == 0:
                self._old.add(key)
            if key in self._old:
                continue
            self._first_seen.setdefault(key, number)
            self._last_seen[key] = number
            if found_by != UNMATCHED:
                self._first_found.setdefault(key, number)


def delay_figures(run: Scorer, reference: Scorer) -> dict[str, float | int | None]:
    """Frames by which new objects are found later than in the reference run: median and 95th percentile over tracks.

    Tracks that the reference run never finds are left out: no mask can find them. One that only the reference run
    finds counts until it is gone.

    Args:
        run: The run of one setting.
        reference: The unmasked run.

    Returns:
        Figures in JSON's types.
    """
    expected = reference.delays()
    later = [delay - expected[key][0] for key, (delay, _) in run.delays().items() if expected[key][1]]
    median, p95 = np.percentile(later, [50, 95]) if later else (None, None)
    return {
        "median": None if median is None else round(float(median), 2),
        "p95": None if p95 is None else round(float(p95), 2),
        "tracks": len(later),
    }
