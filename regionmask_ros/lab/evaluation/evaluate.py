"""All settings on one sequence, side by side: each frame is decoded once, and every setting processes it in turn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ...core.frame import Frame
from ...core.grid import RegionGrid
from ...datasets.labels import LabelledSequence, Labels
from ...datasets.moved_view import ViewShift, shift_view
from ...errors import UserError
from ...mask.heat import compute_heat
from ...metrics.cpu_time import paused_garbage_collection
from ...network.chain import Network
from ...network.dense import AnyNetwork
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings
from ...pipeline.warmup import track_an_object
from ...sources import Source
from .scoring import Scorer
from .setting_run import SettingRun
from .settings import (
    DETECTOR,
    LABELS,
    NOTHING,
    REFRESH_PERIOD,
    TRAINED,
    UNMASKED,
    SequenceContext,
    Setting,
    parse_setting,
)

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


def evaluate_sequence(network: AnyNetwork, sequence: LabelledSequence, settings: Sequence[Setting],
                      base: PipelineSettings, calibration_share: float, tick: Callable[[], object] = lambda: None,
                      moved_share: float = 0.0, tuned: bool = True) -> SequenceRuns:
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
    # What is compiled now is not compiled while frames are timed.
    track_an_object()
    with sequence.open() as source, _single_opencv_thread():
        base = replace(base.for_network(network), mask="none")
        input_wh = base.input_wh(source.size_wh, network)
        base = base.fix_input(source.size_wh, network)
        frames = _FrameCounter(source, tick)
        heats = _Calibration(network, sequence, settings, base, first, source.size_wh, input_wh).learn(frames)
        runs = _open(network, sequence.labels, settings, base, heats, lambda: frames.number, tuned)
        try:
            _interleave(frames, runs)
        finally:
            for run in runs.values():
                run.close()
    baseline = runs[_baseline(network).name]
    if baseline.scorer.frames < MIN_SCORED:
        raise UserError(f"{sequence.name}: {baseline.scorer.frames} frames can be scored, the others were dropped")
    return SequenceRuns(sequence.name, {s.name: runs[s.name] for s in settings}, baseline, first, input_wh, move)


class _FrameCounter:
    """Iterates over the frames of a source, in parts.

    Args:
        source: The source.
        tick: Called after each frame.

    Attributes:
        number: Of the frame that is processed now; dropped images count.
    """

    def __init__(self, source: Source, tick: Callable[[], object]) -> None:
        self._frames, self._tick = source.numbered(), tick
        self._next = next(self._frames, None)
        self.number = 0

    def until(self, end: int | None = None) -> Iterator[Frame]:
        """The next frames, as far as their number is below ``end``; None: all."""
        while self._next is not None and (end is None or self._next[0] < end):
            self.number, frame = self._next
            yield frame
            self._tick()
            self._next = next(self._frames, None)


def _baseline(network: AnyNetwork) -> Setting:
    """What gains refer to: unmasked, with trained thresholds where the network has any."""
    return parse_setting(f"{UNMASKED}{TRAINED}" if isinstance(network, Network) else UNMASKED)


class _Calibration:
    """What settings learn on the first part of a sequence, and on nothing else of it."""

    def __init__(self, network: AnyNetwork, sequence: LabelledSequence, settings: Sequence[Setting],
                 base: PipelineSettings, frames: int, image_wh: tuple[int, int], input_wh: tuple[int, int]) -> None:
        self._network, self._base, self._frames = network, base, frames
        self._labels, self._image_wh = sequence.labels, image_wh
        self._grid = RegionGrid.near_input(input_wh)
        self._learns = {setting.recipe.learns for setting in settings}
        if frames == 0 and self._learns & {DETECTOR, LABELS}:
            learners = ", ".join(s.name for s in settings if s.recipe.learns in (DETECTOR, LABELS))
            raise UserError(f"{sequence.name}: {learners} must learn first: give a calibration share above 0")

    def learn(self, frames: _FrameCounter) -> dict[str, np.ndarray]:
        """Takes the calibration frames out of ``frames``; the heat of each kind of learning, float64 [rows, cols]."""
        heats = {kind: np.zeros(self._grid.shape) for kind in (NOTHING, DETECTOR, LABELS)}
        for number in range(self._frames):
            heats[LABELS] += self._of_labels(number)
        with contextlib.closing(Pipeline(self._network, self._base)) as detector:
            for frame in frames.until(self._frames):
                if DETECTOR in self._learns:
                    (result,) = detector.process(frame)
                    heats[DETECTOR] += compute_heat(result.detections.boxes, self._grid, frame.size_wh)
        return heats

    def _of_labels(self, number: int) -> np.ndarray:
        labels = self._labels.at(number)
        return compute_heat(labels.boxes[~labels.ignore], self._grid, self._image_wh)


def _open(network: AnyNetwork, labels: Labels, settings: Sequence[Setting], base: PipelineSettings,
          heats: Mapping[str, np.ndarray], number: Callable[[], int], tuned: bool) -> dict[str, SettingRun]:
    runs = {}
    for setting in {setting.name: setting for setting in (_baseline(network), *settings)}.values():
        recipe = setting.recipe
        known = SequenceContext(setting.share, heats[recipe.learns], labels, number, base.mgnet_weights)
        composer = recipe.composer(known) if recipe.composer else None
        runs[setting.name] = SettingRun(
            network, setting.settings(base, tuned), composer,
            Scorer(labels, network.labels), recipe.extrapolate)
    return runs


def _interleave(frames: _FrameCounter, runs: Mapping[str, SettingRun]) -> None:
    """Runs all settings on each frame.

    Each frame has an order of its own, the same in every evaluation, so that no run always finds the processor's caches
    as the same other run left them.
    """
    orders, all_runs = np.random.default_rng(0), list(runs.values())
    with paused_garbage_collection() as collect_garbage:
        for frame in frames.until():
            for place in orders.permutation(len(all_runs)):
                all_runs[place].step(frames.number, frame)
            collect_garbage()


@contextlib.contextmanager
def _single_opencv_thread() -> Iterator[None]:
    """Keeps OpenCV in the caller's thread inside the block: the start of its threads would cost more than they save."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
