"""A dense network of three convolutions that finds bright squares of 40 pixels. Needs the package onnx."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from dense_networks import INPUT, dense_network, make_model
from onnx import helper, numpy_helper

from regionmask_ros.network.dense import DenseNetwork, HeadSpec

CELL, SQUARE = 8, 40
THRESHOLD, SOFTNESS = 150.0, 40.0
GAINS = np.array([1.0, 0.01, 5.0, 0.2], np.float32)
"""Of the four inner channels, which all hold the brightness: one range for all would be too coarse for the second."""


def bright_detector() -> DenseNetwork:
    """The network, with YOLOX's head at one level."""
    mean = np.broadcast_to(GAINS[:, None, None, None] / (3 * CELL * CELL), (4, 3, CELL, CELL))
    side = SQUARE // CELL
    middle = np.broadcast_to(1.0 / (side * side * GAINS[:, None, None, None]), (4, 1, side, side))
    last = np.zeros((6, 4, 1, 1), np.float32)
    last[4, 1, 0, 0] = 1.0 / SOFTNESS
    bias = np.array([0.5, 0.5, np.log(SQUARE / CELL), np.log(SQUARE / CELL), -THRESHOLD / SOFTNESS, 5.0], np.float32)
    constants = {
        "mean": mean.astype(np.float32), "middle": middle.astype(np.float32), "last": last, "bias": bias,
        "rows": np.array([1, 6, -1], np.int64), "start": np.array([0], np.int64), "four": np.array([4], np.int64),
        "six": np.array([6], np.int64), "axis": np.array([1], np.int64)}
    nodes = [
        helper.make_node("Conv", [INPUT, "mean"], ["conv0"], strides=[CELL, CELL]),
        helper.make_node("Relu", ["conv0"], ["bright"]),
        helper.make_node("Conv", ["bright", "middle"], ["conv1"], group=4, pads=[side // 2] * 4),
        helper.make_node("Conv", ["conv1", "last", "bias"], ["conv2"]),
        helper.make_node("Slice", ["conv2", "start", "four", "axis"], ["boxes"]),
        helper.make_node("Slice", ["conv2", "four", "six", "axis"], ["raw"]),
        helper.make_node("Sigmoid", ["raw"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["all"], axis=1),
        helper.make_node("Reshape", ["all", "rows"], ["cells"]),
        helper.make_node("Transpose", ["cells"], ["out"], perm=[0, 2, 1]),
    ]
    model = make_model(nodes, ["out"], [numpy_helper.from_array(value, name) for name, value in constants.items()])
    return replace(dense_network(model), name="bright", head=HeadSpec("yolox", 1, ("out",), (CELL,), {"raw": 1.0}))
