"""How many labelled objects a mask leaves whole, and how many of those that no box tells of yet.

Every way of scoring regions sees the same frames of an unmasked run, in order, with that run's boxes of the frame
before. One threshold for all sequences then masks the wanted share of regions in the mean; the share of a single frame
is free. No frame is skipped, no refresh is counted, and nothing here feeds back: the closed loop is ``evaluate``'s.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ...core.grid import RegionGrid, coverage
from ...datasets.labels import FrameLabels, LabelledSequence
from ...errors import UserError
from ...mask.composer import MaskComposer
from ...mask.mgnet.source import MgnetMask, add_box_scores
from ...mask.mgnet.weights import MaskWeights
from ...mask.source import DYNAMIC, MaskContext, StatelessSource
from ...mask.tracking import TrackingSource
from ...network.graph import Network
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings

WHOLE_SHARE = 0.8
"""An object is attended when so much of its box is."""

KNOWN_SHARE = 0.5
"""An object of which the last boxes cover less is a newcomer."""

MIN_HEIGHT_PX = 24
PAINT_PX = 4
"""Last boxes are painted on squares of so many pixels, to see how much of an object they cover together."""

TIE_TOLERANCE = 1e-3
"""Equal scores are parted by chance, by at most that much."""

Scorer = Callable[[MaskContext], np.ndarray]


@dataclass
class _Notes:
    """What was seen of one sequence.

    scores: by method, float32 [rows, cols] a frame. us: processor time of each, by method.
    objects: boxes a frame, float64 [n, 4] in picture pixels. new: bool [n] a frame. detector_mmac: of a dense run.
    """

    scores: dict[str, list[np.ndarray]]
    us: dict[str, list[float]]
    objects: list[np.ndarray] = field(default_factory=list)
    new: list[np.ndarray] = field(default_factory=list)
    image_wh: tuple[int, int] = (0, 0)
    detector_mmac: float = 0.0


def make_scorers(weights: Mapping[str, MaskWeights]) -> dict[str, Scorer]:
    """Ways to score regions by name, for one sequence; of each network alone, with boxes, and on news only."""
    chance = np.random.default_rng(0)
    found: dict[str, Scorer] = {
        "random": lambda cues: chance.random(cues.grid.shape, np.float32),
        "motion": lambda cues: cues.frame_view.change,
        "boxes+ring, then motion": lambda cues: cues.frame_view.change + TrackingSource().propose(cues),
    }
    for name, one in weights.items():
        found[name] = _NetworkScorer(MgnetMask(one, every_frame=True), boxes=False)
        found[f"{name}+boxes"] = _NetworkScorer(MgnetMask(one, every_frame=True), boxes=True)
        found[f"{name}+boxes, on news"] = _NetworkScorer(MgnetMask(one), boxes=True)
    return found


class _NetworkScorer:
    """A network's scores, with or without those of the last boxes."""

    def __init__(self, mask: MgnetMask, boxes: bool) -> None:
        self.mask, self._boxes = mask, boxes

    def __call__(self, cues: MaskContext) -> np.ndarray:
        self.mask.propose(cues)
        return add_box_scores(self.mask.last_scores, cues) if self._boxes else self.mask.last_scores


class _ScoreCollector(StatelessSource):
    """A dynamic mask that attends everything, and notes what others would have said."""

    name = DYNAMIC

    def __init__(self, methods: Mapping[str, Scorer], sequence: LabelledSequence, notes: _Notes) -> None:
        self._methods, self._labels, self._notes = methods, sequence.labels, notes

    def propose(self, cues: MaskContext) -> np.ndarray:
        notes = self._notes
        # The picture and its change are there anyway: the encoder's resize, and a cue that it shares.
        _ = cues.frame_view.change
        for name, method in self._methods.items():
            start = time.thread_time()
            scores = np.array(method(cues), np.float32)
            notes.us[name].append((time.thread_time() - start) * 1e6)
            notes.scores[name].append(scores)
        boxes = _objects(self._labels.at(cues.frame), self._labels.classes)
        notes.objects.append(boxes)
        notes.new.append(_covered_share(boxes, cues) < KNOWN_SHARE)
        notes.image_wh = cues.image_wh
        return cues.grid.full(True)


