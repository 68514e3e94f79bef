"""One setting on one sequence: the pipeline in closed loop, and what is recorded of every frame.

The pipeline's backend is observed: the results are the same, and the cost model gets what it needs of each frame.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...backends import open_backend
from ...backends.base import Backend, BackendResult, IsCancelled, never_cancelled
from ...core.detections import Detections
from ...core.events import Events
from ...core.frame import Frame
from ...core.options import Value
from ...core.result import StepCounts, StepResult
from ...detection.filter import DetectionFilter
from ...metrics.loihi2 import SYNOP_PJ, Allocation, FrameCost, RowSynops, allocate, even_cost, rows_cost
from ...network.graph import Network
from ...pipeline.composition import ComposerFactory
from ...pipeline.interpreter import Interpreter, InterpreterState
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings
from ...tracking.motion import downsample
from .scoring import Scorer


class BackendObserver:
    """Opens the backend of a pipeline, and sees every frame that goes through it.

    Attributes:
        rows: Synops by output row of each layer, for the last frame; None where the backend cannot show its layers.
        allocation: How the cost model distributes the network over cores; None where it cannot.
        spent_s: Processor time of this thread that the observation itself has taken.
    """

    def __init__(self) -> None:
        self.rows: list[np.ndarray] | None = None
        self.allocation: Allocation | None = None
        self.spent_s = 0.0

    def open(self, backend: str, network: Network, input_wh: tuple[int, int], arithmetic: str = "",
             given: Mapping[str, Value] | None = None, is_cancelled: IsCancelled = never_cancelled) -> ObservedBackend:
        """As ``backends.open_backend``."""
        start = time.thread_time()
        inner = open_backend(backend, network, input_wh, arithmetic, given, is_cancelled)
        self.allocation = allocate(network, input_wh)
        opened = ObservedBackend(inner, self, network, input_wh)
        self.spent_s += time.thread_time() - start
        return opened


class ObservedBackend:
    """A backend whose frames are observed, see ``backends.base.Backend``."""

    def __init__(self, inner: Backend, observer: BackendObserver, network: Network, input_wh: tuple[int, int]) -> None:
        self._inner, self._observer = inner, observer
        self._network, self._input_wh = network, input_wh
        self.kernels, self.latency_steps = inner.kernels, inner.latency_steps
        self._counter = self._new_counter()

    @property
    def profile(self) -> dict[str, Any] | None:
        """The inner backend's."""
        return self._inner.profile

    def submit(self, events: Events, tag: Any) -> None:
        """Gives a frame to the inner backend, and counts its synops by row."""
        self._inner.submit(events, tag)
        if self._counter is not None:
            start = time.thread_time()
            self._observer.rows = self._counter.step(events)
            self._observer.spent_s += time.thread_time() - start

    def poll(self, timeout_s: float) -> BackendResult | None:
        """The inner backend's."""
        return self._inner.poll(timeout_s)

    def drain(self) -> None:
        """The inner backend's."""
        self._inner.drain()

    def reset(self) -> None:
        """Resets the inner backend, and starts counting anew."""
        self._inner.reset()
        self._counter = self._new_counter()

    def close(self) -> None:
        """Closes the inner backend."""
        self._inner.close()

    def _new_counter(self) -> RowSynops | None:
        """Only a backend that computes at once can show the layers as they are after a frame."""
        state = getattr(self._inner, "layer_state", None)
        return None if state is None else RowSynops(self._network, self._input_wh, state)


SCORED_ABOVE = 0.02
"""Detections are scored from this score on, whatever score steers the mask or is reported."""


@dataclass
class Record:
    """What was recorded of the frames of a run, one entry a frame. Costs are empty where the model does not apply.

    Attributes:
        masked_share: 0 to 1.
        counts: Operations.
        cpu_ms: Processor time of the pipeline.
        mask_ms: The mask stage's part of it, wall time.
        even: Modelled cost with synops spread evenly over cores.
        rows_low: Modelled cost with rows spread over cores and a free synop.
        rows_high: The same with the most expensive synop.
    """

    masked_share: list[float] = field(default_factory=list)
    counts: list[StepCounts] = field(default_factory=list)
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
        extrapolate: Whether boxes move on while their regions are not sent.

    Attributes:
        pipeline: The same as the node's.
        scorer: As given.
        record: What was recorded so far.
    """

    def __init__(self, network: Network, settings: PipelineSettings, composer: ComposerFactory | None, scorer: Scorer,
                 extrapolate: bool) -> None:
        self._observer = BackendObserver()
        self.pipeline = Pipeline(network, settings, self._observer.open, composer)
        self.scorer, self.record = scorer, Record()
        reported = DetectionFilter(np.full(len(network.labels), SCORED_ABOVE, np.float32), SCORED_ABOVE)
        self._interpreter = Interpreter(
            network.head, settings.nms_iou, reported, SCORED_ABOVE if extrapolate else None)
        self._objects = InterpreterState()

    def step(self, number: int, frame: Frame) -> None:
        """Processes one frame, whose number counts from the start of the sequence."""
        spent_s, start = self._observer.spent_s, time.thread_time()
        (result,) = self.pipeline.process(frame)
        elapsed = time.thread_time() - start - (self._observer.spent_s - spent_s)
        self._record(result, elapsed)
        self.scorer.add(number, self._select_scored(result))

    def close(self) -> None:
        """Closes the pipeline."""
        self.pipeline.close()

    def _record(self, result: StepResult, elapsed_s: float) -> None:
        record, observer = self.record, self._observer
        record.masked_share.append(result.mask.masked_share)
        record.counts.append(result.counts)
        record.cpu_ms.append(elapsed_s * 1e3)
        record.mask_ms.append(result.ms["mask"])
        if observer.allocation is None:
            return
        record.even.append(even_cost(observer.allocation, result.counts.synops))
        if observer.rows is not None:
            record.rows_low.append(rows_cost(observer.allocation, observer.rows, SYNOP_PJ.low))
            record.rows_high.append(rows_cost(observer.allocation, observer.rows, SYNOP_PJ.high))

    def _select_scored(self, result: StepResult) -> Detections:
        """The result with its weak detections."""
        frame, interpreter = result.frame, self._interpreter
        found = interpreter.read(self._objects, result.head, result.counts.synops, frame.size_wh)
        small = downsample(frame.pixels) if interpreter.track_score is not None else None
        return interpreter.track(self._objects, found, result.mask.keep, frame.size_wh, result.index, small)


def without_first_frame(values: list) -> np.ndarray:
    """All frames but the first, which sends everything whatever the mask; a single frame is kept."""
    return np.asarray(values[1:] or values, np.float64)
