"""All settings on one sequence, side by side: each frame is decoded once, and every setting processes it in turn."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from ...backends import open_backend
from ...backends.base import Backend, BackendResult, IsCancelled, never_cancelled
from ...core.detections import Detections
from ...core.events import Events
from ...core.frame import Frame
from ...core.grid import RegionGrid
from ...core.options import Value
from ...core.result import StepCounts, StepResult
from ...datasets.labels import LabelledSequence, Labels
from ...datasets.moved_view import ViewShift, shift_view
from ...detection.filter import DetectionFilter
from ...errors import UserError
from ...mask.heat import compute_heat
from ...metrics.loihi2 import SYNOP_PJ, Allocation, FrameCost, RowSynops, allocate, even_cost, rows_cost
from ...network.graph import Network
from ...pipeline.composition import ComposerFactory
from ...pipeline.interpreter import Interpreter, InterpreterState
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings
from ...sources import Source
from ...tracking.motion import downsample
from .scoring import Scorer
from .settings import DETECTOR, LABELS, NOTHING, REFRESH_PERIOD, UNMASKED, SequenceContext, Setting, parse_setting


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
        even: Modeled cost with synops spread evenly over cores.
        rows_low: Modeled cost with rows spread over cores and a free synop.
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
        extrapolate: Whether boxes move on while their regions are masked.

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
        self._interpreter = Interpreter(network.head, settings.nms_iou, reported, SCORED_ABOVE if extrapolate else None)
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


MIN_SCORED = 2
"""Frames. A single one would be the first frame, which sends everything."""

SETTLING_FRAMES = 8 * REFRESH_PERIOD
"""Frames, eight refresh periods, in which a mask may adapt after the view has moved."""


@dataclass(frozen=True)
class SequenceRuns:
    """The runs of all settings on one sequence.

    Attributes:
        name: Of the sequence.
        runs: By the name of the setting.
        baseline: The unmasked run that gains and delays refer to.
        first_frame: Number of the first scored frame.
        input_wh: Width and height of the network's input.
        move: How the view moves; None where it stays.
    """

    name: str
    runs: Mapping[str, SettingRun]
    baseline: SettingRun
    first_frame: int
    input_wh: tuple[int, int]
    move: ViewShift | None = None


def evaluate_sequence(network: Network, sequence: LabelledSequence, settings: Sequence[Setting], base: PipelineSettings,
                      calibration_share: float, tick: Callable[[], object] = lambda: None, moved_share: float = 0.0,
                      tuned: bool = True) -> SequenceRuns:
    """Runs the settings on what is left of the sequence after the calibration share, each from a reset on.

    Args:
        network: The network.
        sequence: The sequence with its labels.
        settings: What is compared.
        base: Input size, arithmetic and thresholds of all settings; its mask is not used.
        calibration_share: Share of the sequence, 0 to below 1, that settings learn from.
        tick: Called once a frame.
        moved_share: The view moves by that share of its width in the middle of the scored part; 0: it stays.
        tuned: Whether settings that have tuned thresholds use them.

    Returns:
        The runs, one for each setting, and the unmasked one.

    Raises:
        UserError: The sequence is too short.
    """
    with sequence.open() as source:
        count = source.frame_count or sequence.labels.last_frame + 1
    first, move = round(calibration_share * count), None
    if count - first < MIN_SCORED:
        raise UserError(f"{sequence.name}: {count} frames are too few to learn on {first} and score the rest")
    if moved_share:
        move = ViewShift(moved_share, (first + count) // 2)
        sequence = shift_view(sequence, move)
        if count - move.frame <= SETTLING_FRAMES:
            raise UserError(f"{sequence.name}: {count - move.frame} frames after the view has moved are too few: "
                            f"{SETTLING_FRAMES} of them are for settling")
    with sequence.open() as source, _single_opencv_thread():
        input_wh = base.input_wh(source.size_wh)
        base = replace(base, input_size=input_wh, mask="none")
        frames = _number_frames(source, tick)
        heats = _Calibration(network, sequence, settings, base, first, source.size_wh, input_wh).learn(frames)
        runs = _open(network, sequence.labels, settings, base, heats, first, tuned)
        try:
            _interleave(frames, runs)
        finally:
            for run in runs.values():
                run.close()
    baseline = runs[_baseline().name]
    return SequenceRuns(sequence.name, {s.name: runs[s.name] for s in settings}, baseline, first, input_wh, move)


def _number_frames(source: Source, tick: Callable[[], object]) -> Iterator[tuple[int, Frame]]:
    for number, frame in enumerate(source.frames()):
        yield number, frame
        tick()


def _baseline() -> Setting:
    """What gains refer to: unmasked, trained thresholds."""
    return parse_setting(f"{UNMASKED}:trained")


class _Calibration:
    """What settings learn on the first part of a sequence, and on nothing else of it."""

    def __init__(self, network: Network, sequence: LabelledSequence, settings: Sequence[Setting],
                 base: PipelineSettings, frames: int, image_wh: tuple[int, int], input_wh: tuple[int, int]) -> None:
        self._network, self._base, self._frames = network, base, frames
        self._labels, self._image_wh = sequence.labels, image_wh
        self._grid = RegionGrid.of_input(input_wh)
        self._learns = {setting.recipe.learns for setting in settings}
        if frames == 0 and self._learns & {DETECTOR, LABELS}:
            learners = ", ".join(s.name for s in settings if s.recipe.learns in (DETECTOR, LABELS))
            raise UserError(f"{sequence.name}: {learners} must learn first: give a calibration share above 0")

    def learn(self, frames: Iterator[tuple[int, Frame]]) -> dict[str, np.ndarray]:
        """Takes the calibration frames out of ``frames``; the heat of each kind of learning, float64 [rows, cols]."""
        heats = {kind: np.zeros(self._grid.shape) for kind in (NOTHING, DETECTOR, LABELS)}
        for number in range(self._frames):
            heats[LABELS] += self._of_labels(number)
        with contextlib.closing(Pipeline(self._network, self._base)) as detector:
            for _ in range(self._frames):
                _, frame = next(frames)
                if DETECTOR in self._learns:
                    (result,) = detector.process(frame)
                    heats[DETECTOR] += compute_heat(result.detections.boxes, self._grid, frame.size_wh)
        return heats

    def _of_labels(self, number: int) -> np.ndarray:
        labels = self._labels.at(number)
        return compute_heat(labels.boxes[~labels.ignore], self._grid, self._image_wh)


def _open(network: Network, labels: Labels, settings: Sequence[Setting], base: PipelineSettings,
          heats: Mapping[str, np.ndarray], first: int, tuned: bool) -> dict[str, SettingRun]:
    runs = {}
    for setting in (_baseline(), *settings):
        recipe = setting.recipe
        known = SequenceContext(setting.share, heats[recipe.learns], labels, first, base.mgnet_weights)
        composer = recipe.composer(known) if recipe.composer else None
        runs[setting.name] = SettingRun(network, setting.settings(base, tuned), composer,
                                        Scorer(labels, network.labels), recipe.extrapolate)
    return runs


def _interleave(frames: Iterator[tuple[int, Frame]], runs: Mapping[str, SettingRun]) -> None:
    """Runs all settings on each frame.

    Each frame has an order of its own, the same in every evaluation, so that no run always finds the processor's caches
    as the same other run left them.
    """
    orders, all_runs = np.random.default_rng(0), list(runs.values())
    for number, frame in frames:
        for place in orders.permutation(len(all_runs)):
            all_runs[place].step(number, frame)


@contextlib.contextmanager
def _single_opencv_thread() -> Iterator[None]:
    """Keeps OpenCV in the caller's thread inside the block, because only that thread's time is measured."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
