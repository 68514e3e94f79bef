"""A YOLOX-like detector of a few thousand weights, with SiLU as YOLOX has it or with ReLU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing

CLASSES = ("red", "blue")
STRIDES = (8, 16)
PREPROCESSING = Preprocessing("rgb", (128.0,) * 3, (64.0,) * 3)
HEAD = HeadSpec("yolox", len(CLASSES), ("output",), STRIDES, {"raw": 1.0})


def make_graph(activation: str = "silu", seed: int = 0) -> Any:
    """Three convolutions down to each level, a depthwise one with a sum, and a head; input ``images``."""
    onnx = pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
    helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto  # noqa: N806
    rng = np.random.default_rng(seed)
    nodes, constants = [], []

    def add(operator: str, inputs: list[str], name: str, **attributes) -> str:
        nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def conv(source: str, name: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, group: int = 1,
             bias: float = 0.0, active: bool = True) -> str:
        weight = rng.normal(0, (2 / (inputs // group * kernel * kernel)) ** 0.5,
                            (outputs, inputs // group, kernel, kernel)).astype(np.float32)
        values = [constant(f"{name}.w", weight), constant(f"{name}.b", np.full(outputs, bias, np.float32))]
        made = add("Conv", [source, *values], f"{name}.sum" if active else name, kernel_shape=[kernel] * 2,
                   strides=[stride] * 2, pads=[kernel // 2] * 4, group=group)
        if not active:
            return made
        if activation == "relu":
            return add("Relu", [made], name)
        return add("Mul", [made, add("Sigmoid", [made], f"{name}.gate")], name)

    at2 = conv("images", "down2", 3, 8, stride=2)
    at4 = conv(at2, "down4", 8, 16, stride=2)
    at8 = conv(at4, "down8", 16, 24, stride=2)
    deep = add("Add", [at8, conv(at8, "each", 24, 24, group=24)], "both")
    at16 = conv(deep, "down16", 24, 24, stride=2)
    larger = add("Resize", [at16, "", constant("scales", np.array([1, 1, 2, 2], np.float32))], "larger",
                 mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    fine = conv(add("Concat", [larger, deep], "merged", axis=1), "fine", 48, 24)
    cells = []
    shape = constant("shape", np.array([1, 5 + len(CLASSES), -1], np.int64))
    for stride, source in zip(STRIDES, (fine, at16)):
        parts = [conv(source, f"box{stride}", 24, 4, 1, active=False)]
        for name, count, bias in (("object", 1, -4.0), ("class", len(CLASSES), 0.0)):
            value = conv(source, f"{name}{stride}", 24, count, 1, bias=bias, active=False)
            parts.append(add("Sigmoid", [value], f"{name}{stride}.share"))
        cells.append(add("Reshape", [add("Concat", parts, f"all{stride}", axis=1), shape], f"cells{stride}"))
    add("Transpose", [add("Concat", cells, "levels", axis=2)], "output", perm=[0, 2, 1])
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, "cells", 5 + len(CLASSES)])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def make_tiny(name: str = "tiny", activation: str = "silu", seed: int = 0) -> DenseNetwork:
    """The graph as an imported network."""
    return DenseNetwork(name, make_graph(activation, seed).SerializeToString(), HEAD, CLASSES, PREPROCESSING, "images")


def draw_scene(seed: int, wide: int = 160, high: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """A red and a blue block on noise, uint8 [high, wide, 3], RGB, and their labels, float32 [2, 6], as a teacher's."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 130, (high, wide, 3)).astype(np.uint8)
    rows = []
    for kind, left in enumerate((0, wide // 2)):
        w, h = int(rng.integers(18, 40)), int(rng.integers(18, 48))
        x, y = left + int(rng.integers(4, wide // 2 - w)), int(rng.integers(2, high - h))
        image[y:y + h, x:x + w] = ((235, 30, 30), (30, 30, 235))[kind]
        rows.append([x, y, x + w, y + h, 0.9, kind])
    return image, np.array(rows, np.float32)
