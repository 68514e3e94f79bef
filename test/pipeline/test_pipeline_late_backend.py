"""Masks, schedules and resets together, with a backend whose results come some frames late, as Lava's do."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from moving_square import moving_square, play

from regionmask_ros.backends import BackendError, open_backend
from regionmask_ros.core.frame import Frame
from regionmask_ros.core.result import StepResult
from regionmask_ros.errors import UserError
from regionmask_ros.mask.schedule import PRESETS, PresetOverrides
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

LATE = 3
UNGUARDED = PresetOverrides(least_held=0.0)
"""What the random network detects flickers too much for a guard."""


class LateBackend:
    """The cpu backend; each result waits for the given number of further frames."""

    latency_steps = LATE

    def __init__(self, *arguments: Any) -> None:
        self._inner = open_backend(*arguments)
        self.kernels, self.profile, self.fails = self._inner.kernels, None, False
        self._waiting: deque = deque()
        self._ready: deque = deque()

    def submit(self, events: Any, tag: Any) -> None:
        if self.fails:
            raise BackendError("the detector has ended")
        self._inner.submit(events, tag)
        self._waiting.append(self._inner.poll(0.0))
        if len(self._waiting) > LATE:
            self._ready.append(self._waiting.popleft())

    def poll(self, timeout_s: float) -> Any:
        return self._ready.popleft() if self._ready else None

    def drain(self) -> None:
        self._ready.extend(self._waiting)
        self._waiting.clear()

    def reset(self) -> None:
        self._waiting.clear()
        self._ready.clear()
        self._inner.reset()

    def close(self) -> None:
        self._inner.close()


def clip(count: int, size_wh: tuple[int, int] = (96, 64), start_ns: int = 0) -> list[Frame]:
    return moving_square(count, size_wh, step=3, start_ns=start_ns)


def played(pipeline: Pipeline, frames: list[Frame]) -> list[StepResult]:
    return play(pipeline, frames) + pipeline.drain()


@pytest.mark.parametrize("second", [clip(5, (64, 96), 10**9), clip(5)])
def test_a_reset_loses_no_result(tiny_network, second):
    frames = clip(5) + second
    pipeline = Pipeline(tiny_network, PipelineSettings(mask="dynamic", restart_period=4), LateBackend)
    results = played(pipeline, frames)
    assert [result.frame for result in results] == frames
    assert [result.mask.refresh for result in results] == [True, False, False, False, True] * 2
    # Restarts after four frames, twice, and one because of the other size or of the stamp that jumps back.
    assert pipeline.resets == 3 and pipeline.latency_steps == LATE


def test_the_same_heads_but_later(tiny_network):
    settings = PipelineSettings(mask="none", arithmetic="lava")
    late, at_once = Pipeline(tiny_network, settings, LateBackend), Pipeline(tiny_network, settings)
    for one, other in zip(played(late, clip(8)), played(at_once, clip(8)), strict=True):
        np.testing.assert_array_equal(one.head, other.head)
        np.testing.assert_array_equal(one.age, other.age)


@pytest.mark.parametrize("name", ["careful", "fast"])
def test_a_preset_tracks_objects_though_their_results_come_late(tiny_network, name):
    pipeline = Pipeline(tiny_network, PipelineSettings(preset=name, score_threshold=0.5, overrides=UNGUARDED),
                        LateBackend)
    results = played(pipeline, clip(20))
    period = PRESETS[name].refresh_period
    between = [r.mask.sources["objects"] for r in results if r.index % period and r.index > LATE]
    assert sum(objects.any() for objects in between) >= len(between) // 2
    assert all((r.detections.track_ids >= 0).all() for r in results)


def test_a_requested_refresh_moves_the_period_but_neither_objects_nor_the_restart(tiny_network):
    pipeline = Pipeline(tiny_network, PipelineSettings(preset="fast", restart_period=12, overrides=UNGUARDED),
                        LateBackend)
    frames = clip(14)
    results = play(pipeline, frames[:5])
    pipeline.refresh()
    assert pipeline.frames_to_refresh == 0
    results += played(pipeline, frames[5:])
    assert [result.index for result in results if result.mask.refresh] == [0, 5, 12]
    before, after = results[4].detections, results[6].detections
    assert len(before) and set(before.track_ids) & set(after.track_ids), "objects keep their numbers"


def test_a_preset_attends_what_a_planner_requests(tiny_network):
    pipeline = Pipeline(tiny_network, PipelineSettings(preset="fast", classes=("disc",), overrides=UNGUARDED))
    pipeline.attend(np.array([[70.0, 50.0, 90.0, 60.0]]))
    first, second, third = play(pipeline, clip(3))
    left = PRESETS["fast"].refresh_period - 2
    assert first.mask.refresh and third.mask_text == f"fast + attention, refresh in {left}"
    for result in (second, third):
        assert result.mask.sources["attention"].any()
        assert result.mask.keep[result.mask.sources["attention"]].all()


def test_a_preset_tracks_only_classes_that_are_reported(tiny_network):
    both = played(Pipeline(tiny_network, PipelineSettings(preset="careful")), clip(8))
    assert {kind for result in both for kind in result.detections.class_ids} == {0, 1}
    settings = PipelineSettings(preset="careful", classes=("disc",), max_detections=2)
    pipeline = Pipeline(tiny_network, settings)
    for result in played(pipeline, clip(8)):
        assert set(result.detections.class_ids) <= {1} and len(result.detections) <= 2
        assert set(pipeline._camera.objects.tracks.class_ids) <= {1}


def test_a_backend_that_fails_is_opened_again_with_the_next_frame(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings(mask="dynamic"), LateBackend), clip(6)
    play(pipeline, frames[:2])
    pipeline.backends.current.fails = True
    with pytest.raises(BackendError):
        pipeline.process(frames[2])
    assert pipeline.drain() == [] and pipeline.kernels == "" and pipeline.input_size == (96, 64)
    results = played(pipeline, frames[3:])
    assert [result.frame for result in results] == frames[3:] and results[0].mask.refresh
    assert pipeline.resets == 1


def test_what_is_known_of_the_camera_outlives_its_backend(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings(), LateBackend), clip(6)
    play(pipeline, frames[:5])
    pipeline.backends.current.fails = True
    with pytest.raises(BackendError):
        pipeline.process(frames[5])
    assert pipeline._camera.composer.learner.stats.frames == 5 - LATE
    pipeline.reset()
    with pytest.raises(UserError, match="nothing"):
        pipeline.learned_mask()


def handed_in(network, pipeline: Pipeline, input_wh: tuple[int, int]) -> tuple[Any, Any]:
    """A cpu backend in another arithmetic takes over; it, and the former one."""
    settings = replace(pipeline.settings, arithmetic="lava")
    backend = open_backend("cpu", network, input_wh, "lava")
    former = pipeline.backends.current
    pipeline.take_over(settings, input_wh, backend)
    return backend, former


def test_another_backend_takes_over_with_a_reset_between_two_frames(tiny_network):
    settings = PipelineSettings(mask="dynamic", refresh_period=0, arithmetic="carry")
    pipeline, frames = Pipeline(tiny_network, settings, LateBackend), clip(8)
    play(pipeline, frames[:4])
    late, rest = pipeline.backends.current, pipeline.drain()
    assert [result.frame for result in rest] == frames[1:4]
    backend, before = handed_in(tiny_network, pipeline, (96, 64))
    assert before is late and pipeline.backends.current is backend
    results = play(pipeline, frames[4:])
    assert [result.frame for result in results] == frames[4:] and results[0].index == 4
    assert [result.mask.refresh for result in results] == [True, False, False, False]
    alone = Pipeline(tiny_network, replace(settings, arithmetic="lava"))
    for one, other in zip(results, played(alone, frames[4:]), strict=True):
        np.testing.assert_array_equal(one.head, other.head)
    assert pipeline.resets == 1


@pytest.mark.parametrize("input_wh, used", [((96, 64), True), ((64, 96), False)])
def test_one_that_is_handed_in_before_the_first_frame_is_used_if_it_fits(tiny_network, input_wh, used):
    pipeline = Pipeline(tiny_network, PipelineSettings())
    backend, before = handed_in(tiny_network, pipeline, input_wh)
    (result,) = pipeline.process(clip(1)[0])
    assert before is None and (pipeline.backends.current is backend) == used
    (alone,) = Pipeline(tiny_network, PipelineSettings(arithmetic="lava")).process(clip(1)[0])
    np.testing.assert_array_equal(result.head, alone.head)


def test_without_one_handed_in_it_is_opened_with_the_next_frame(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings()), clip(2)
    pipeline.process(frames[0])
    pipeline.take_over(replace(pipeline.settings, arithmetic="lava"))
    assert pipeline.kernels == "" and pipeline.drain() == []
    (result,) = pipeline.process(frames[1])
    assert result.mask.refresh and pipeline.kernels


def test_one_for_another_input_size_takes_over_with_a_new_grid(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings(mask="dynamic"), LateBackend), clip(5)
    play(pipeline, frames[:2])
    assert [result.frame for result in pipeline.drain()] == frames[:2]
    wanted = replace(pipeline.settings, input_size=(160, 128))
    assert pipeline.input_for(wanted) == (160, 128) and pipeline.input_size == (96, 64)
    pipeline.take_over(wanted, (160, 128), open_backend("cpu", tiny_network, (160, 128)))
    results = played(pipeline, frames[2:])
    assert [result.frame for result in results] == frames[2:]
    assert [result.mask.refresh for result in results] == [True, False, False]
    assert pipeline.input_size == (160, 128) and results[0].mask.keep.shape == (8, 10) and pipeline.resets == 1


def test_a_static_mask_that_does_not_fit_another_input_size_is_refused(tiny_network, half_mask):
    pipeline = Pipeline(tiny_network, PipelineSettings(mask="static", static_mask=half_mask))
    wanted = replace(pipeline.settings, input_size=(160, 128))
    assert pipeline.input_for(wanted) == (160, 128) and pipeline.input_for(pipeline.settings) is None
    pipeline.process(clip(1)[0])
    with pytest.raises(UserError, match="mask.npz"):
        pipeline.input_for(wanted)
    assert pipeline.input_for(replace(wanted, mask="none")) == (160, 128)


class UncountedBackend(LateBackend):
    """As a chip: it does not count its operations."""

    def poll(self, timeout_s: float) -> Any:
        result = super().poll(timeout_s)
        return replace(result, layer_events=(), synops=()) if result else None


def test_a_backend_that_counts_nothing_is_read_in_every_frame(tiny_network):
    settings, frames = PipelineSettings(mask="dynamic", refresh_period=3), clip(12)
    counted, uncounted = (played(Pipeline(tiny_network, settings, kind), frames)
                          for kind in (LateBackend, UncountedBackend))
    for one, other in zip(counted, uncounted):
        np.testing.assert_array_equal(one.detections.boxes, other.detections.boxes)
    assert len({other.detections.boxes.tobytes() for other in uncounted}) > 3
