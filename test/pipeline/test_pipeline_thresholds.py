"""Which thresholds are used: tuned ones for a preset on the backend cpu, trained ones for everything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regionmask_ros.core.frame import Frame
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.errors import UserError
from regionmask_ros.network.thresholds import bundled_thresholds, tuned_network
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings, check_tuned, make_settings

TUNED = ("tuned", bundled_thresholds().arithmetic)


@pytest.mark.parametrize("asked, expected", [
    ({"preset": "balanced"}, TUNED), ({"preset": "careful", "thresholds": "tuned"}, TUNED),
    ({"preset": "fast", "thresholds": "trained"}, ("trained", "carry")),
    ({"preset": "fast", "arithmetic": "carry"}, ("trained", "carry")),
    ({"preset": "fast", "arithmetic": "snap"}, ("trained", "snap")),
    ({"preset": "fast", "arithmetic": TUNED[1], "thresholds": "tuned"}, TUNED),
    ({"preset": "fast", "backend": "lava_sim"}, ("trained", "lava")),
    ({"preset": "fast", "backend": "loihi2"}, ("trained", "lava")),
    ({}, ("trained", "carry")), ({"mask": "dynamic"}, ("trained", "carry")),
])
def test_thresholds_and_arithmetic_follow_from_the_settings(asked, expected):
    settings = PipelineSettings(**{"backend": "cpu", **asked})
    assert (settings.thresholds, settings.arithmetic) == expected


def images(count: int) -> list[Frame]:
    rng = np.random.default_rng(0)
    still = rng.integers(0, 200, (64, 96, 3))
    return [Frame((still + rng.integers(0, 40, still.shape)).astype(np.uint8), "rgb", t, "") for t in range(count)]


def test_another_network_keeps_its_trained_thresholds(tiny_network):
    pipeline = Pipeline(tiny_network, PipelineSettings(preset="fast"))
    assert (pipeline.settings.thresholds, pipeline.settings.arithmetic) == ("trained", "carry")
    pipeline.reconfigure(PipelineSettings(preset="balanced"))


def test_tuned_thresholds_are_refused_where_there_are_none(tiny_network, trained):
    values = {name: option.default for name, option in OPTIONS.items()}
    for network, backend, asked in ((tiny_network, "auto", "tuned"), (tiny_network, "cpu", "tuned"),
                                    (tiny_network, "cpu", ""), (trained, "cpu", "tuned")):
        wanted = {**values, "backend": backend, "thresholds": asked}
        settings = make_settings(wanted).for_network(network)
        if asked and network is tiny_network:
            with pytest.raises(UserError, match="thresholds tuned: this network has none"):
                check_tuned(wanted, settings)
        else:
            check_tuned(wanted, settings)


def test_a_preset_computes_with_the_tuned_network(trained):
    (frame,) = images(1)
    preset = Pipeline(trained, PipelineSettings(preset="careful"))
    plain = Pipeline(tuned_network(trained), PipelineSettings(arithmetic=TUNED[1]))
    np.testing.assert_array_equal(preset.process(frame)[0].head, plain.process(frame)[0].head)
    assert preset.settings.thresholds == "tuned"


def test_taking_over_swaps_thresholds_and_resets(trained):
    frames, pipeline = images(4), Pipeline(trained, PipelineSettings())
    pipeline.process(frames[0])
    wanted = PipelineSettings(backend="cpu", preset="fast")
    with pytest.raises(UserError, match="cannot change while the detector runs"):
        pipeline.reconfigure(wanted)
    pipeline.reconfigure(wanted.keep_backend(pipeline.settings))
    assert (pipeline.settings.preset, pipeline.settings.thresholds) == ("fast", "trained")
    pipeline.take_over(pipeline.settings.keep_backend(wanted))
    (result,) = pipeline.process(frames[1])
    (fresh,) = Pipeline(trained, wanted).process(frames[1])
    assert result.mask.refresh and pipeline.settings == wanted
    np.testing.assert_array_equal(result.head, fresh.head)
    assert result.counts == fresh.counts
    pipeline.reconfigure(replace(wanted, preset=""))
    pipeline.take_over(pipeline.settings.keep_backend(PipelineSettings(backend="cpu")))
    assert pipeline.process(frames[2])[0].mask.refresh and pipeline.settings == PipelineSettings(backend="cpu")
