"""Small YOLOX-like detectors in ONNX files, written as exporters write them: for one size, or for any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")

import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)
CLASSES = 3


class GraphMaker:
    """Collects the nodes and weights of a graph.

    Args:
        wh: Width and height that the graph is written for.
        seed: Of the weights.
    """

    def __init__(self, wh: tuple[int, int], seed: int = 0) -> None:
        self.wh, self.nodes, self.weights = wh, [], []
        self.rng = np.random.default_rng(seed)

    def weight(self, value: np.ndarray, name: str = "") -> str:
        name = name or f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(value), name))
        return name

    def node(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(
            op_type, list(inputs), names, name=f"{op_type}_{len(self.nodes)}", **attributes))
        return names[0] if outputs == 1 else names

    def integers(self, *values: int) -> str:
        return self.weight(np.array(values, np.int64))

    def conv(self, data: str, inputs: int, outputs: int, kernel: int, stride: int) -> str:
        # Results stay near 1, also for pictures of 0 to 255.
        size = (0.02 if inputs == 3 else 1.0) * (inputs * kernel * kernel) ** -0.5
        weight = self.rng.normal(0, size, (outputs, inputs, kernel, kernel))
        bias = self.weight(self.rng.normal(0, 0.5, outputs).astype(np.float32))
        pad = (kernel - stride + 1) // 2
        return self.node("Conv", data, self.weight(weight.astype(np.float32)), bias, strides=[stride] * 2,
                         kernel_shape=[kernel] * 2, pads=[pad] * 4)

    def model(self, outputs: Sequence[str], shape: Sequence[int | str] = (), opset: int = 13,
              input_type: int = TensorProto.FLOAT, output_type: int = TensorProto.FLOAT) -> onnx.ModelProto:
        width, height = self.wh
        image = helper.make_tensor_value_info("images", input_type, shape or [1, 3, height, width])
        graph = helper.make_graph(
            self.nodes, "detector", [image],
            [helper.make_tensor_value_info(name, output_type, None) for name in outputs], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def make_detector(wh: tuple[int, int] = (96, 64), *, fixed: bool = True, shuffles: bool = False, resizes: bool = False,
                  decoded: bool = False, grids: bool = False, data: str = "images", seed: int = 0) -> GraphMaker:
    """A detector with the outputs of YOLOX; its last node is the output.

    Args:
        wh: Width and height that the graph is written for.
        fixed: Whether targets of Reshape have all their lengths, and none is left open.
        shuffles: Whether channels are shuffled, by a Reshape to five axes and back.
        resizes: Whether a level is made larger by sizes and added to the one above.
        decoded: Whether boxes are in pixels, with constants for all cells.
        grids: Whether these constants are apart for each level, with rows and columns.
        data: Name of the value that the first node reads.
        seed: Of the weights.
    """
    make = GraphMaker(wh, seed)
    levels, channels, channels_before = [], 8, 3
    for stride in STRIDES:
        data = make.node("Relu", make.conv(data, channels_before, channels, 8 if stride == 8 else 2,
                                           8 if stride == 8 else 2))
        levels.append(data)
        channels_before = channels
    if shuffles:
        columns, rows = wh[0] // 8, wh[1] // 8
        wide = make.node("Reshape", levels[0], make.integers(1, 2, channels // 2, rows, columns))
        turned = make.node("Transpose", wide, perm=[0, 2, 1, 3, 4])
        levels[0] = make.node("Reshape", turned, make.integers(1, channels, rows, columns))
    if resizes:
        sizes = make.integers(1, channels, wh[1] // 8, wh[0] // 8)
        make.nodes.append(helper.make_node("Resize", [levels[1], "", "", sizes], ["larger"], name="Resize_sizes",
                                           mode="nearest", coordinate_transformation_mode="asymmetric",
                                           nearest_mode="floor"))
        levels[0] = make.node("Add", levels[0], "larger")
    rows_of_levels = [_add_level(make, level, stride, fixed, decoded and grids)
                      for level, stride in zip(levels, STRIDES)]
    joined = make.node("Concat", *rows_of_levels, axis=1)
    if decoded and not grids:
        joined = _decode(make, joined)
    return make


def _add_level(make: GraphMaker, level: str, stride: int, fixed: bool, decode: bool) -> str:
    """[1, cells, 5 + classes]"""
    columns, rows = make.wh[0] // stride, make.wh[1] // stride
    boxes = make.conv(level, 8, 4, 1, 1)
    scores = make.node("Sigmoid", make.conv(level, 8, 1 + CLASSES, 1, 1))
    if decode:
        grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)))[None].astype(np.float32)
        xy, wh = make.node("Split", boxes, make.integers(2, 2), axis=1, outputs=2)
        xy = make.node("Mul", make.node("Add", xy, make.weight(grid)), make.weight(np.float32(stride)))
        wh = make.node("Mul", make.node("Exp", wh), make.weight(np.float32(stride)))
        boxes = make.node("Concat", xy, wh, axis=1)
    level = make.node("Concat", boxes, scores, axis=1)
    target = make.integers(1, 5 + CLASSES, rows * columns if fixed else -1)
    return make.node("Transpose", make.node("Reshape", level, target), perm=[0, 2, 1])


def _decode(make: GraphMaker, joined: str) -> str:
    """With constants for all cells: their corners [1, cells, 2], and their strides [1, cells, 1]."""
    corners, strides = [], []
    for stride in STRIDES:
        columns, rows = make.wh[0] // stride, make.wh[1] // stride
        corners.append(np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(1, -1, 2))
        strides.append(np.full((1, rows * columns, 1), stride))
    grid, steps = (make.weight(np.concatenate(parts, axis=1).astype(np.float32)) for parts in (corners, strides))
    xy, wh, scores = make.node("Split", joined, make.integers(2, 2, 1 + CLASSES), axis=2, outputs=3)
    xy = make.node("Mul", make.node("Add", xy, grid), steps)
    wh = make.node("Mul", make.node("Exp", wh), steps)
    return make.node("Concat", xy, wh, scores, axis=2)


def detector_model(wh: tuple[int, int] = (96, 64), **given: Any) -> onnx.ModelProto:
    """The model of ``make_detector``."""
    make = make_detector(wh, **given)
    return make.model([make.nodes[-1].output[0]])


def classifier_model() -> onnx.ModelProto:
    """A network without boxes."""
    make = GraphMaker((64, 64))
    return make.model([make.node("Flatten", make.node("GlobalAveragePool", make.conv("images", 3, 10, 3, 2)))])