def measure(network: Network, sequences: Sequence[LabelledSequence], weights: Mapping[str, MaskWeights],
            settings: PipelineSettings, masked_share: float, tick: Callable[[], None] = lambda: None) -> list[dict]:
    """One row a method: recall and newcomers in percent, in the mean over sequences and of each.

    weights: by name of the network. settings: of the unmasked run. Raises UserError where nothing is labelled that
    counts.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        looks: dict[str, list[MgnetMask]] = {}
        notes = {}
        for sequence in sequences:
            methods = make_scorers(weights)
            notes[sequence.name] = _observe_sequence(network, sequence, methods, settings, tick)
            for name, method in methods.items():
                looks.setdefault(name, []).append(method.mask if isinstance(method, _NetworkScorer) else None)
    finally:
        cv2.setNumThreads(before)
    for name, one in notes.items():
        if not any(map(len, one.objects)):
            raise UserError(f"{name}: no labelled object is taller than {MIN_HEIGHT_PX} pixels")
    detector = [one.detector_mmac for one in notes.values()]
    return [{**_row(name, notes, masked_share), **_effort(masks), "detector_mmac": (min(detector), max(detector))}
            for name, masks in looks.items()]


def _observe_sequence(network: Network, sequence: LabelledSequence, methods: Mapping[str, Scorer],
             settings: PipelineSettings, tick: Callable[[], None]) -> _Notes:
    notes = _Notes({name: [] for name in methods}, {name: [] for name in methods})
    watcher = _ScoreCollector(methods, sequence, notes)
    pipeline = Pipeline(network, settings, composer_factory=lambda grid, wh: MaskComposer(grid, wh, [watcher]))
    with sequence.open() as source, contextlib.closing(pipeline):
        for frame in source.frames():
            pipeline.process(frame)
            tick()
        notes.detector_mmac = sum(network.dense_macs(pipeline.input_size)) / 1e6
    # The first frame follows nothing: there are no boxes, and all of it is new.
    for series in (*notes.scores.values(), *notes.us.values(), notes.objects, notes.new):
        del series[0]
    return notes


def _objects(labels: FrameLabels, classes: Sequence[str]) -> np.ndarray:
    counted = np.array([name in classes for name in labels.names], bool) & ~labels.ignore
    boxes = labels.boxes[counted]
    return boxes[boxes[:, 3] - boxes[:, 1] > MIN_HEIGHT_PX]


def _covered_share(boxes: np.ndarray, cues: MaskContext) -> np.ndarray:
    """float64 [n]: share of each box that the last boxes cover together."""
    width, height = cues.image_wh
    paint = RegionGrid(-(-height // PAINT_PX), -(-width // PAINT_PX))
    return coverage(boxes, paint.cover(cues.last.boxes, cues.image_wh), cues.image_wh)


def _row(name: str, notes: Mapping[str, _Notes], masked_share: float) -> dict:
    chance = np.random.default_rng(1)
    parted = {key: [s + TIE_TOLERANCE * chance.random(s.shape, np.float32) for s in one.scores[name]]
              for key, one in notes.items()}
    threshold = _threshold([np.concatenate([s.ravel() for s in scores]) for scores in parted.values()], masked_share)
    each = {key: _of_sequence(one, parted[key], threshold) for key, one in notes.items()}
    us = np.concatenate([one.us[name] for one in notes.values()])
    new = [one["newcomers"] for one in each.values() if one["newcomers"] is not None]
    return {
        "method": name, "recall": float(np.mean([one["recall"] for one in each.values()])),
        "newcomers": float(np.mean(new)) if new else None, **_pooled(each.values()), "threshold": float(threshold),
        "masked_share": float(np.mean([one["masked_share"] for one in each.values()])),
        "us_median": float(np.median(us)), "us_mean": float(np.mean(us)), "sequences": each,
    }


def _pooled(each: Collection[dict]) -> dict:
    """The same over all objects, wherever they were: a sequence with four newcomers then has little weight."""
    parts = {}
    for name, count in (("recall", "objects"), ("newcomers", "new_objects")):
        counted = [(one[name], one[count]) for one in each if one[count]]
        total = sum(number for _, number in counted)
        parts[f"{name}_pooled"] = sum(value * number for value, number in counted) / total if total else None
    return parts


def _threshold(scores: Sequence[np.ndarray], masked_share: float) -> float:
    """The score that masks so much in the mean over sequences, each of which counts the same."""
    values = np.concatenate(scores)
    weight = np.concatenate([np.full(len(one), 1.0 / len(one)) for one in scores]) / len(scores)
    order = np.argsort(values, kind="stable")
    return float(values[order][np.searchsorted(np.cumsum(weight[order]), masked_share)])


def _of_sequence(notes: _Notes, scores: Sequence[np.ndarray], threshold: float) -> dict:
    attended, kept = [], []
    for boxes, one in zip(notes.objects, scores):
        keep = one > threshold
        kept.append(keep.mean())
        attended.append(coverage(boxes, keep, notes.image_wh) >= WHOLE_SHARE)
    whole, new = np.concatenate(attended), np.concatenate(notes.new)
    return {
        "recall": 100.0 * float(whole.mean()), "newcomers": 100.0 * float(whole[new].mean()) if new.any() else None,
        "objects": len(whole), "new_objects": int(new.sum()), "masked_share": 1.0 - float(np.mean(kept)),
    }


def _effort(masks: Sequence[MgnetMask | None]) -> dict:
    """In what share of the frames a network was run, and its lowest and highest number of MMAC a run."""
    if None in masks:
        return {"looks_share": None, "mmac": None}
    macs = [mask.macs / 1e6 for mask in masks]
    looks = sum(mask.runs for mask in masks) / max(1, sum(mask.frames for mask in masks))
    return {"looks_share": looks, "mmac": (min(macs), max(macs))}
