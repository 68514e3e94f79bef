"""Dense runtimes compute the same network as our own dense evaluation of its integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from python_process import run_python

from regionmask_ros.lab.bench.baselines import BaselineModels
from regionmask_ros.lab.bench.candidates import EventCandidate
from regionmask_ros.lab.bench.clip import Clip
from regionmask_ros.metrics.dense_reference import dense_head, encode_exactly, rms
from regionmask_ros.network.formats.lava_dl import INPUT_MEAN, INPUT_STD, input_table

SIZE_WH = (96, 64)


@pytest.fixture(scope="module")
def network(tiny_network):
    """Like the trained one: the same normalization, weights of moderate size."""
    layers = tuple(replace(layer, weight=layer.weight // 4) for layer in tiny_network.layers)
    return replace(tiny_network, layers=layers, input_table=input_table())


@pytest.fixture(scope="module")
def clip(noise_clip) -> Clip:
    return noise_clip(SIZE_WH, 8)


def open_baseline(name: str, network, clip: Clip):
    opened = BaselineModels(network, clip, 1).open(name)
    if isinstance(opened, str):
        pytest.skip(opened)
    return opened


def exact_input(image: np.ndarray) -> np.ndarray:
    return (image / 255.0 - np.array(INPUT_MEAN)) / np.array(INPUT_STD)


@pytest.mark.parametrize("name", ["onnxruntime_fp32", "torch_fp32"])
def test_an_fp32_baseline_is_the_dense_network(name, network, clip):
    candidate = open_baseline(name, network, clip)
    head = candidate.real_head(candidate.step(clip.images[0]))
    expected = dense_head(network, exact_input(clip.images[0]))
    assert head.shape == expected.shape and np.ptp(expected) > 1
    assert rms(head, expected) < 1e-5 * np.ptp(expected)
    # The integer network rounds its input to 1/64; there is no other difference.
    assert rms(head, dense_head(network, encode_exactly(network, clip.images[0]))) < 1e-2


@pytest.mark.parametrize("name", ["onnxruntime_int8", "openvino_int8"])
def test_an_int8_baseline_is_near_the_dense_network(name, network, clip, real_video):
    real_video("bikes.mp4")
    candidate = open_baseline(name, network, clip)
    expected = dense_head(network, exact_input(clip.images[0]))
    head = candidate.real_head(candidate.step(clip.images[0]))
    assert 0 < rms(head, expected) < 0.05 * np.ptp(expected)


def test_our_engine_is_near_the_dense_network_after_some_frames(network, clip):
    candidate = EventCandidate(network, SIZE_WH, "unmasked", np.ones((4, 6), bool))
    for _ in range(4):
        head = candidate.real_head(candidate.step(clip.images[0]))
    expected = dense_head(network, encode_exactly(network, clip.images[0]))
    assert rms(head, expected) < 0.2 * np.ptp(expected)


def test_another_normalisation_cannot_be_exported(tiny_network):
    export = pytest.importorskip("regionmask_ros.lab.bench.onnx_export", exc_type=ImportError,
                                 reason="no onnx: `make runtimes` brings it")
    with pytest.raises(ValueError, match="input table"):
        export.export_onnx(tiny_network, SIZE_WH)


def test_runtimes_are_imported_only_when_they_are_opened():
    code = (
        "import sys, regionmask_ros.commands.bench\n"
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'openvino'} & set(sys.modules)))"
    )
    done = run_python("-c", code)
    assert done.stdout == "[]\n", done.stderr
