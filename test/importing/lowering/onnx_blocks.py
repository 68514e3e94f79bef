"""Blocks of ONNX nodes, in the spellings that exporters use. Needs the package onnx."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from detector_graphs import GraphMaker

Block = Callable[[GraphMaker, str, int], tuple[str, int]]
"""From a tensor and its channels to another one."""


def convolve(make: GraphMaker, data: str, channels: int, outputs: int, kernel: tuple[int, int], groups: int = 1,
             with_bias: bool = True, **attributes) -> str:
    size = (channels // groups * kernel[0] * kernel[1]) ** -0.5
    weight = make.weight(make.rng.normal(0, size, (outputs, channels // groups, *kernel)).astype(np.float32))
    bias = [make.weight(make.rng.normal(0, 0.3, outputs).astype(np.float32))] if with_bias else []
    return make.node("Conv", data, weight, *bias, kernel_shape=list(kernel), group=groups, **attributes)


def scalar(make: GraphMaker, value: float) -> str:
    return make.weight(np.float32(value))


def per_channel(make: GraphMaker, channels: int) -> str:
    return make.weight(make.rng.uniform(0.5, 1.5, (1, channels, 1, 1)).astype(np.float32))


def conv(outputs: int, *kernel: int, **attributes) -> Block:
    return lambda make, data, channels: (convolve(make, data, channels, outputs, kernel, **attributes), outputs)


def depthwise(kernel: int, multiplier: int = 1, **attributes) -> Block:
    def block(make, data, channels):
        outputs = multiplier * channels
        return convolve(make, data, channels, outputs, (kernel, kernel), channels, **attributes), outputs

    return block


def unary(operator: str, **attributes) -> Block:
    return lambda make, data, channels: (make.node(operator, data, **attributes), channels)


def spelled(function: Callable[[GraphMaker, str, int], str]) -> Block:
    return lambda make, data, channels: (function(make, data, channels), channels)


def normalize(make: GraphMaker, data: str, channels: int) -> str:
    parts = [make.weight(make.rng.uniform(0.5, 1.5, channels).astype(np.float32)) for _ in range(4)]
    return make.node("BatchNormalization", data, *parts, epsilon=1e-3)


def clip(make: GraphMaker, data: str, low: float, high: float) -> str:
    return make.node("Clip", data, scalar(make, low), scalar(make, high))


def hard_swish(make: GraphMaker, data: str, _: int) -> str:
    """As PaddlePaddle writes it."""
    inner = clip(make, make.node("Add", data, scalar(make, 3)), 0, 6)
    return make.node("Div", make.node("Mul", data, inner), scalar(make, 6))


def hard_swish_by_sigmoid(make: GraphMaker, data: str, _: int) -> str:
    return make.node("Mul", data, make.node("HardSigmoid", data, alpha=1 / 6, beta=0.5))


def swish_by_exponential(make: GraphMaker, data: str, _: int) -> str:
    power = make.node("Exp", make.node("Neg", data))
    return make.node("Div", data, make.node("Add", power, scalar(make, 1)))


def leaky_by_maximum(make: GraphMaker, data: str, _: int) -> str:
    return make.node("Max", data, make.node("Mul", data, scalar(make, 0.125)))


def shuffle(groups: int, spells_all: bool) -> Block:
    """As ShuffleNet does it, with targets that come from the shape of the tensor, or that leave one length open."""
    def block(make, data, channels):
        shape = make.node("Shape", data)
        sides = make.node("Slice", shape, make.integers(2), make.integers(4), make.integers(0))
        wide = make.node("Concat", make.integers(1, groups, channels // groups), sides, axis=0)
        narrow = make.node("Concat", make.integers(1, channels if spells_all else -1), sides, axis=0)
        turned = make.node("Transpose", make.node("Reshape", data, wide), perm=[0, 2, 1, 3, 4])
        return make.node("Reshape", turned, narrow), channels

    return block


def deinterleave(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    """As FastestDet does it: pairs of channels, of which the second ones are taken."""
    sides = make.node("Slice", make.node("Shape", data), make.integers(2), make.integers(4), make.integers(0))
    turned = make.node("Transpose", make.node("Reshape", data, make.integers(channels // 2, 2, -1)), perm=[1, 0, 2])
    target = make.node("Concat", make.integers(2, 1, channels // 2), sides, axis=0)
    return make.node("Gather", make.node("Reshape", turned, target), make.weight(np.int64(1)), axis=0), channels // 2


def focus(order: tuple[tuple[int, int], ...], at_once: bool) -> Block:
    """Every second pixel of every second line, by one Slice or two."""
    far = 2**31 - 1

    def part(make, data, row, col):
        if at_once:
            return make.node("Slice", data, make.integers(row, col), make.integers(far, far), make.integers(2, 3),
                             make.integers(2, 2))
        for axis, start in ((2, row), (3, col)):
            data = make.node("Slice", data, make.integers(start), make.integers(far), make.integers(axis),
                             make.integers(2))
        return data

    return lambda make, data, channels: (
        make.node("Concat", *(part(make, data, row, col) for row, col in order), axis=1), channels * len(order))


def depth_by_reshape(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    """As YOLOv2 does it, with six axes."""
    sides = make.node("Slice", make.node("Shape", data), make.integers(2), make.integers(4), make.integers(0))
    half = make.node("Div", sides, make.integers(2))
    rows, cols = make.node("Split", half, make.integers(1, 1), axis=0, outputs=2)
    wide = make.node("Concat", make.integers(1, channels), rows, make.integers(2), cols, make.integers(2), axis=0)
    turned = make.node("Transpose", make.node("Reshape", data, wide), perm=[0, 3, 5, 1, 2, 4])
    target = make.node("Concat", make.integers(1, 4 * channels), half, axis=0)
    return make.node("Reshape", turned, target), 4 * channels


def split(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    first, second = make.node("Split", data, make.integers(channels - 2, 2), axis=1, outputs=2)
    return make.node("Concat", second, make.node("Relu", first), data, axis=1), 2 * channels


def take(start: int, end: int) -> Block:
    def block(make, data, channels):
        part = make.node("Slice", data, make.integers(start), make.integers(end), make.integers(1))
        return part, len(range(channels)[start:end])

    return block


def reverse(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    return make.node("Gather", data, make.integers(*reversed(range(channels))), axis=1), channels


def residual(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    inner = make.node("Relu", convolve(make, data, channels, channels, (3, 3), pads=[1] * 4))
    return make.node("Relu", make.node("Add", data, inner)), channels


def difference(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    return make.node("Sub", convolve(make, data, channels, channels, (1, 1)), data), channels


def attend(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    """Spatial attention: one channel multiplies all."""
    gate = make.node("Sigmoid", convolve(make, data, channels, 1, (3, 3), pads=[1] * 4))
    return make.node("Mul", data, gate), channels


def enlarge(mode: str, place: str, rounding: str = "floor", factor: float = 2.0) -> Block:
    return lambda make, data, channels: (make.node(
        "Resize", data, "", make.weight(np.array([1, 1, factor, factor], np.float32)), mode=mode,
        coordinate_transformation_mode=place, nearest_mode=rounding), channels)


def enlarge_to_sizes(make: GraphMaker, data: str, channels: int) -> tuple[str, int]:
    """With sizes that are computed from the shape."""
    shape = make.node("Shape", data)
    sides = make.node("Slice", shape, make.integers(2), make.integers(4), make.integers(0))
    sizes = make.node("Concat", make.integers(1, channels), make.node("Mul", sides, make.integers(2)), axis=0)
    return make.node("Resize", data, "", "", sizes, mode="nearest", nearest_mode="floor",
                     coordinate_transformation_mode="asymmetric"), channels


def pad(then: str, *sides: int, **attributes) -> Block:
    """Zeros, then a convolution or a pool."""
    def block(make, data, channels):
        padded = make.node("Pad", data, make.integers(0, 0, *sides[:2], 0, 0, *sides[2:]))
        if then == "Conv":
            return convolve(make, padded, channels, 5, (3, 3), **attributes), 5
        return make.node(then, padded, kernel_shape=[3, 3], **attributes), channels

    return block


def pool(operator: str, kernel: int, **attributes) -> Block:
    return lambda make, data, channels: (make.node(operator, data, kernel_shape=[kernel] * 2, **attributes), channels)


BLOCKS: Mapping[str, Block] = {
    "point convolution": conv(7, 1, 1),
    "convolution without bias": conv(6, 3, 3, pads=[1, 1, 1, 1], with_bias=False),
    "kernel with two sides": conv(5, 1, 5, pads=[0, 2, 0, 2]),
    "stride": conv(6, 3, 3, strides=[2, 2], pads=[1, 1, 1, 1]),
    "padding on two sides": conv(6, 3, 3, strides=[2, 2], pads=[0, 0, 1, 1]),
    "same upper": conv(6, 3, 3, strides=[2, 2], auto_pad="SAME_UPPER"),
    "same lower": conv(6, 4, 4, auto_pad="SAME_LOWER"),
    "dilation": conv(6, 3, 3, dilations=[2, 2], pads=[2, 2, 2, 2]),
    "depthwise": depthwise(3, pads=[1, 1, 1, 1]),
    "depthwise, two for one": depthwise(3, 2, pads=[1, 1, 1, 1]),
    "groups": lambda make, data, channels: (convolve(make, *conv(8, 1, 1)(make, data, channels), 6, (3, 3), 2,
                                                     pads=[1] * 4), 6),
    "batch normalization": spelled(normalize),
    "normalized convolution": lambda make, data, channels: (
        make.node("Relu", normalize(make, convolve(make, data, channels, 6, (3, 3), pads=[1] * 4), 6)), 6),
    "normalized before a point": lambda make, data, channels: (
        convolve(make, normalize(make, make.node("Relu", data), channels), channels, 5, (1, 1)), 5),
    "normalized before a window": lambda make, data, channels: (
        convolve(make, normalize(make, make.node("Relu", data), channels), channels, 5, (3, 3), pads=[1] * 4), 5),
    "relu": unary("Relu"), "leaky relu": unary("LeakyRelu", alpha=0.1), "sigmoid": unary("Sigmoid"),
    "hard sigmoid": unary("HardSigmoid"),
    "leaky by maximum": spelled(leaky_by_maximum),
    "relu6": spelled(lambda make, data, _: clip(make, data, 0, 6)),
    "relu6 by minimum": spelled(lambda make, data, _: make.node("Min", make.node("Relu", data), scalar(make, 6))),
    "clip without end": spelled(lambda make, data, _: make.node("Clip", data, scalar(make, 0))),
    "swish": spelled(lambda make, data, _: make.node("Mul", make.node("Sigmoid", data), data)),
    "swish by exponential": spelled(swish_by_exponential),
    "hard swish": spelled(hard_swish), "hard swish by sigmoid": spelled(hard_swish_by_sigmoid),
    "factor": spelled(lambda make, data, channels: make.node("Mul", data, per_channel(make, channels))),
    "addend": spelled(lambda make, data, channels: make.node("Add", per_channel(make, channels), data)),
    "difference to a number": spelled(lambda make, data, _: make.node("Sub", scalar(make, 1), data)),
    "quotient": spelled(lambda make, data, _: make.node("Div", data, scalar(make, 3))),
    "max pool": pool("MaxPool", 3, strides=[2, 2], pads=[1, 1, 1, 1]),
    "wide max pool": pool("MaxPool", 5, pads=[2, 2, 2, 2]),
    "max pool, rounded up": pool("MaxPool", 3, strides=[2, 2], ceil_mode=1),
    "average pool": pool("AveragePool", 3, strides=[2, 2], pads=[1, 1, 1, 1]),
    "average pool, padding counts": pool("AveragePool", 3, pads=[1, 1, 1, 1], count_include_pad=1),
    "average pool of two": pool("AveragePool", 2, strides=[2, 2]),
    "nearest": enlarge("nearest", "asymmetric"),
    "nearest, centers": enlarge("nearest", "half_pixel", "round_prefer_floor"),
    "nearest to sizes": enlarge_to_sizes,
    "linear": enlarge("linear", "half_pixel"),
    "linear to half": enlarge("linear", "half_pixel", factor=0.5),
    "shuffle": lambda make, data, channels: shuffle(3, True)(make, *conv(12, 1, 1)(make, data, channels)),
    "shuffle, open length": lambda make, data, channels: shuffle(2, False)(make, *conv(8, 1, 1)(make, data, channels)),
    "pairs": lambda make, data, channels: deinterleave(make, *conv(8, 1, 1)(make, data, channels)),
    "focus": focus(((0, 0), (1, 0), (0, 1), (1, 1)), at_once=False),
    "focus, other order": focus(((1, 1), (0, 1), (0, 0), (1, 0)), at_once=True),
    "space to depth": lambda make, data, channels: (make.node("SpaceToDepth", data, blocksize=2), 4 * channels),
    "space to depth by reshape": depth_by_reshape,
    "split": split, "first channels": take(0, 2), "last channels": take(-2, 2**31), "reversed channels": reverse,
    "residual": residual, "difference": difference, "attention": attend,
    "sum with itself": spelled(lambda make, data, _: make.node("Add", data, data)),
    "joint": lambda make, data, channels: (make.node("Concat", data, make.node("Sigmoid", data), axis=1), 2 * channels),
    "padded convolution": pad("Conv", 1, 2, 0, 1),
    "padded average pool": pad("AveragePool", 1, 1, 1, 1),
    "padded max pool": lambda make, data, channels: pad("MaxPool", 1, 1, 1, 1)(make, make.node("Relu", data), channels),
    "nothing": spelled(
        lambda make, data, _: make.node("Dropout", make.node("Identity", make.node("Cast", data, to=1)))),
}
"""By name; they need at least 3 channels, and even sides."""
