"""One setting on one sequence: its pipeline, what is scored of it, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.detections import Detections
from ...core.frame import Frame
from ...core.result import StepCounts, StepResult
from ...detection.filter import DetectionFilter
from ...errors import UserError
from ...metrics.cpu_time import measure_cpu
from ...metrics.loihi2 import SYNOP_PJ, FrameCost, even_cost, rows_cost
from ...network.dense import AnyNetwork, DenseNetwork
from ...pipeline.composition import ComposerFactory
from ...pipeline.dense_interpreter import DenseInterpreter
from ...pipeline.interpreter import Interpreter
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings
from ...tracking.motion import downsample
from .observer import BackendObserver
from .scoring import Scorer

SCORED_ABOVE = 0.02
"""Detections are scored from this score on, whatever score steers the mask or is reported."""


@dataclass
class Record:
    """What was recorded of the frames of a run, one entry a frame. Costs are empty where the model does not apply.

    Attributes:
        masked_share: 0 to 1.
        counts: Events and synaptic operations.
        mac_shares: Share of the dense network's MACs that the tile engine did, 0 to 1.
        cpu_ms: Processor time that the process took for the pipeline, all threads together.
        mask_ms: The mask stage's part of it, wall time.
        even: Modeled cost with synops spread evenly over cores.
        rows_low: Modeled cost with rows spread over cores and a free synop.
        rows_high: The same with the most expensive synop.
    """

    masked_share: list[float] = field(default_factory=list)
    counts: list[StepCounts] = field(default_factory=list)
    mac_shares: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    mask_ms: list[float] = field(default_factory=list)
    even: list[FrameCost] = field(default_factory=list)
    rows_low: list[FrameCost] = field(default_factory=list)
    rows_high: list[FrameCost] = field(default_factory=list)


class SettingRun:
    """One setting in closed loop: its masks see only what its own run detects.

    Each result is scored with its weak detections, which a second interpreter adds. It is not the pipeline's own: what
    is tracked there decides what is sent, and must not depend on what is scored.

    Args:
        network: The network.
        settings: Of the pipeline.
        composer: Makes its masks; None: the settings do.
        scorer: Takes the detections.
        extrapolate: Whether boxes move on while their regions are masked. Those of a dense network do under any mask.

    Attributes:
        pipeline: The same as the node's.
        scorer: As given.
        record: What was recorded so far.
    """

    def __init__(self, network: AnyNetwork, settings: PipelineSettings, composer: ComposerFactory | None,
                 scorer: Scorer, extrapolate: bool) -> None:
        self._observer = BackendObserver()
        self.pipeline = Pipeline(network, settings, self._observer.open, composer)
        self.scorer, self.record = scorer, Record()
        reported = DetectionFilter(np.full(len(network.labels), SCORED_ABOVE, np.float32), SCORED_ABOVE)
        if isinstance(network, DenseNetwork):
            extrapolate = bool(settings.active_sources) or composer is not None
        tracked = SCORED_ABOVE if extrapolate else None
        # Any: an interpreter and its state are of one kind.
        self._interpreter: Any = (
            DenseInterpreter(network.head, settings.nms_iou, reported, tracked) if isinstance(network, DenseNetwork)
            else Interpreter(network.head, settings.nms_iou, reported, tracked))
        self._objects = self._interpreter.new_state()

    def step(self, number: int, frame: Frame) -> None:
        """Processes one frame, whose number counts from the start of the sequence.

        Raises:
            UserError: The backend gives results late.
        """
        observed_s = self._observer.spent_s
        results, spent_s = measure_cpu(lambda: self.pipeline.process(frame))
        if len(results) != 1:
            raise UserError(f"backend {self.pipeline.settings.backend}: its results come some frames late, so a mask "
                            "cannot be evaluated on it; use a backend that computes in this process, such as cpu")
        self._record(results[0], spent_s - (self._observer.spent_s - observed_s))
        self.scorer.add(number, self._select_scored(results[0]))

    def close(self) -> None:
        """Closes the pipeline."""
        self.pipeline.close()

    def _record(self, result: StepResult, elapsed_s: float) -> None:
        record, observer = self.record, self._observer
        record.masked_share.append(result.mask.masked_share)
        if result.counts is not None:
            record.counts.append(result.counts)
        if result.tile_counts is not None:
            record.mac_shares.append(result.tile_counts.totals.mac_share)
        record.cpu_ms.append(elapsed_s * 1e3)
        record.mask_ms.append(result.ms["mask"])
        if observer.allocation is None or result.counts is None:
            return
        record.even.append(even_cost(observer.allocation, result.counts.synops))
        if observer.rows is not None:
            record.rows_low.append(rows_cost(observer.allocation, observer.rows, SYNOP_PJ.low))
            record.rows_high.append(rows_cost(observer.allocation, observer.rows, SYNOP_PJ.high))

    def _select_scored(self, result: StepResult) -> Detections:
        """The result with its weak detections."""
        frame, interpreter = result.frame, self._interpreter
        synops = result.counts.synops if result.counts else ()
        found = interpreter.read(self._objects, result.head, synops, frame.size_wh)
        small = downsample(frame.pixels) if interpreter.track_score is not None else None
        scored: Detections = interpreter.track(
            self._objects, found, result.mask.keep, frame.size_wh, result.index, small)
        return scored


def without_first_frame(values: list) -> np.ndarray:
    """All frames but the first, which sends everything whatever the mask; a single frame is kept."""
    return np.asarray(values[1:] or values, np.float64)
