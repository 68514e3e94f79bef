"""Other thresholds for a network, and the file that brings some."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from regionmask_ros.core.frame import Frame, make_view
from regionmask_ros.engine.reference import ReferenceEncoder, ReferenceNetwork
from regionmask_ros.errors import UserError
from regionmask_ros.network.thresholds import (
    LARGEST,
    SHIPPED,
    TunedThresholds,
    bundled_thresholds,
    get_thresholds,
    read_tuned,
    tuned_network,
    with_thresholds,
)
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

GOOD = {"network": "abc", "arithmetic": "snap", "input_step": 2, "thresholds": {"encoder": 4, "c1": 9},
        "made": {"trials": 4}}


def test_a_network_with_other_thresholds_is_the_same_but_for_them(tiny_network):
    values = {"encoder": 2, "c1": 3, "c2": 7, "c3": 12}
    changed = with_thresholds(tiny_network, values)
    assert get_thresholds(changed) == values and get_thresholds(tiny_network) == dict.fromkeys(values, 6)
    assert changed.digest != tiny_network.digest and changed.head == tiny_network.head
    for one, other in zip(changed.layers, tiny_network.layers):
        np.testing.assert_array_equal(one.weight, other.weight)
    with pytest.raises(ValueError, match="c1, c2, c3"):
        with_thresholds(tiny_network, {"encoder": 2})


def test_a_network_that_is_a_head_alone_has_the_encoders_threshold(tiny_network):
    alone = replace(tiny_network, layers=tiny_network.layers[-1:], head=None, labels=(), input_table=np.zeros(
        (256, tiny_network.layers[-1].in_channels), np.int32))
    for step in (1, 2):
        changed = with_thresholds(alone, {"encoder": 8}, step)
        assert changed.encoder_threshold == 8 // step
        np.testing.assert_array_equal(changed.layers[0].weight, step * alone.layers[0].weight)


def test_the_engine_computes_other_thresholds_as_the_twin(tiny_network):
    changed = with_thresholds(tiny_network, {"encoder": 3, "c1": 2, "c2": 11, "c3": 20})
    pipeline = Pipeline(changed, PipelineSettings(arithmetic="snap"))
    encoder, reference_network = ReferenceEncoder((64, 96, 3), 3), ReferenceNetwork(changed, (96, 64), "snap")
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (64, 96, 3))
    for t in range(6):
        frame = Frame(np.clip(still + rng.integers(-9, 10, still.shape), 0, 255).astype(np.uint8), "rgb", t, "")
        image = make_view(frame, (96, 64)).image
        value = np.stack([changed.input_table[image[..., c], c] for c in range(3)], axis=2)
        np.testing.assert_array_equal(pipeline.process(frame)[0].head, reference_network.step(encoder.step(value.astype(np.int64))))


def test_in_steps_of_two_a_change_from_dark_to_bright_arrives_in_one_frame(trained):
    values = get_thresholds(trained)
    coarse = with_thresholds(trained, {**values, "encoder": 5}, 2)
    assert coarse.encoder_threshold == 3, "rounded up: 6/64"
    np.testing.assert_array_equal(coarse.layers[0].weight, 2 * trained.layers[0].weight)
    np.testing.assert_allclose(2 * coarse.input_table, trained.input_table, atol=1)
    with_head = [Pipeline(network, PipelineSettings()) for network in (trained, coarse)]
    for pipeline in with_head:
        dark, bright, still = (pipeline.process(Frame(np.full((64, 64, 3), grey, np.uint8), "rgb", t, ""))[0].counts
                               for t, grey in enumerate((0, 230, 230)))
        assert bright.encoder_events == 64 * 64 * 3
        assert (still.encoder_events == 0) == (pipeline is with_head[1]), "Lava's 8 bits leave a rest to be sent"


def test_the_head_is_nearly_the_same_in_either_step(trained):
    fine, coarse = (with_thresholds(trained, get_thresholds(trained), step) for step in (1, 2))
    image = np.random.default_rng(0).integers(60, 200, (64, 64, 3)).astype(np.uint8)
    heads = [Pipeline(network, PipelineSettings()).process(Frame(image, "rgb", 0, ""))[0].head.astype(float)
             for network in (fine, coarse)]
    assert np.corrcoef(heads[0].ravel(), heads[1].ravel())[0, 1] > 0.995


def test_a_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "tuned.json"
    path.write_text(TunedThresholds(**GOOD).to_json())
    assert read_tuned(path) == TunedThresholds(**GOOD)


@pytest.mark.parametrize("change, said", [
    ({"arithmetic": "float"}, "arithmetic 'float' is unknown"),
    ({"thresholds": {"encoder": 0}}, "threshold of encoder is 0"),
    ({"thresholds": {"encoder": LARGEST + 1}}, f"from 1 to {LARGEST}"),
    ({"thresholds": {"encoder": 4.0}}, "whole number"), ({"thresholds": {"encoder": True}}, "whole number"),
    ({"thresholds": {"encoder": 3}}, "threshold of encoder is 3: no multiple"),
    ({"input_step": 3}, "input_step 3: it must be one of 1, 2"), ({"input_step": True}, "it needs network"),
    ({"thresholds": [3]}, "it needs network"), ({"network": None}, "it needs network"),
])
def test_files_that_are_refused(tmp_path, change, said):
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(UserError, match=said) as told:
        read_tuned(path)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"3", b'{"network": NaN}'])
def test_anything_else_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError) as told:
        read_tuned(tmp_path / "x.json")
    assert "\n" not in str(told.value)
    with pytest.raises(UserError, match="no such file"):
        read_tuned(tmp_path / "none.json")


def test_the_file_of_the_package_is_for_the_trained_network(trained):
    assert bundled_thresholds().network == trained.digest and set(bundled_thresholds().thresholds) == set(get_thresholds(trained))
    assert get_thresholds(with_thresholds(trained, bundled_thresholds().thresholds)) == bundled_thresholds().thresholds
    tuned = tuned_network(trained)
    assert (bundled_thresholds().input_step, tuned.encoder_threshold) == (2, bundled_thresholds().thresholds["encoder"] // 2)
    assert tuned_network(trained) is tuned_network(trained), "cameras share the weights"
    assert {"command", "tuning", "held_out", "trials"} <= set(bundled_thresholds().made)
    assert SHIPPED.stat().st_size < 10_000 and "/" not in bundled_thresholds().made["command"]


def test_it_is_for_no_other_network(tiny_network):
    assert tuned_network(tiny_network) is None
