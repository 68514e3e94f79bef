"""The last stage on its own, and a second one of lower thresholds beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from moving_square import moving_square

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.result import StepResult
from regionmask_ros.detection.filter import DetectionFilter
from regionmask_ros.pipeline.interpreter import Interpreter, InterpreterState
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.tracking.motion import downsample

SETTINGS = PipelineSettings(preset="fast", score_threshold=0.5)


def interpret(interpreter: Interpreter, state: InterpreterState, result: StepResult) -> Detections:
    found = interpreter.read(state, result.head, result.counts.synops, result.frame.size_wh)
    small = None if interpreter.track_score is None else downsample(result.frame.pixels)
    return interpreter.track(state, found, result.mask.keep, result.frame.size_wh, result.index, small)


def test_a_second_interpreter_of_the_same_settings_gives_the_same(tiny_network):
    pipeline, interpreter = Pipeline(tiny_network, SETTINGS), Interpreter.of(SETTINGS, tiny_network)
    state = InterpreterState()
    for frame in moving_square(20, (96, 64), step=3):
        (result,) = pipeline.process(frame)
        again = interpret(interpreter, state, result)
        for name in ("boxes", "scores", "class_ids", "track_ids", "resting"):
            np.testing.assert_array_equal(getattr(again, name), getattr(result.detections, name), name)


def test_a_lower_threshold_adds_weak_detections_and_moves_them_too(tiny_network):
    pipeline, low, state = Pipeline(tiny_network, SETTINGS), 0.02, InterpreterState()
    everything = DetectionFilter(np.full(len(tiny_network.labels), low, np.float32), low)
    weak = replace(Interpreter.of(SETTINGS, tiny_network), reported=everything, track_score=low)
    counts = []
    for frame in moving_square(20, (96, 64), step=3):
        (result,) = pipeline.process(frame)
        found = interpret(weak, state, result)
        counts.append((len(found), len(result.detections)))
        assert (found.track_ids >= 0).all() and (np.diff(found.scores) <= 0).all()
        assert np.isin(result.detections.scores, found.scores).all()
    assert all(more >= less for more, less in counts) and any(more > less for more, less in counts)


def test_a_network_without_boxes_detects_nothing(tiny_network):
    settings = PipelineSettings()
    pipeline = Pipeline(replace(tiny_network, head=None, labels=()), settings, require_boxes=False)
    (result,) = pipeline.process(moving_square(1, (96, 64))[0])
    assert not len(result.detections) and result.head.size and result.counts.encoder_events
