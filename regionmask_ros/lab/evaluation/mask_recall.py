"""Recall of masks: how many labeled objects a mask observes as a whole, and how many of the newcomers among them.

All methods of scoring regions see the same frames of an unmasked run, in order, with that run's boxes of the frame
before. One threshold for all sequences then masks the wanted share of regions in the mean; the share of a single frame
varies. There are no refresh frames, no frame is skipped, and masks do not influence later boxes: ``evaluate`` measures
the closed loop.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
from ...network.chain import Network
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings

WHOLE_SHARE = 0.8
"""An object counts as observed when at least this share of its box is."""

KNOWN_SHARE = 0.5
"""An object is a newcomer when the last boxes cover less than this share of it."""

MIN_HEIGHT_PX = 24
PAINT_PX = 4
"""Side of the squares on which the last boxes are drawn, to find the share of an object that they cover together."""

TIE_TOLERANCE = 1e-3
"""Random numbers up to this one are added to scores, so that equal scores differ."""

Scorer = Callable[[MaskContext], np.ndarray]
"""Scores the regions of a frame: float32 [rows, cols]."""


def measure(network: Network, sequences: Sequence[LabelledSequence], weights: Mapping[str, MaskWeights],
            settings: PipelineSettings, masked_share: float, tick: Callable[[], object] = lambda: None
            ) -> list[dict[str, Any]]:
    """Measures the recall of all methods at one masked share.

    Args:
        network: The detector.
        sequences: Labeled sequences.
        weights: Mask networks by name.
        settings: Of the unmasked run.
        masked_share: Share of regions to mask in the mean, 0 to 1.
        tick: Called after each frame.

    Returns:
        One row a method. Recall and newcomers are percentages, as means over sequences, over all objects, and of each
        sequence.

    Raises:
        UserError: A sequence has no labeled object that counts.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        masks: dict[str, list[MgnetMask]] = {}
        records = {}
        for sequence in sequences:
            scorers = make_scorers(weights)
            records[sequence.name] = _run_sequence(network, sequence, scorers, settings, tick)
            for name, scorer in scorers.items():
                masks.setdefault(name, []).extend([scorer.mask] if isinstance(scorer, _NetworkScorer) else [])
    finally:
        cv2.setNumThreads(threads)
    for name, record in records.items():
        if not any(map(len, record.objects)):
            raise UserError(f"{name}: no labeled object is taller than {MIN_HEIGHT_PX} pixels")
    detector = [record.detector_mmac for record in records.values()]
    return [{**_make_row(name, records, masked_share), **_effort(runs), "detector_mmac": (min(detector), max(detector))}
            for name, runs in masks.items()]


def make_scorers(weights: Mapping[str, MaskWeights]) -> dict[str, Scorer]:
    """Makes the methods for one sequence.

    Args:
        weights: Mask networks by name.

    Returns:
        Scorers by name: some without learning, and each network alone, with boxes, and run only when something changes.
    """
    rng = np.random.default_rng(0)
    scorers: dict[str, Scorer] = {
        "random": lambda context: rng.random(context.grid.shape, np.float32),
        "motion": _change,
        "boxes+ring, then motion": lambda context: _change(context) + TrackingSource().propose(context),
    }
    for name, one in weights.items():
        scorers[name] = _NetworkScorer(MgnetMask(one, every_frame=True), boxes=False)
        scorers[f"{name}+boxes"] = _NetworkScorer(MgnetMask(one, every_frame=True), boxes=True)
        scorers[f"{name}+boxes, on news"] = _NetworkScorer(MgnetMask(one), boxes=True)
    return scorers


def _change(context: MaskContext) -> np.ndarray:
    assert context.frame_view is not None, "the pipeline gives sources the frame"
    return context.frame_view.change


class _NetworkScorer:
    """Scores of a mask network, with or without those of the last boxes."""

    def __init__(self, mask: MgnetMask, boxes: bool) -> None:
        self.mask, self._boxes = mask, boxes

    def __call__(self, context: MaskContext) -> np.ndarray:
        self.mask.propose(context)
        scores = self.mask.last_scores
        assert scores is not None
        return add_box_scores(scores, context) if self._boxes else scores


@dataclass
class _SequenceRecord:
    """What was recorded of one sequence, frame by frame.

    Attributes:
        scores: By method, float32 [rows, cols] each.
        us: CPU time of the scores in us, by method.
        objects: Boxes of objects, float64 [n, 4] in image pixels.
        new: Which objects are newcomers, bool [n].
        image_wh: Width and height of the images.
        detector_mmac: Multiply-accumulate operations of a dense run of the detector, in millions.
    """

    scores: dict[str, list[np.ndarray]]
    us: dict[str, list[float]]
    objects: list[np.ndarray] = field(default_factory=list)
    new: list[np.ndarray] = field(default_factory=list)
    image_wh: tuple[int, int] = (0, 0)
    detector_mmac: float = 0.0


