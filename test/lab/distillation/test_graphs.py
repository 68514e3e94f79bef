"""The student `street`, and how graphs are changed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the package onnx is not installed: run 'make runtimes'")

import onnx
from tiny_yolox import make_graph

from regionmask_ros.backends.runtimes import run_once
from regionmask_ros.errors import UserError
from regionmask_ros.importing.detector import Wishes, import_detector
from regionmask_ros.lab.distillation.rewrite import make_event_friendly, set_weights
from regionmask_ros.lab.distillation.street import build_street
from regionmask_ros.network.files import find_network, load_network
from regionmask_ros.network.onnx.cost import count_cost


@pytest.fixture(scope="module")
def yolo_kp():
    return load_network(find_network())


def operators(model) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_street_begins_with_yolo_kp_and_costs_no_more(yolo_kp):
    model = build_street(6, yolo_kp, 0)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.testing.assert_array_equal(weights["first4.weight"], (yolo_kp.layers[3].weight / 64).astype(np.float32))
    assert sum(weight.size for weight in weights.values()) < 1_400_000
    assert count_cost(model.SerializeToString(), "images", (736, 416))[2] <= sum(yolo_kp.dense_macs((736, 416)))
    assert set(operators(model)) == {"Conv", "Relu", "MaxPool", "Resize", "Concat", "Sigmoid", "Reshape", "Transpose"}


def test_street_is_read_as_a_raw_yolox_network_of_any_size(tmp_path):
    file = tmp_path / "street.onnx"
    file.write_bytes(build_street(6, None, 1).SerializeToString())
    network = import_detector(file, Wishes(preprocess="rgb,0..255")).network
    assert (network.head.family, network.head.num_classes, network.head.strides) == ("yolox", 6, (8, 16, 32))
    assert network.head.numbers["raw"] == 1.0 and network.fixed_wh is None


def test_smooth_activations_become_rectifiers_and_all_else_stays():
    model = make_graph("silu")
    changed, replaced = make_event_friendly(model)
    assert replaced == 6 and operators(changed).count("Relu") == 6
    assert operators(changed).count("Sigmoid") == 4 and "Mul" not in operators(changed)
    image = np.random.default_rng(0).normal(0, 1, (1, 3, 64, 96)).astype(np.float32)
    expected = run_once(make_graph("relu").SerializeToString(), "images", image)["output"]
    np.testing.assert_allclose(run_once(changed.SerializeToString(), "images", image)["output"], expected, atol=1e-6)
    assert operators(model).count("Relu") == 0


def test_a_graph_without_smooth_activations_is_refused():
    with pytest.raises(UserError, match="no SiLU"):
        make_event_friendly(make_graph("relu"))


def test_weights_are_set_by_the_name_of_the_result():
    model = make_graph("relu")
    changed = set_weights(model, {"down4.sum": (np.ones((16, 8, 3, 3)), None), "box8": (np.zeros((4, 24, 1, 1)),
                                                                                     np.array([1.0, 2, 3, 4]))})
    onnx.checker.check_model(changed)
    output = run_once(changed.SerializeToString(), "images", np.zeros((1, 3, 32, 32), np.float32))["output"]
    np.testing.assert_array_equal(output[0, :16, :4], np.tile([1, 2, 3, 4], (16, 1)))
    names = {node.name: len(node.input) for node in changed.graph.node}
    assert names["down4.sum"] == 2 and len(model.graph.initializer) == len(changed.graph.initializer) + 1
