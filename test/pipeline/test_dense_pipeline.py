"""A dense network in the pipeline: what runs in which frame, and what is reported."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from moving_square import play

from regionmask_ros.backends.runtimes import RUNTIMES, run_once
from regionmask_ros.core.frame import Frame, resize_frame
from regionmask_ros.mask.dense_schedule import DENSE_PRESETS
from regionmask_ros.mask.region_age import MAX_AGE
from regionmask_ros.mask.schedule import PRESETS

for package in ("onnx", *RUNTIMES):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_camera import SIZE_WH, block_box, block_frames, dense_pipeline, dense_settings  # noqa: E402
from dense_networks import block_network  # noqa: E402


@pytest.fixture
def half_block_mask(write_mask) -> str:
    """A static mask for an input of 192x128: the left half is observed."""
    return write_mask(np.repeat([[True] * 6 + [False] * 6], 8, axis=0))


each_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inside = float(np.prod(np.maximum(sides, 0.0)))
    return inside / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside)


def plainly(network, frame: Frame, input_wh: tuple[int, int], lowest: float, nms_iou: float) -> list[np.ndarray]:
    """Rows x0 y0 x1 y1 score class, best first: the model on the whole picture, decoded cell by cell."""
    image = resize_frame(frame, input_wh).astype(np.float32).transpose(2, 0, 1)[None]
    (rows,), at, found = run_once(network.model, network.input_name, image)["out"], 0, []
    for stride in network.head.strides:
        for y in range(input_wh[1] // stride):
            for x in range(input_wh[0] // stride):
                row = rows[at].astype(float)
                at += 1
                score, kind = row[4] * row[5:].max(), int(row[5:].argmax())
                if score >= lowest:
                    middle, half = stride * np.add(row[:2], (x, y)), stride * np.exp(row[2:4]) / 2
                    box = np.hstack([middle - half, middle + half]) * np.array(frame.size_wh * 2) / (input_wh * 2)
                    found.append(np.hstack([box, score, kind]))
    kept: list[np.ndarray] = []
    for row in sorted(found, key=lambda row: -row[4]):
        if all(overlap(row[:4], other[:4]) <= nms_iou or row[5] != other[5] for other in kept):
            kept.append(row)
    for row in kept:
        row[:4] = np.clip(row[:4], 0.0, np.array(frame.size_wh * 2))
    return kept


@each_runtime
@pytest.mark.parametrize("size_wh", [(192, 128), (250, 190)])
def test_unmasked_is_the_network_on_every_frame(runtime, size_wh):
    pipeline, noted = dense_pipeline(backend=runtime)
    frames = block_frames(6, size_wh)
    results = play(pipeline, frames)
    assert len(results) == 6 and pipeline.kernels.startswith(runtime) and pipeline.latency_steps == 0
    for frame, result in zip(frames, results):
        expected = np.array(plainly(pipeline.network, frame, pipeline.input_size, 0.3, pipeline.settings.nms_iou))
        assert len(result.detections) == len(expected) >= 1
        np.testing.assert_allclose(result.detections.boxes, expected[:, :4], atol=1e-2)
        np.testing.assert_allclose(result.detections.scores, expected[:, 4], atol=1e-4)
        np.testing.assert_array_equal(result.detections.class_ids, expected[:, 5])
        assert result.detections.track_ids.tolist() == [-1] * len(expected)
        assert result.mask.masked_share == 0.0 and result.mask_text == "no mask" and not result.age.any()
        assert result.counts is None and result.events is None and len(result.head) == 1
    assert noted.counts == [1] * 6 and set(noted.prepared) == {pipeline.input_size}, "no tile is compiled in vain"
    pipeline.close()


@pytest.mark.parametrize("preset", DENSE_PRESETS)
def test_burst_runs_the_whole_picture_in_every_nth_frame(preset):
    pipeline, noted = dense_pipeline(preset=preset, schedule_form="burst")
    period, frames = DENSE_PRESETS[preset].burst, block_frames(18)
    results = play(pipeline, frames)
    runs = [t % period == 0 for t in range(18)]
    assert noted.counts == [int(run) for run in runs] and pipeline.refresh_period == period
    for t, result in enumerate(results):
        assert result.mask.refresh == runs[t] and result.mask.masked_share == 1.0 - runs[t]
        assert (result.age == t % period).all()
        ahead = (-t) % period
        assert result.mask_text == f"{preset}, refresh" + (f" in {ahead}" if ahead else "")
        (box,), resting = result.detections.boxes, result.detections.resting
        assert resting.tolist() == [not runs[t]] and result.detections.track_ids.tolist() == [0]
        assert overlap(box, block_box(t)) > 0.5, "held boxes move with the block"
    assert pipeline.frames_to_refresh == (-18) % period
    pipeline.close()


def test_values_of_a_preset_can_be_replaced():
    pipeline, noted = dense_pipeline(preset="fast", refresh=3)
    play(pipeline, block_frames(7))
    assert noted.counts == [1, 0, 0, 1, 0, 0, 1]


def test_a_static_mask_is_all_that_is_looked_at(write_mask):
    """Between refresh frames, only the upper left quarter is looked at; a second block appears on the right."""
    keep = np.zeros((16, 24), bool)
    keep[:8, :12] = True
    pipeline, noted = dense_pipeline(mask="static", static_mask=write_mask(keep), refresh_period=8)
    frames = block_frames(8, (384, 256), step=0)
    for t in range(3, 8):
        frames[t].pixels[40:80, 300:340] = 250
    results = play(pipeline, frames)
    assert noted.counts == [1] * 8
    for looks, result in zip(noted.looks[1:], results[1:]):
        assert looks[0].window == (0.0, 0.0, 256.0, 192.0) and looks[0].input_wh == (256, 192)
        assert result.mask.masked_share == 0.75 and (result.mask.keep == keep).all()
        assert len(result.detections) == 1 and result.detections.boxes[0, 2] < 192
        assert not result.detections.resting[0]
    seen, after = play(pipeline, frames[-1:] * 2)
    assert seen.mask.refresh and len(seen.detections) == 2
    assert sorted(after.detections.resting.tolist()) == [False, True], "what is masked keeps its box"
    assert (results[7].age == np.where(keep, 0, 7)).all() and (after.age == ~keep).all()
    pipeline.close()


def test_what_a_window_shows_outside_the_mask_is_dropped(write_mask):
    """A tile is larger than the one region that is observed."""
    keep = np.zeros((8, 12), bool)
    keep[0, 0] = True
    pipeline, noted = dense_pipeline(mask="static", static_mask=write_mask(keep), refresh_period=0)
    empty, *rest = block_frames(4, step=0)
    empty.pixels[:] = 0
    assert [len(result.detections) for result in play(pipeline, [empty, *rest])] == [0] * 4
    assert noted.looks[1][0].window[2] > 40, "the block was in the window"


def test_a_preset_and_a_static_mask_are_united(half_block_mask):
    pipeline, noted = dense_pipeline(preset="balanced", mask="static", static_mask=half_block_mask)
    results = play(pipeline, block_frames(9, step=0))
    assert noted.counts == [1] * 9 and [result.mask.refresh for result in results] == [t % 4 == 0 for t in range(9)]
    assert [look.input_wh == pipeline.input_size for (look,) in noted.looks] == [t % 4 == 0 for t in range(9)]
    assert results[1].mask.masked_share == 0.5 and results[1].mask_text == "static + balanced, refresh in 3"


def test_a_dynamic_mask_looks_where_objects_are():
    pipeline, noted = dense_pipeline(mask="dynamic", refresh_period=0)
    for t, result in enumerate(play(pipeline, block_frames(20))):
        assert [overlap(box, block_box(t)) > 0.6 for box in result.detections.boxes] == [True]
        assert not result.detections.resting[0] and result.detections.track_ids[0] == 0
        assert t == 0 or (0.4 < result.mask.masked_share < 0.95)
    assert noted.counts == [1] * 20 and {look.input_wh for (look,) in noted.looks[1:]} == {(160, 128)}


@pytest.mark.parametrize("dynamic", ["adaptive", "mgnet"])
def test_other_masks_find_the_block(dynamic):
    chosen = {"mask": "adaptive"} if dynamic == "adaptive" else {"mask": "dynamic", "dynamic": "mgnet"}
    pipeline, _ = dense_pipeline(refresh_period=6, **chosen)
    results = play(pipeline, block_frames(18))
    assert all(len(result.detections) == 1 for result in results[1:])


def test_attention_is_a_crop_in_a_frame_that_runs_nothing_else():
    pipeline, noted = dense_pipeline(preset="fast")
    frames = block_frames(7, size_wh=(384, 256), step=0)
    play(pipeline, frames[:2])
    frames[2].pixels[180:220, 300:340] = 250
    pipeline.attend(np.array([[300.0, 180.0, 340.0, 220.0]]))
    (result,) = pipeline.process(frames[2])
    (look,) = noted.looks[2]
    assert look.input_wh != pipeline.input_size and look.window[0] <= 300 and look.window[3] >= 220
    assert "attention" in result.mask_text and 0.5 < result.mask.masked_share < 1.0
    assert sorted(result.detections.resting.tolist()) == [False, True]
    (new,) = result.detections.boxes[~result.detections.resting]
    assert overlap(new, np.array([300, 180, 340, 220])) > 0.6
    pipeline.attend(np.zeros((0, 4)))
    (after,) = pipeline.process(frames[3])
    assert noted.counts == [1, 0, 1, 0] and len(after.detections) == 2 and after.mask.masked_share == 1.0
    pipeline.attend(np.array([[-50.0, -50.0, -10.0, -10.0]]))
    pipeline.process(frames[4])
    assert noted.counts[-1] == 0, "a box outside of the picture asks for nothing"


@pytest.mark.parametrize("form", ["burst", "rolling"])
@pytest.mark.parametrize("target", [0.6, 0.9])
def test_a_target_is_reached(form, target):
    pipeline, _ = dense_pipeline(preset="careful", schedule_form=form, target_masked=target)
    results = play(pipeline, block_frames(61, step=1))
    shares = [result.mask.masked_share for result in results[1:]]
    assert np.mean(shares) >= target - 0.01


@pytest.mark.parametrize("mask, given", [("static", {}), ("static", {"preset": "balanced"}), ("dynamic", {})])
def test_a_target_limits_masks(half_block_mask, mask, given):
    static = {"static_mask": half_block_mask} if mask == "static" else {}
    pipeline, _ = dense_pipeline(mask=mask, target_masked=0.7, refresh_period=10, **static, **given)
    results = play(pipeline, block_frames(41, step=1))
    assert np.mean([result.mask.masked_share for result in results[1:]]) >= 0.69


def two_blocks() -> Frame:
    (frame,) = block_frames(1)
    frame.pixels[80:120, 120:160] = 225
    return frame


@pytest.mark.parametrize("preset", ["", "balanced"])
def test_detections_are_selected(preset):
    def found(**given):
        pipeline, _ = dense_pipeline(preset=preset, **given)
        results = play(pipeline, [two_blocks()] * 2)
        pipeline.close()
        return results[-1].detections

    everything = found()
    assert len(everything) == 2 and everything.scores[0] > everything.scores[1] > 0.5
    assert found(max_detections=1).boxes.tolist() == everything.boxes[:1].tolist()
    assert len(found(classes=("square",))) == 2 and len(found(classes=("disc",))) == 0
    assert len(found(class_thresholds=(("square", 0.97),))) == 1 and len(found(score_threshold=1.0)) == 0


def test_the_guard_shortens_a_burst_where_objects_cannot_be_predicted():
    smooth = block_frames(60, (448, 128))
    jumping = [replace(frame, pixels=smooth[place].pixels)
               for frame, place in zip(smooth, np.random.default_rng(0).permutation(60))]
    for frames, last, most, text in ((smooth, 28, 5, "fast, refresh in "), (jumping, 24, 24, "refresh every 1 of 6")):
        pipeline, noted = dense_pipeline(preset="fast", guard=0.75)
        results = play(pipeline, frames)
        assert [result.mask.refresh for result in results] == [count == 1 for count in noted.counts]
        assert most - 2 <= sum(noted.counts[-last:]) <= most and noted.counts[:2] == [1, 1], "it starts carefully"
        assert text in results[-1].mask_text and pipeline.refresh_period == 6
        pipeline.close()


def test_a_reset_makes_the_next_frame_the_first():
    pipeline, noted = dense_pipeline(preset="fast")
    frames = block_frames(6)
    play(pipeline, frames[:3])
    pipeline.reset()
    (result,) = pipeline.process(frames[3])
    assert noted.counts == [1, 0, 0, 1] and pipeline.resets == 1 and result.mask.refresh
    assert result.detections.track_ids.tolist() == [0] and not result.detections.resting[0]
    pipeline.refresh()
    play(pipeline, frames[4:])
    assert noted.counts == [1, 0, 0, 1, 1, 0]
    (jumped,) = pipeline.process(frames[0])
    assert jumped.mask.refresh and pipeline.resets == 2


def test_presets_and_masks_change_between_frames(half_block_mask):
    pipeline, noted = dense_pipeline(preset="fast", schedule_form="burst")

    def change(**given) -> None:
        pipeline.reconfigure(dense_settings(pipeline.settings.backend, **given))

    frames = block_frames(16, step=2)
    play(pipeline, frames[:2])
    change(preset="careful")
    results = play(pipeline, frames[2:6])
    assert noted.counts == [1, 0, 1, 0, 1, 0] and {r.detections.track_ids[0] for r in results} == {0}
    change(mask="static", static_mask=half_block_mask, refresh_period=0)
    results = play(pipeline, frames[6:9])
    assert noted.counts[6:] == [1] * 3 and {result.mask.masked_share for result in results} == {0.5}
    change()
    (result,) = pipeline.process(frames[9])
    assert result.mask.masked_share == 0.0 and result.detections.track_ids.tolist() == [-1]
    change(preset="careful", schedule_form="rolling", tiles="2x1")
    assert all(len(result.detections) == 1 for result in play(pipeline, frames[10:]))


def test_a_preset_after_no_mask_starts_with_what_is_there_now():
    """Nothing was held while there was no mask, and what was held before is long gone."""
    pipeline, noted = dense_pipeline(preset="fast")
    unmasked, masked = dense_settings(pipeline.settings.backend), pipeline.settings
    frames = block_frames(20)
    play(pipeline, frames[:1])
    pipeline.reconfigure(unmasked)
    play(pipeline, frames[1:17])
    pipeline.reconfigure(masked)
    results = play(pipeline, frames[17:])
    assert noted.counts == [1] * 18 + [0, 0]
    for t, result in enumerate(results):
        assert [overlap(box, block_box(17 + t)) > 0.5 for box in result.detections.boxes] == [True]


def test_another_runtime_takes_over_and_back():
    pipeline, noted = dense_pipeline(preset="fast", backend="openvino")
    frames = block_frames(8)
    first = play(pipeline, frames[:2])
    for runtime, t in (("onnxruntime", 2), ("openvino", 4)):
        pipeline.take_over(replace(pipeline.settings, backend=runtime))
        results = play(pipeline, frames[t:t + 2])
        assert pipeline.settings.backend == runtime and pipeline.kernels.startswith(runtime)
        assert [result.mask.refresh for result in results] == [True, False]
        assert len(results[1].detections) == len(first[1].detections) == 1
    assert noted.opened == ["openvino", "onnxruntime", "openvino"] and pipeline.resets == 2
    pipeline.close()


@pytest.mark.parametrize("given", [{}, {"preset": "balanced"}, {"preset": "balanced", "schedule_form": "rolling"},
                                   {"mask": "dynamic"}, {"mask": "dynamic", "dynamic": "mgnet"}],
                         ids=lambda given: "-".join(given.values()) or "unmasked")
def test_images_of_any_size(given):
    pipeline, _ = dense_pipeline(max_pixels=100_000, **given)
    for size_wh in ((341, 259), (40, 30), (90, 300), (33, 17)):
        pixels = np.random.default_rng(0).integers(0, 120, (*size_wh[::-1], 3)).astype(np.uint8)
        pixels[:, :60] = 250
        results = play(pipeline, [Frame(pixels, order, 0, "camera") for order in ("bgr", "rgb", "bgr")])
        assert results[0].mask.refresh and results[0].mask.keep.all()
        width, height = pipeline.input_size
        assert width * height <= 100_000 and width % 32 == height % 32 == 0
        assert (pipeline.grid.rows, pipeline.grid.cols) == (height // 16, width // 16)
        for result in results:
            boxes = result.detections.boxes
            assert (boxes >= 0).all() and (boxes <= size_wh * 2).all() and np.isfinite(boxes).all()
    assert pipeline.resets == 3
    pipeline.close()


def test_the_input_follows_the_camera_unless_it_is_fixed():
    network = block_network()
    assert dense_settings().input_wh((1280, 720), network) == (736, 416)
    assert dense_settings(max_pixels=921_600).input_wh((1280, 720), network) == (1248, 736)
    fixed = replace(network, fixed_wh=(300, 300))
    assert dense_settings().input_wh((1280, 720), fixed) == (300, 300)
    wide = replace(network, alignment=64)
    assert all(side % 64 == 0 for side in dense_settings().input_wh((1280, 720), wide))
    for settings in (dense_settings(), dense_settings(input_size=(96, 96))):
        assert settings.fix_input((1280, 720), fixed if settings.input_size == "auto" else network).input_wh(
            (40, 30), fixed if settings.input_size == "auto" else network) in ((300, 300), (96, 96))
    kept = dense_settings().fix_input((1280, 720), network)
    assert kept.input_wh((40, 30), network) == (736, 416)


@pytest.mark.parametrize("given", [{"preset": "balanced"}, {"mask": "dynamic", "refresh_period": 5},
                                   {"preset": "careful", "schedule_form": "rolling"}])
def test_a_network_of_fixed_size_has_masks(given):
    """Its tiles are enlarged to its input, where the block is twice as large: it still is a bright block."""
    network = replace(block_network(), fixed_wh=SIZE_WH)
    pipeline, noted = dense_pipeline(network, **given)
    results = play(pipeline, block_frames(12, size_wh=(230, 150)))
    assert pipeline.input_size == SIZE_WH
    assert {look.input_wh for looks in noted.looks for look in looks} == {SIZE_WH} == set(noted.prepared)
    assert all(len(result.detections) >= 1 for result in results)


def test_cameras_share_the_weights():
    network = block_network()
    cameras = [dense_pipeline(network, "openvino", preset="fast")[0] for _ in range(3)]
    for frame in block_frames(3):
        found = [pipeline.process(frame)[0].detections.boxes.tolist() for pipeline in cameras]
        assert found[0] == found[1] == found[2] and len(found[0]) == 1
    shared = [{wh: id(runner._shared) for wh, runner in pipeline.backends.current._runners.items()}
              for pipeline in cameras]
    assert len(shared[0]) == 2 and shared[0] == shared[1] == shared[2], "two shapes, each compiled once"
    for pipeline in cameras:
        pipeline.close()


@pytest.mark.parametrize("form", ["burst", "rolling"])
def test_ages_tell_when_a_region_was_looked_at(form):
    pipeline, _ = dense_pipeline(preset="careful", schedule_form=form)
    age = np.full((8, 12), MAX_AGE)
    for result in play(pipeline, block_frames(24)):
        age = np.where(result.mask.keep, 0, age + 1)
        np.testing.assert_array_equal(result.age, age)
    assert set(PRESETS) == set(DENSE_PRESETS) and age.max() < 24 and math.isfinite(age.max())
