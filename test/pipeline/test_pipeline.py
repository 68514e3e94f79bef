"""The pipeline on a small random network: the stages of a frame, and what resets a camera."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from moving_square import moving_square, play

from regionmask_ros.core.frame import Frame, resize_frame
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.engine.reference import ReferenceEncoder, ReferenceNetwork
from regionmask_ros.errors import UserError
from regionmask_ros.mask.schedule import PRESETS, PresetOverrides
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.report.run_page import STAGES


def clip(count: int, size_wh: tuple[int, int] = (96, 64), seed: int = 0, frame_id: str = "camera") -> list[Frame]:
    return moving_square(count, size_wh, seed=seed, frame_id=frame_id)


def heads(pipeline: Pipeline, frames: list[Frame]) -> list[np.ndarray]:
    return [result.head for result in play(pipeline, frames)]


@pytest.mark.parametrize("arithmetic", ["carry", "lava"])
def test_the_pipeline_equals_the_reference_implementation_with_kept_references(tiny_network, half_mask, arithmetic):
    settings = PipelineSettings(mask="static", static_mask=half_mask, refresh_period=3, arithmetic=arithmetic)
    pipeline, frames = Pipeline(tiny_network, settings), clip(8)
    encoder = ReferenceEncoder((64, 96, 3), tiny_network.encoder_threshold)
    reference_network = ReferenceNetwork(tiny_network, (96, 64), arithmetic)
    held = np.zeros((64, 96), bool)
    held[:, :48] = True
    for t, frame in enumerate(frames):
        (result,) = pipeline.process(frame)
        image = resize_frame(frame, (96, 64))
        value = np.stack([tiny_network.input_table[image[..., c], c] for c in range(3)], axis=2)
        message = encoder.step(value.astype(np.int64), None if t % 3 == 0 else held)
        np.testing.assert_array_equal(result.head, reference_network.step(message))
        assert result.counts.encoder_events == np.count_nonzero(message)
        assert result.mask.refresh == (t % 3 == 0)
        assert result.mask.masked_share == (0.0 if t % 3 == 0 else 0.5)


def test_results_carry_their_frame_and_times(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings(score_threshold=0.2)), clip(3)
    for t, frame in enumerate(frames):
        (result,) = pipeline.process(frame)
        assert result.index == t and result.frame is frame
        assert set(result.ms) == set(STAGES) and all(value >= 0 for value in result.ms.values())
        assert sum(result.ms[s] for s in STAGES[1:]) <= result.ms["total"] + 1e-6
    assert pipeline.input_size == (96, 64) and pipeline.grid == RegionGrid(4, 6) and pipeline.drain() == []


def test_tracking_follows_the_last_result(tiny_network):
    settings = PipelineSettings(mask="dynamic", refresh_period=0, score_threshold=0.2)
    pipeline, last = Pipeline(tiny_network, settings), None
    seen = set()
    for frame in clip(10):
        (result,) = pipeline.process(frame)
        if last is not None:
            np.testing.assert_array_equal(result.mask.keep, pipeline.grid.cover(last.boxes, (96, 64), ring=1))
            seen.add(result.mask.keep.tobytes())
        last = result.detections
    assert len(seen) > 1, "the clip must make the mask move, or this test sees nothing"


@pytest.mark.parametrize("settings", [
    PipelineSettings(mask="dynamic", score_threshold=0.2), PipelineSettings(preset="fast"),
    PipelineSettings(mask="dynamic", dynamic="mgnet", target_masked=0.5, refresh_period=4, score_threshold=0.2),
], ids=["tracking", "preset", "mgnet"])
def test_a_reset_gives_the_same_results_again(tiny_network, settings):
    pipeline, frames = Pipeline(tiny_network, settings), clip(10)
    first = play(pipeline, frames)
    pipeline.reset()
    for before, after in zip(first, play(pipeline, frames), strict=True):
        np.testing.assert_array_equal(before.head, after.head)
        np.testing.assert_array_equal(before.mask.keep, after.mask.keep)


@pytest.mark.parametrize("change", [
    lambda frames: frames,                                                       # stamps start again: a looped bag
    lambda frames: [replace(f, stamp_ns=f.stamp_ns + 10**12, frame_id="rear") for f in frames],
], ids=["stamp jumps back", "another camera frame"])
def test_what_resets_the_camera(tiny_network, change):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings()), clip(4)
    first = heads(pipeline, frames)
    np.testing.assert_array_equal(first, heads(pipeline, change(frames)))
    later = [replace(f, stamp_ns=f.stamp_ns + 10**13, frame_id=change(frames)[0].frame_id) for f in frames]
    assert not np.array_equal(first[0], heads(pipeline, later)[0]), "time that advances keeps the references"


def test_another_image_size_makes_a_new_state(tiny_network):
    pipeline = Pipeline(tiny_network, PipelineSettings())
    heads(pipeline, clip(2))
    (result,) = pipeline.process(clip(1, (64, 128))[0])
    assert pipeline.input_size == (64, 128) and result.mask.refresh
    np.testing.assert_array_equal(result.head, heads(Pipeline(tiny_network, PipelineSettings()), clip(1, (64, 128)))[0])


def test_frames_to_refresh_counts_down(tiny_network):
    pipeline = Pipeline(tiny_network, PipelineSettings(mask="dynamic", refresh_period=3))
    counted = []
    for frame in clip(5):
        counted.append(pipeline.frames_to_refresh)
        (result,) = pipeline.process(frame)
        assert result.mask.refresh == (counted[-1] == 0)
    assert counted == [0, 2, 1, 0, 2]
    bare = Pipeline(tiny_network, PipelineSettings(refresh_period=3))
    bare.process(clip(1)[0])
    assert bare.frames_to_refresh is None, "without a mask every frame is whole"
    once = Pipeline(tiny_network, PipelineSettings(mask="dynamic", refresh_period=0))
    once.process(clip(1)[0])
    assert once.frames_to_refresh is None


def test_reconfigure_swaps_masks_and_keeps_references(tiny_network, half_mask):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings()), clip(6)
    heads(pipeline, frames[:3])
    new = replace(pipeline.settings, mask="static", static_mask=half_mask, refresh_period=0, score_threshold=0.9)
    pipeline.reconfigure(new)
    (result,) = pipeline.process(frames[3])
    assert result.mask.masked_share == 0.5 and not result.mask.refresh
    assert (result.detections.scores >= 0.9).all()


def test_a_refused_reconfiguration_changes_nothing(tiny_network, half_mask, tmp_path):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings()), clip(4)
    heads(pipeline, frames[:2])
    before = pipeline.settings
    with pytest.raises(UserError, match="arithmetic cannot change"):
        pipeline.reconfigure(replace(before, arithmetic="lava"))
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(UserError, match="an image of 9x9"):
        pipeline.reconfigure(replace(before, mask="static", static_mask=str(tmp_path / "other.png")))
    assert pipeline.settings is before
    assert pipeline.process(frames[2])[0].mask.keep.all()


def test_a_restart_period_resets_and_loses_no_frame(tiny_network):
    settings = PipelineSettings(arithmetic="lava", restart_period=3, refresh_period=0, mask="dynamic")
    pipeline, frames = Pipeline(tiny_network, settings), clip(7)
    results = play(pipeline, frames)
    assert [result.frame for result in results] == frames
    assert [result.mask.refresh for result in results] == [True, False, False, True, False, False, True]
    afresh = Pipeline(tiny_network, settings)
    for result in results[3:6]:
        np.testing.assert_array_equal(result.head, afresh.process(result.frame)[0].head)
    with pytest.raises(UserError, match="restart_period -1"):
        replace(settings, restart_period=-1)


@pytest.mark.parametrize("preset", ["careful", "balanced", "fast"])
def test_a_preset_sends_tracks_and_idles(tiny_network, preset):
    settings = PipelineSettings(preset=preset, score_threshold=0.5, overrides=PresetOverrides(least_held=0.0))
    schedule, frames = PRESETS[preset], clip(20)
    results = play(Pipeline(tiny_network, settings), frames)
    age, ids = np.zeros((4, 6), int), set()
    for t, result in enumerate(results):
        assert result.mask.refresh == (t % schedule.refresh_period == 0)
        assert result.mask_text.startswith(preset)
        age = np.where(result.mask.keep, 0, age + 1)
        assert age.max() < schedule.refresh_period
        found = result.detections
        assert (found.scores >= 0.5).all() and (found.track_ids >= 0).all()
        ids |= set(found.track_ids.tolist())
        assert not found.resting.any() or not result.mask.keep.all()
        if not result.mask.keep.any():
            assert found.resting.all() and result.counts.encoder_events == 0
    assert len(ids) < sum(len(result.detections) for result in results), "objects keep their numbers"


def test_a_preset_can_be_chosen_while_running(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings()), clip(6)
    heads(pipeline, frames[:2])
    pipeline.reconfigure(replace(pipeline.settings, preset="fast", overrides=PresetOverrides(least_held=0.0)))
    assert not all(pipeline.process(frame)[0].mask.keep.all() for frame in frames[2:])
