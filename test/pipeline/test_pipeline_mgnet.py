"""A mask source that uses the frame, in the pipeline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_square import moving_square, play

from regionmask_ros.core.frame import Frame
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.errors import UserError
from regionmask_ros.mask.composer import MaskComposer
from regionmask_ros.mask.source import StatelessSource
from regionmask_ros.network.formats.lava_dl import input_table
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

SETTINGS = PipelineSettings(backend="cpu", mask="dynamic", dynamic="mgnet", target_masked=0.5, refresh_period=4,
                            score_threshold=0.2)


def clip(count: int) -> list[Frame]:
    return moving_square(count, (192, 128), square_wh=(30, 40), step=6)


def test_mgnet_masks_the_target_share_and_refreshes(tiny_network):
    results = play(Pipeline(tiny_network, SETTINGS), clip(24))
    assert [r.mask.refresh for r in results] == [t % 4 == 0 for t in range(24)]
    assert np.mean([r.mask.masked_share for r in results]) == pytest.approx(0.5, abs=0.08)
    for r in results:
        assert r.mask.keep.all() if r.mask.refresh else np.array_equal(r.mask.keep, r.mask.sources["dynamic"])
        assert r.mask_text.startswith("mgnet") and r.ms["resize"] > 0.0 and r.ms["mask"] > 0.0


def test_regions_of_a_static_mask_stay_kept(tiny_network, write_mask):
    top = np.arange(8)[:, None].repeat(12, axis=1) < 2
    settings = replace(SETTINGS, mask="static+dynamic", static_mask=write_mask(top))
    results = play(Pipeline(tiny_network, settings), clip(12))
    assert all(r.mask.keep[:2].all() for r in results) and not all(r.mask.keep.all() for r in results)


def test_mgnet_can_be_switched_on_while_running(tiny_network, tmp_path):
    pipeline, frames = Pipeline(tiny_network, replace(SETTINGS, dynamic="tracking", target_masked=0.0)), clip(6)
    play(pipeline, frames[:3])
    pipeline.reconfigure(SETTINGS)
    results = play(pipeline, frames[3:])
    assert [r.mask.refresh for r in results] == [False, True, False] and results[0].mask_text.startswith("mgnet")
    (tmp_path / "bad.npz").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="bad.npz: "):
        pipeline.reconfigure(replace(SETTINGS, mgnet_weights=str(tmp_path / "bad.npz")))
    assert pipeline.settings is SETTINGS


def test_a_source_that_does_not_look_costs_no_resize(tiny_network):
    frame_views = []

    class BlindSource(StatelessSource):
        name = "blind"

        def propose(self, context):
            frame_views.append(context.frame_view)
            return context.grid.full(False)

    pipeline = Pipeline(
        tiny_network, SETTINGS, composer_factory=lambda grid, wh: MaskComposer(grid, wh, [BlindSource()]))
    first, second = play(pipeline, clip(2))
    assert first.ms["resize"] > 0.0 and second.ms["resize"] == 0.0
    assert "change" not in vars(frame_views[1]) and "image" not in vars(frame_views[1])


@pytest.mark.parametrize("table", [input_table(), np.arange(768).reshape(256, 3) ** 2 % 97], ids=["affine", "any"])
def test_pending_change_is_the_share_that_would_be_sent(table):
    encoder, rng = Encoder(table, 6, (64, 32)), np.random.default_rng(0)
    image = np.full((32, 64, 3), 200, np.uint8)
    everything, nothing = np.ones((2, 4), bool), np.zeros((2, 4), bool)
    assert (encoder.measure_change(image) == 1.0).all()
    for _ in range(20):
        encoder.step(image, everything)
    assert not encoder.measure_change(image).any()
    image[16:, 16:32] = rng.integers(0, 60, (16, 16, 3))
    share = encoder.measure_change(image)
    assert share[1, 1] > 0.5 and np.count_nonzero(share) == 1
    encoder.step(image, nothing)
    np.testing.assert_array_equal(encoder.measure_change(image), share)
    for _ in range(20):
        encoder.step(image, everything)
    assert not encoder.measure_change(image).any()
