"""The engine and its reference implementation against what Lava itself computed: no differing integer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_networks import Layers, step

from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets
from regionmask_ros.engine.reference import ReferenceEncoder, ReferenceNetwork
from regionmask_ros.network.chain import ConvSpec


@pytest.fixture(scope="module")
def small():
    """A network of three layers that clips and wraps, and 20 frames of 16x16x2, without and with a mask."""
    with np.load(Path(__file__).with_name("random_small.npz")) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def small_network(small):
    return Layers((
        ConvSpec("c1", small["w1"], small["b1"], 2, 1, 6),
        ConvSpec("c2", small["w2"], small["b2"], 1, 1, 6),
        ConvSpec("c3", small["w3"], None, 1, 0, 0),
    ))


@pytest.mark.parametrize("prefix", ["", "masked_"])
def test_the_reference_equals_lava_on_the_small_network(small, small_network, prefix):
    encoder, network = ReferenceEncoder((16, 16, 2), 6), ReferenceNetwork(small_network, (16, 16), "lava")
    for t, value in enumerate(small["input"]):
        head = network.step(encoder.step(value, ~small["masked"][t] if prefix else None))
        for k, message in enumerate(network.messages):
            np.testing.assert_array_equal(message, small[f"{prefix}msg{k}"][t])
        np.testing.assert_array_equal(head, small[prefix + "output"][t])


@pytest.mark.parametrize("kernel_set", available_kernel_sets())
@pytest.mark.parametrize("prefix", ["", "masked_"])
def test_kernels_equal_lava_on_the_small_network(small, small_network, prefix, kernel_set):
    engine = EventEngine(PackedNetwork(small_network), (16, 16), "lava", kernel_set)
    for t in range(len(small["input"])):
        result = step(engine, small[prefix + "msg0"][t])
        np.testing.assert_array_equal(result.head, small[prefix + "output"][t])
        counts = [np.count_nonzero(small[f"{prefix}msg{k}"][t]) for k in (1, 2)]
        assert list(result.layer_events) == counts


@pytest.mark.parametrize("kernel_set", available_kernel_sets())
@pytest.mark.parametrize("name", ["vtest_25", "vtest_25_masked", "bikes_12"])
def test_engine_equals_lava_on_real_video(name, reference_folder, trained, kernel_set):
    with np.load(reference_folder / f"{name}.npz") as file:
        vectors = {key: file[key] for key in file.files}
    expected = np.cumsum(vectors["output_diff"], axis=0, dtype=np.int32)
    engine = EventEngine(PackedNetwork(trained), (448, 448), "lava", kernel_set)
    for t, sent in enumerate(vectors["enc_msg"]):
        result = step(engine, sent.astype(np.int32) << 4)
        assert np.count_nonzero(result.head != expected[t]) == 0, f"frame {t}"
        assert list(result.synops) == vectors["synops"][t].tolist()
        assert list(result.layer_events) == vectors["msg_nonzero"][t][1:].tolist()
