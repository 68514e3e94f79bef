"""A small float graph with most operators, and pictures for it."""

from __future__ import annotations

import numpy as np

from regionmask_ros.network.graph import Graph, Node
from regionmask_ros.tiles.operators.activations import Activation, Kind
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.elementwise import Activate, Add, Multiply
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.pooling import AveragePool, MaxPool
from regionmask_ros.tiles.operators.quantized import Quantization
from regionmask_ros.tiles.operators.resizing import Resize
from regionmask_ros.tiles.operators.routing import ChannelSelect, Concat, SpaceToDepth

PIXELS = Quantization.of_pixels(np.array([103.5, 116.3, 123.7]), np.array([57.4, 57.1, 58.4]))
SILU, RELU = Activation(Kind.SILU), Activation(Kind.RELU)
INPUT_WH = (64, 32)


def small_graph(seed: int = 0) -> Graph:
    """Two heads at strides 4 and 8; their tensors are named cells4 and cells8."""
    rng = np.random.default_rng(seed)

    def weights(outputs: int, side: int, inputs: int) -> dict[str, np.ndarray]:
        scale = (2.0 / (side * side * inputs)) ** 0.5
        return {"weight": rng.normal(0, scale, (outputs, side, side, inputs)).astype(np.float32),
                "bias": rng.normal(0, 0.1, outputs).astype(np.float32)}

    three, halving = Window((3, 3), 1, (1, 1, 1, 1)), Window((3, 3), 2, (1, 1, 1, 1))
    one = Window((1, 1))
    nodes = (
        Node("focus", SpaceToDepth(), ("image",)),
        Node("stem", Convolution(halving, activation=SILU), ("focus",), weights(8, 3, 12)),
        Node("depthwise", Convolution(three, 8, SILU), ("stem",), weights(8, 3, 1)),
        Node("pointwise", Convolution(one, activation=RELU), ("depthwise",), weights(8, 1, 8)),
        Node("sum", Add(), ("stem", "pointwise")),
        Node("gate", Activate(Activation(Kind.SIGMOID)), ("sum",),
             {"factor": np.full(8, 0.5, np.float32), "addend": np.full(8, 0.1, np.float32)}),
        Node("gated", Multiply(), ("sum", "gate")),
        Node("pooled", MaxPool(Window((2, 2), 2)), ("gated",)),
        Node("down", Convolution(three, activation=RELU), ("pooled",), weights(6, 3, 8)),
        Node("mean", AveragePool(three), ("down",)),
        Node("up", Resize(2), ("mean",)),
        Node("half", ChannelSelect((5, 0, 2)), ("sum",)),
        Node("both", Concat(), ("up", "half")),
        Node("cells4", Convolution(one, is_head=True), ("both",), weights(5, 1, 9)),
        Node("cells8", Convolution(one, activation=Activation(Kind.SIGMOID), is_head=True), ("down",),
             weights(5, 1, 6)),
    )
    return Graph("image", 3, nodes, ("cells4", "cells8"))


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    """Smooth noise: uint8 [rows, cols, 3] each."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        coarse = rng.integers(0, 256, (INPUT_WH[1] // 8, INPUT_WH[0] // 8, 3)).repeat(8, 0).repeat(8, 1)
        made.append(np.clip(coarse + rng.integers(-20, 21, coarse.shape), 0, 255).astype(np.uint8))
    return made
