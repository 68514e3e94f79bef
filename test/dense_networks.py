"""Small ONNX models for tests of dense networks. Needs the package onnx."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing

INPUT, PLAIN = "images", Preprocessing()
_OPSET, _IR_VERSION = 17, 8


def make_model(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], constants: Sequence[onnx.TensorProto] = (),
               kind: int = TensorProto.FLOAT) -> bytes:
    """A model from ``images``, float [1, 3, height, width] with free height and width."""
    shape = [1, 3, "height", "width"]
    graph = helper.make_graph(
        list(nodes), "small", [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs], list(constants))
    opset = [helper.make_opsetid("", _OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION).SerializeToString()


def make_convolutions(channels: Sequence[int] = (8, 12), stride: int = 4, seed: int = 0) -> bytes:
    """Convolutions with Swish between them; output ``out``."""
    rng, nodes, constants, last, inputs = np.random.default_rng(seed), [], [], INPUT, 3
    for index, count in enumerate(channels):
        name, size = f"conv{index}", 3 if index == 0 else 1
        weight = rng.normal(0, 1 / np.sqrt(inputs * size * size), (count, inputs, size, size))
        constants.append(numpy_helper.from_array(weight.astype(np.float32), f"{name}.weight"))
        nodes.append(helper.make_node("Conv", [last, f"{name}.weight"], [name], kernel_shape=[size] * 2,
                                      strides=[stride if index == 0 else 1] * 2, pads=[size // 2] * 4))
        nodes.append(helper.make_node("Sigmoid", [name], [f"{name}.gate"]))
        last = "out" if index == len(channels) - 1 else f"{name}.swish"
        nodes.append(helper.make_node("Mul", [name, f"{name}.gate"], [last]))
        inputs = count
    return make_model(nodes, ["out"], constants)


def make_echo() -> bytes:
    """The output ``out`` is the input."""
    return make_model([helper.make_node("Identity", [INPUT], ["out"])], ["out"])


def dense_network(model: bytes, outputs: tuple[str, ...] = ("out",), preprocessing: Preprocessing = PLAIN,
                  **facts) -> DenseNetwork:
    """The model as a network with a head that nobody decodes."""
    return DenseNetwork("small", model, HeadSpec("none", 1, outputs), ("thing",), preprocessing, INPUT, **facts)
