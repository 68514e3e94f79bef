"""One setting on one sequence: the pipeline in closed loop, and what is noted of every frame."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from ..detection.detections import Detections
from ..detection.flow import Motion, coarse
from ..detection.tracks import Tracks
from ..detection.yolo import decode
from ..frames import Frame
from ..mask.following import followed
from ..metrics.counts import StepCounts
from ..metrics.loihi2_model import SYNOP_PJ, FrameCost, even_cost, rows_cost
from ..network.spec import Network
from ..pipeline import Pipeline, PipelineSettings, PolicyMaker, StepResult
from .scoring import Scorer
from .watched_backend import Watch

SCORED_ABOVE = 0.02
"""Detections are scored from this score on, whatever score steers the mask or is reported."""


@dataclass
class Record:
    """What was noted of the frames of a run, one entry a frame.

    masked_share: 0 to 1. cpu_ms: processor time of the pipeline. mask_ms: the mask stage's part of it, wall time.
    even, rows_low, rows_high: modelled costs; the rows' with a free synop and with the dearest. Empty where the model
    does not apply.
    """

    masked_share: list[float] = field(default_factory=list)
    counts: list[StepCounts] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    mask_ms: list[float] = field(default_factory=list)
    even: list[FrameCost] = field(default_factory=list)
    rows_low: list[FrameCost] = field(default_factory=list)
    rows_high: list[FrameCost] = field(default_factory=list)


class SettingRun:
    """The mask sees only what its own run detects. Scored is a copy of each result with the weak detections, too."""

    def __init__(self, network: Network, settings: PipelineSettings, policy: PolicyMaker | None, scorer: Scorer,
                 extrapolate: bool) -> None:
        self._watch = Watch()
        self._network, self._settings = network, settings
        self.pipeline = Pipeline(network, settings, self._watch.open, policy)
        self.scorer, self.record = scorer, Record()
        self._extrapolate, self._tracks, self._coarse = extrapolate, Tracks.none(), None

    def step(self, number: int, frame: Frame) -> None:
        """number: of the frame, from the start of the sequence."""
        watched, start = self._watch.spent_s, time.thread_time()
        (result,) = self.pipeline.process(frame)
        elapsed = time.thread_time() - start - (self._watch.spent_s - watched)
        self._note(result, elapsed)
        self.scorer.add(number, self._scored(result))

    def close(self) -> None:
        self.pipeline.close()

    def _note(self, result: StepResult, elapsed_s: float) -> None:
        record, watch = self.record, self._watch
        record.masked_share.append(result.mask.masked_share)
        record.counts.append(result.counts)
        record.cpu_ms.append(elapsed_s * 1e3)
        record.mask_ms.append(result.ms["mask"])
        if watch.allocation is None:
            return
        record.even.append(even_cost(watch.allocation, result.counts.synops))
        if watch.rows is not None:
            record.rows_low.append(rows_cost(watch.allocation, watch.rows, SYNOP_PJ.low))
            record.rows_high.append(rows_cost(watch.allocation, watch.rows, SYNOP_PJ.high))

    def _scored(self, result: StepResult) -> Detections:
        picture_wh = result.frame.size_wh
        found = decode(result.head, self._network.head, picture_wh, SCORED_ABOVE, self._settings.nms_iou)
        if not self._extrapolate:
            return found
        picture = coarse(result.frame.pixels)
        motion = None if self._coarse is None else Motion(self._coarse, picture)
        self._coarse = picture
        self._tracks, found = followed(self._tracks, found, result.mask.keep, picture_wh, result.index, motion)
        return found


def steady(values: list) -> np.ndarray:
    """All frames but the first, which sends everything whatever the mask; a single frame counts itself."""
    return np.asarray(values[1:] or values, np.float64)