class _RecordingSource(StatelessSource):
    """A mask source that observes everything and records the scores of all methods.

    Attributes:
        number: Of the frame in the sequence, to be set before it is processed.
    """

    name = DYNAMIC

    def __init__(self, scorers: Mapping[str, Scorer], sequence: LabelledSequence, record: _SequenceRecord) -> None:
        self._scorers, self._labels, self._record = scorers, sequence.labels, record
        self.number = 0

    def propose(self, context: MaskContext) -> np.ndarray:
        record = self._record
        # Computed before the clock runs: the encoder needs image and change in any case.
        _change(context)
        for name, scorer in self._scorers.items():
            start = time.thread_time()
            scores = np.array(scorer(context), np.float32)
            record.us[name].append((time.thread_time() - start) * 1e6)
            record.scores[name].append(scores)
        boxes = _tall_objects(self._labels.at(self.number), self._labels.classes)
        record.objects.append(boxes)
        record.new.append(_known_share(boxes, context) < KNOWN_SHARE)
        record.image_wh = context.image_wh
        return context.grid.full(True)


def _run_sequence(network: Network, sequence: LabelledSequence, scorers: Mapping[str, Scorer],
                  settings: PipelineSettings, tick: Callable[[], object]) -> _SequenceRecord:
    record = _SequenceRecord({name: [] for name in scorers}, {name: [] for name in scorers})
    recorder = _RecordingSource(scorers, sequence, record)
    pipeline = Pipeline(network, settings, composer_factory=lambda grid, wh: MaskComposer(grid, wh, [recorder]))
    with sequence.open() as source, contextlib.closing(pipeline):
        for recorder.number, frame in source.numbered():
            pipeline.process(frame)
            tick()
        if pipeline.input_size is None:
            raise UserError(f"{sequence.name}: no frames")
        record.detector_mmac = sum(network.dense_macs(pipeline.input_size)) / 1e6
    # The first frame has no last boxes, and all of it is new.
    series: list[list[Any]] = [*record.scores.values(), *record.us.values(), record.objects, record.new]
    for values in series:
        del values[0]
    return record


def _tall_objects(labels: FrameLabels, classes: Sequence[str]) -> np.ndarray:
    counted = np.array([name in classes for name in labels.names], bool) & ~labels.ignore
    boxes = labels.boxes[counted]
    tall: np.ndarray = boxes[boxes[:, 3] - boxes[:, 1] > MIN_HEIGHT_PX]
    return tall


def _known_share(boxes: np.ndarray, context: MaskContext) -> np.ndarray:
    """Share of each box that the last boxes cover together, float64 [n]."""
    width, height = context.image_wh
    paint = RegionGrid(-(-height // PAINT_PX), -(-width // PAINT_PX))
    return coverage(boxes, paint.cover(context.last.boxes, context.image_wh), context.image_wh)


def _make_row(name: str, records: Mapping[str, _SequenceRecord], masked_share: float) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    untied = {key: [s + TIE_TOLERANCE * rng.random(s.shape, np.float32) for s in record.scores[name]]
              for key, record in records.items()}
    threshold = _threshold([np.concatenate([s.ravel() for s in scores]) for scores in untied.values()], masked_share)
    each = {key: _sequence_recall(record, untied[key], threshold) for key, record in records.items()}
    us = np.concatenate([record.us[name] for record in records.values()])
    new = [one["newcomers"] for one in each.values() if one["newcomers"] is not None]
    return {
        "method": name, "recall": float(np.mean([one["recall"] for one in each.values()])),
        "newcomers": float(np.mean(new)) if new else None, **_pooled(each.values()), "threshold": float(threshold),
        "masked_share": float(np.mean([one["masked_share"] for one in each.values()])),
        "us_median": float(np.median(us)), "us_mean": float(np.mean(us)), "sequences": each,
    }


def _pooled(each: Iterable[Mapping[str, Any]]) -> dict[str, float | None]:
    """Percentages over the objects of all sequences: a sequence with few objects has little weight."""
    rows, pooled = list(each), {}
    for name, count in (("recall", "objects"), ("newcomers", "new_objects")):
        total = sum(row[count] for row in rows)
        hits = sum(row[name] * row[count] for row in rows if row[count])
        pooled[f"{name}_pooled"] = hits / total if total else None
    return pooled


def _threshold(scores: Sequence[np.ndarray], masked_share: float) -> float:
    """The score that masks the share in the mean over sequences of equal weight. scores: flat, by sequence."""
    values = np.concatenate(scores)
    weight = np.concatenate([np.full(len(one), 1.0 / len(one)) for one in scores]) / len(scores)
    order = np.argsort(values, kind="stable")
    return float(values[order][np.searchsorted(np.cumsum(weight[order]), masked_share)])


def _sequence_recall(record: _SequenceRecord, scores: Sequence[np.ndarray], threshold: float) -> dict[str, Any]:
    attended, shares = [], []
    for boxes, one in zip(record.objects, scores):
        keep = one > threshold
        shares.append(keep.mean())
        attended.append(coverage(boxes, keep, record.image_wh) >= WHOLE_SHARE)
    hits, new = np.concatenate(attended), np.concatenate(record.new)
    return {
        "recall": 100.0 * float(hits.mean()), "newcomers": 100.0 * float(hits[new].mean()) if new.any() else None,
        "objects": len(hits), "new_objects": int(new.sum()), "masked_share": 1.0 - float(np.mean(shares)),
    }


def _effort(masks: Sequence[MgnetMask]) -> dict[str, Any]:
    """Share of the frames on which a network ran, and the lowest and highest number of MMAC of a run."""
    if not masks:
        return {"looks_share": None, "mmac": None}
    macs = [mask.macs / 1e6 for mask in masks]
    runs = sum(mask.runs for mask in masks) / max(1, sum(mask.frames for mask in masks))
    return {"looks_share": runs, "mmac": (min(macs), max(macs))}
