"""Networks with other thresholds, and files of tuned thresholds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from regionmask_ros.core.frame import Frame, resize_frame
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


def test_only_the_thresholds_of_the_network_are_replaced(tiny_network):
    values = {"encoder": 2, "c1": 3, "c2": 7, "c3": 12}
    changed = with_thresholds(tiny_network, values)
    assert get_thresholds(changed) == values and get_thresholds(tiny_network) == dict.fromkeys(values, 6)
    assert changed.digest != tiny_network.digest and changed.head == tiny_network.head
    for one, other in zip(changed.layers, tiny_network.layers):
        np.testing.assert_array_equal(one.weight, other.weight)
    with pytest.raises(ValueError, match="c1, c2, c3"):
        with_thresholds(tiny_network, {"encoder": 2})


def test_a_network_of_only_a_head_has_the_threshold_of_the_encoder(tiny_network):
    alone = replace(tiny_network, layers=tiny_network.layers[-1:], head=None, labels=(), input_table=np.zeros(
        (256, tiny_network.layers[-1].in_channels), np.int32))
    for step in (1, 2):
        changed = with_thresholds(alone, {"encoder": 8}, step)
        assert changed.encoder_threshold == 8 // step
        np.testing.assert_array_equal(changed.layers[0].weight, step * alone.layers[0].weight)


def test_the_engine_equals_the_reference_with_other_thresholds(tiny_network):
    changed = with_thresholds(tiny_network, {"encoder": 3, "c1": 2, "c2": 11, "c3": 20})
    pipeline = Pipeline(changed, PipelineSettings(arithmetic="snap"))
    encoder, reference_network = ReferenceEncoder((64, 96, 3), 3), ReferenceNetwork(changed, (96, 64), "snap")
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (64, 96, 3))
    for t in range(6):
        frame = Frame(np.clip(still + rng.integers(-9, 10, still.shape), 0, 255).astype(np.uint8), "rgb", t, "")
        image = resize_frame(frame, (96, 64))
        value = np.stack([changed.input_table[image[..., c], c] for c in range(3)], axis=2)
        expected = reference_network.step(encoder.step(value.astype(np.int64)))
        np.testing.assert_array_equal(pipeline.process(frame)[0].head, expected)


def test_with_an_input_step_of_2_a_change_from_dark_to_bright_is_sent_in_one_frame(trained):
    values = get_thresholds(trained)
    coarse = with_thresholds(trained, {**values, "encoder": 5}, 2)
    assert coarse.encoder_threshold == 3, "rounded up: 6/64"
    np.testing.assert_array_equal(coarse.layers[0].weight, 2 * trained.layers[0].weight)
    np.testing.assert_allclose(2 * coarse.input_table, trained.input_table, atol=1)
    with_head = [Pipeline(network, PipelineSettings()) for network in (trained, coarse)]
    for pipeline in with_head:
        _, bright, still = (pipeline.process(Frame(np.full((64, 64, 3), gray, np.uint8), "rgb", t, ""))[0].counts
                               for t, gray in enumerate((0, 230, 230)))
        assert bright.encoder_events == 64 * 64 * 3
        assert (still.encoder_events == 0) == (pipeline is with_head[1]), "Lava's 8 bits leave a residual to be sent"


def test_the_head_is_nearly_equal_for_both_input_steps(trained):
    fine, coarse = (with_thresholds(trained, get_thresholds(trained), step) for step in (1, 2))
    image = np.random.default_rng(0).integers(60, 200, (64, 64, 3)).astype(np.uint8)
    heads = [Pipeline(network, PipelineSettings()).process(Frame(image, "rgb", 0, ""))[0].head.astype(float)
             for network in (fine, coarse)]
    assert np.corrcoef(heads[0].ravel(), heads[1].ravel())[0, 1] > 0.995


def test_a_written_file_is_read_back_unchanged(tmp_path):
    path = tmp_path / "tuned.json"
    path.write_text(TunedThresholds(**GOOD).to_json())
    assert read_tuned(path) == TunedThresholds(**GOOD)


@pytest.mark.parametrize("change, message", [
    ({"arithmetic": "float"}, "arithmetic 'float' is unknown"),
    ({"thresholds": {"encoder": 0}}, "threshold of encoder is 0"),
    ({"thresholds": {"encoder": LARGEST + 1}}, f"from 1 to {LARGEST}"),
    ({"thresholds": {"encoder": 4.0}}, "must be an integer"), ({"thresholds": {"encoder": True}}, "must be an integer"),
    ({"thresholds": {"encoder": 3}}, "threshold of encoder is 3: it must be a multiple"),
    ({"input_step": 3}, "input_step 3: it must be one of 1, 2"), ({"input_step": True}, "it needs network"),
    ({"thresholds": [3]}, "it needs network"), ({"network": None}, "it needs network"),
])
def test_a_wrong_value_is_rejected(tmp_path, change, message):
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(UserError, match=message) as error:
        read_tuned(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"3", b'{"network": NaN}'])
def test_any_other_content_is_rejected_in_one_line(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_tuned(tmp_path / "x.json")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="no such file"):
        read_tuned(tmp_path / "none.json")


def test_the_bundled_file_is_for_the_trained_network(trained):
    bundled, tuned = bundled_thresholds(), tuned_network(trained)
    assert bundled.network == trained.digest and set(bundled.thresholds) == set(get_thresholds(trained))
    assert get_thresholds(with_thresholds(trained, bundled.thresholds)) == bundled.thresholds
    assert (bundled.input_step, tuned.encoder_threshold) == (2, bundled.thresholds["encoder"] // 2)
    assert tuned_network(trained) is tuned_network(trained), "cameras share the weights"
    assert {"command", "tuning", "held_out", "trials"} <= set(bundled.made)
    assert SHIPPED.stat().st_size < 10_000 and "/" not in bundled.made["command"]


def test_the_bundled_file_is_for_no_other_network(tiny_network):
    assert tuned_network(tiny_network) is None
