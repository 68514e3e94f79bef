"""An ONNX network on the tile engine in the pipeline: what is observed in which frame, and what is reported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_square import play

from regionmask_ros.core.frame import Frame
from regionmask_ros.errors import UserError
from regionmask_ros.mask.composer import MaskComposer
from regionmask_ros.mask.schedule import PresetOverrides
from regionmask_ros.mask.tile_schedule import TILE_PRESETS
from regionmask_ros.mask.tracking import TrackingSource
from regionmask_ros.network.dense import DenseNetwork
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import FINEST, PipelineSettings

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_camera import block_box, block_frames, dense_pipeline  # noqa: E402
from dense_networks import block_network  # noqa: E402
from tile_networks import tiled_block_network  # noqa: E402

NO_GUARD = PresetOverrides(least_held=0.0)


@pytest.fixture(scope="module")
def network() -> DenseNetwork:
    return tiled_block_network()


def tile_pipeline(network, **given) -> Pipeline:
    return Pipeline(network, PipelineSettings(backend="cpu", score_threshold=0.3, **given))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inside = float(np.prod(np.maximum(sides, 0.0)))
    return inside / float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside)


def with_second_block(frames: list[Frame], first: int) -> list[Frame]:
    """From this frame on, there is a second block, which does not move."""
    for frame in frames[first:]:
        frame.pixels[160:200, 300:340] = 250
    return frames


@pytest.mark.parametrize("size_wh", [(192, 128), (250, 190)])
def test_without_a_mask_the_detections_are_those_of_the_network_in_float(network, size_wh):
    pipeline, frames = tile_pipeline(network), block_frames(6, size_wh)
    dense, _ = dense_pipeline(backend="onnxruntime")
    assert pipeline.settings.level is None
    for result, expected in zip(play(pipeline, frames), play(dense, frames)):
        assert len(result.detections) == len(expected.detections) >= 1
        # Neighboring cells show the block equally well, so rounding decides between them.
        assert all(overlap(*boxes) > 0.6 for boxes in zip(result.detections.boxes, expected.detections.boxes))
        np.testing.assert_allclose(result.detections.scores, expected.detections.scores, atol=0.03)
        assert result.mask.masked_share == 0.0 and result.counts is None
    assert pipeline.kernels.startswith("tiles, ")


@pytest.mark.parametrize("preset", TILE_PRESETS)
def test_every_preset_follows_the_block_and_computes_no_frame_as_a_whole_but_the_first(network, preset):
    pipeline = tile_pipeline(network, preset=preset, overrides=NO_GUARD)
    results = play(pipeline, block_frames(16, (384, 256)))
    schedule = TILE_PRESETS[preset]
    assert [result.mask.refresh for result in results] == [True] + [False] * 15 and pipeline.refresh_period == 0
    for t, result in enumerate(results):
        (box,) = result.detections.boxes
        assert overlap(box, block_box(t)) > 0.6
        masked = result.mask.masked_share
        if t == 0:
            assert masked == 0.0
        else:
            assert masked == 1.0 if schedule.is_idle(t) else 0.2 < masked < 0.95
    pipeline.close()


def test_balanced_finds_a_new_object_within_a_few_frames_because_it_changes_the_image(network):
    pipeline = tile_pipeline(network, preset="balanced")
    frames = with_second_block(block_frames(12, (384, 256)), 5)
    found = [len(result.detections) for result in play(pipeline, frames)]
    assert found[:5] == [1] * 5 and 2 in found[5:8] and found[-1] == 2


def test_what_a_static_mask_hides_keeps_its_state_and_a_refresh_frame_shows_it(network, write_mask):
    keep = np.zeros((16, 24), bool)
    keep[:8, :12] = True
    pipeline = tile_pipeline(network, mask="static", static_mask=write_mask(keep), refresh_period=8)
    frames = with_second_block(block_frames(10, (384, 256), step=0), 3)
    results = play(pipeline, frames)
    assert [len(result.detections) for result in results[:8]] == [1] * 8
    assert all((result.mask.keep == keep).all() for result in results[1:8])
    assert results[8].mask.refresh and len(results[8].detections) == 2


def test_attention_observes_regions_in_an_idle_frame(network):
    pipeline = tile_pipeline(network, preset="fast", overrides=NO_GUARD)
    first, second = block_frames(2, (384, 256))
    play(pipeline, [first])
    pipeline.attend(np.array([[300.0, 160.0, 340.0, 200.0]]))
    (result,) = play(pipeline, [second])
    assert 0.0 < result.mask.masked_share < 1.0 and "attention" in result.mask.sources


def test_active_and_idle_frames_of_a_preset_can_be_replaced(network):
    pipeline = tile_pipeline(network, preset="balanced",
                             overrides=PresetOverrides(active_frames=1, idle_frames=2, least_held=0.0))
    masked = [result.mask.masked_share == 1.0 for result in play(pipeline, block_frames(7))]
    assert masked == [False, True, True, False, True, True, False]


@pytest.mark.parametrize("preset", ["balanced", "fast"])
def test_idle_frames_come_when_predictions_hold(network, preset):
    """Horizons of 1, 2, 4 ... frames; the network finds the block where it is in all of them."""
    pipeline = tile_pipeline(network, preset=preset)
    results = play(pipeline, block_frames(20, (384, 256), step=2))
    idle = TILE_PRESETS[preset].idle_frames
    active = np.flatnonzero([result.mask.masked_share < 1.0 for result in results])
    assert np.diff(active)[0] == 1 and np.diff(active)[-1] == idle + 1
    assert f"0 of {idle} idle frames, predictions held" in results[1].mask_text
    assert pipeline.schedule_text == f"{idle} of {idle} idle frames, predictions held 100 %"
    assert "predictions" not in results[-1].mask_text, "the schedule is whole"


@pytest.mark.parametrize("preset", ["balanced", "fast"])
def test_where_objects_jump_no_frame_is_idle_and_the_preset_can_be_told_otherwise(network, preset):
    places = [(20, 20), (300, 150), (160, 60), (40, 180), (320, 30), (180, 200)]
    frames = block_frames(12, (384, 256))
    for frame, (x, y) in zip(frames, places + places):
        frame.pixels[:] = np.minimum(frame.pixels, 119)
        frame.pixels[y:y + 40, x:x + 40] = 250
    pipeline = tile_pipeline(network, preset=preset)
    assert all(result.mask.masked_share < 1.0 for result in play(pipeline, frames))
    idle = TILE_PRESETS[preset].idle_frames
    assert pipeline.schedule_text.startswith(f"0 of {idle} idle frames")
    pipeline = tile_pipeline(network, preset=preset, overrides=NO_GUARD)
    masked = [result.mask.masked_share == 1.0 for result in play(pipeline, frames)]
    assert masked == [TILE_PRESETS[preset].is_idle(t) for t in range(12)]
    assert pipeline.schedule_text == f"{idle} of {idle} idle frames"


@pytest.mark.parametrize("preset, interval_s, idle", [
    ("balanced", 0.1, 1), ("balanced", 0.2, 0), ("fast", 0.1, 3), ("fast", 0.2, 1), ("fast", 0.4, 0)])
def test_slow_cameras_have_fewer_idle_frames(network, preset, interval_s, idle):
    frames = [replace(frame, stamp_ns=int(t * interval_s * 1e9)) for t, frame in enumerate(block_frames(12))]
    pipeline = tile_pipeline(network, preset=preset, overrides=NO_GUARD)
    masked = [result.mask.masked_share == 1.0 for result in play(pipeline, frames)]
    assert masked == [t % (idle + 1) > 0 for t in range(12)]
    assert pipeline.schedule_text == f"{idle} of {TILE_PRESETS[preset].idle_frames} idle frames"


def test_the_noise_of_a_camera_is_known_from_the_second_frame_on(network):
    """Without motion, all that is observed is computed in the second frame, and little in the next ones."""
    rng, (still,) = np.random.default_rng(0), block_frames(1, (384, 256))
    noisy = [replace(still, pixels=np.clip(np.rint(still.pixels + rng.normal(0, 4, still.pixels.shape)), 0, 255)
                     .astype(np.uint8), stamp_ns=still.stamp_ns + t) for t in range(6)]
    shares = [result.tile_counts.totals.mac_share for result in play(tile_pipeline(network, preset="careful"), noisy)]
    assert shares[0] == 1.0 and shares[1] > 0.2 and max(shares[2:]) < 0.1


def test_every_result_has_the_counts_of_its_own_frame(network):
    pipeline = tile_pipeline(network, preset="fast")
    results = play(pipeline, block_frames(8, (384, 256)))
    totals = [result.tile_counts.totals for result in results]
    assert totals[0].mac_share == 1.0 and totals[0].tiles > 0 and totals[0].moved_bytes > 0
    for result, total in zip(results[1:], totals[1:]):
        if result.mask.masked_share == 1.0:
            assert (total.tiles, total.macs, total.moved_bytes, total.mac_share) == (0, 0, 0, 0.0)
        else:
            assert 0.0 < total.mac_share < 1.0
            assert (result.tile_counts.macs > 0).tolist() <= (result.tile_counts.tiles > 0).tolist()
    assert any(total.tiles == 0 for total in totals) and any(0 < total.tiles for total in totals[1:])


def test_a_runtime_counts_no_tiles():
    pipeline, _ = dense_pipeline(backend="onnxruntime")
    assert [result.tile_counts for result in play(pipeline, block_frames(2))] == [None, None]


def test_masks_of_an_experiment_have_the_finest_thresholds(network):
    settings = PipelineSettings(backend="cpu", score_threshold=0.3)

    def compose(grid, image_wh):
        return MaskComposer(grid, image_wh, [TrackingSource()], 8)

    seen = []
    for factory in (compose, None):
        pipeline = Pipeline(network, settings, composer_factory=factory)
        assert pipeline.settings.level is None
        play(pipeline, block_frames(3))
        levels = [pipeline._camera.level]
        pipeline.reconfigure(replace(pipeline.settings, score_threshold=0.4))
        levels.append(pipeline._camera.level)
        seen.append(levels)
    assert seen == [[FINEST, FINEST], [None, None]]


def test_a_reset_makes_the_next_frame_the_first(network):
    pipeline, frames = tile_pipeline(network, preset="balanced"), block_frames(6)
    before = play(pipeline, frames[:3])
    pipeline.reset()
    after = play(pipeline, frames[:3])
    assert [result.mask.refresh for result in after] == [True, False, False]
    for first, second in zip(before, after):
        np.testing.assert_array_equal(first.detections.boxes, second.detections.boxes)
        np.testing.assert_array_equal(first.mask.keep, second.mask.keep)


def test_presets_change_between_frames(network):
    pipeline, frames = tile_pipeline(network, preset="balanced"), block_frames(9)
    play(pipeline, frames[:3])
    pipeline.reconfigure(replace(pipeline.settings, preset="careful"))
    assert all(len(result.detections) == 1 for result in play(pipeline, frames[3:6]))
    pipeline.reconfigure(replace(pipeline.settings, preset="fast"))
    fast = play(pipeline, frames[6:])
    assert all(len(result.detections) == 1 for result in fast)
    assert any(result.mask.masked_share == 1.0 for result in fast)


def test_a_runtime_takes_over_and_gives_back(network):
    pipeline, frames = tile_pipeline(network, preset="balanced"), block_frames(9)
    first = play(pipeline, frames[:3])
    for backend, start in (("onnxruntime", 3), ("cpu", 6)):
        pipeline.take_over(replace(pipeline.settings, backend=backend))
        results = play(pipeline, frames[start:start + 3])
        assert pipeline.kernels.startswith("tiles" if backend == "cpu" else backend)
        assert results[0].mask.refresh and pipeline.settings.runs_tiles == (backend == "cpu")
        assert [len(result.detections) for result in results] == [len(result.detections) for result in first]


def test_a_network_that_is_not_quantized_is_refused_with_the_command_that_does_it():
    with pytest.raises(UserError, match="backend cpu: cannot run blocks: it is not quantized: .*model import"):
        tile_pipeline(block_network())


def test_a_network_that_cannot_be_lowered_is_refused_with_the_operator():
    network = replace(block_network(), tiles_reason="node 'pool' (GlobalAveragePool)")
    with pytest.raises(UserError, match=r"cannot run blocks: node 'pool' \(GlobalAveragePool\); use auto"):
        tile_pipeline(network)


def test_damaged_tiles_are_refused_in_one_line(network):
    damaged = replace(network, tiles=network.tiles[:200])
    pipeline = tile_pipeline(damaged)
    with pytest.raises(UserError, match="its quantized form cannot be read: .*import the network again"):
        pipeline.process(block_frames(1)[0])
