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


def with_names(model: bytes, names: Sequence[str]) -> bytes:
    """The model with names of classes, as Ultralytics stores them."""
    named = onnx.load_from_string(model)
    named.metadata_props.add(key="names", value=str(dict(enumerate(names))))
    return named.SerializeToString()


def make_echo() -> bytes:
    """The output ``out`` is the input."""
    return make_model([helper.make_node("Identity", [INPUT], ["out"])], ["out"])


def dense_network(model: bytes, outputs: tuple[str, ...] = ("out",), preprocessing: Preprocessing = PLAIN,
                  **facts) -> DenseNetwork:
    """The model as a network with a head that nobody decodes."""
    return DenseNetwork("small", model, HeadSpec("none", 1, outputs), ("thing",), preprocessing, INPUT, **facts)


def make_block_detector(classes: int = 2, side_px: float = 44.0, brightness: float = 200.0) -> bytes:
    """Finds bright blocks of 40x40 pixels or more: boxes of one size around them, in YOLOX's raw form; output ``out``.

    Objectness rises with the mean of 40x40 pixels around a cell of 8x8, and reaches a half at ``brightness``. Larger
    cells find nothing. Every object is of class 0.
    """
    nodes, constants, levels = [], [], []
    for stride in (8, 16, 32):
        at, around = f"stride{stride}", 16 if stride == 8 else 0
        nodes.append(helper.make_node(
            "AveragePool", [INPUT], [f"{at}.mean"], kernel_shape=[stride + 2 * around] * 2, strides=[stride] * 2,
            pads=[around] * 4))
        weight, bias = np.zeros((1 + classes, 3, 1, 1)), np.full(1 + classes, -20.0)
        if around:
            weight[0], bias[0] = 0.1 / 3, -0.1 * brightness
        bias[1] = 20.0
        box = np.array([0.5, 0.5, np.log(side_px / stride), np.log(side_px / stride)])
        for name, values in (("weight", weight), ("bias", bias), ("flat", np.zeros((4, 3, 1, 1))), ("box", box)):
            constants.append(numpy_helper.from_array(values.astype(np.float32), f"{at}.{name}"))
        for kind, parameters in (("scores", ("weight", "bias")), ("boxes", ("flat", "box"))):
            nodes.append(helper.make_node("Conv", [f"{at}.mean", *(f"{at}.{name}" for name in parameters)],
                                          [f"{at}.{kind}"], kernel_shape=[1, 1]))
        nodes += [
            helper.make_node("Sigmoid", [f"{at}.scores"], [f"{at}.shares"]),
            helper.make_node("Concat", [f"{at}.boxes", f"{at}.shares"], [f"{at}.cells"], axis=1),
            helper.make_node("Reshape", [f"{at}.cells", "rows"], [f"{at}.rows"]),
        ]
        levels.append(f"{at}.rows")
    constants.append(numpy_helper.from_array(np.array([1, 5 + classes, -1], np.int64), "rows"))
    nodes += [helper.make_node("Concat", levels, ["all"], axis=2),
              helper.make_node("Transpose", ["all"], ["out"], perm=[0, 2, 1])]
    return make_model(nodes, ["out"], constants)


def block_network(labels: Sequence[str] = ("square", "disc"), name: str = "blocks") -> DenseNetwork:
    """The detector of bright blocks."""
    head = HeadSpec("yolox", len(labels), ("out",), (8, 16, 32), {"raw": 1.0})
    return DenseNetwork(name, make_block_detector(len(labels)), head, tuple(labels), PLAIN, INPUT)
