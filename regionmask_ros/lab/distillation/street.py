"""The student ``street``: a detector of three scales with operators that event hardware and int8 runtimes have.

Convolutions with rectifiers, maxima, enlargement and concatenation only. Its first six layers begin with YOLO-KP's
weights, where their shapes are the same; all others are random. Its output is YOLOX's, raw: one row for each cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...network.chain import Network
from ...network.dense import Preprocessing

STRIDES = (8, 16, 32)
NUMBERS_PER_CELL = 5
"""Of the output beside the classes: x, y, w, h, objectness."""

PREPROCESSING = Preprocessing("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""That of YOLO-KP, whose first layers these are."""

FIRST_LAYERS = ((3, 16, 2), (16, 32, 2), (32, 64, 2), (64, 128, 2), (128, 256, 1), (256, 256, 2))
"""Input channels, output channels and stride of the first 3x3 convolutions."""

SHARES = {"first1.sum": 0.0, "first2.sum": 0.0, "first3.sum": 0.0, "first4.sum": 0.35, "first5.sum": 0.35,
          "first6.sum": 0.35}
"""Rates of YOLO-KP's layers relative to those of the new ones. Three rest: they see edges, of which there are enough in
its own training data, and what is before them need not be computed backward."""

FIRST_OBJECTNESS = 0.01
"""What the untrained network says everywhere, so that the many empty cells do not dominate the first steps."""

OPSET, IR_VERSION = 13, 8
_WEIGHT_SCALE = 64.0
"""One of YOLO-KP's integer weights is 1/64."""


@dataclass
class _Builder:
    """Nodes and constants of a graph in the making."""

    onnx: Any
    rng: np.random.Generator
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(value, name))
        return name

    def conv(self, source: str, name: str, shape: tuple[int, int, int], stride: int = 1,
             given: tuple[np.ndarray, np.ndarray] | None = None, rectified: bool = True) -> str:
        """A convolution of (inputs, outputs, kernel)."""
        inputs, outputs, kernel = shape
        if given is None:
            spread = np.sqrt(2.0 / (inputs * kernel * kernel))
            given = (self.rng.normal(0.0, spread, (outputs, inputs, kernel, kernel)), np.zeros(outputs))
        names = [source, *(self.constant(f"{name}.{part}", value.astype(np.float32))
                           for part, value in zip(("weight", "bias"), given))]
        pad = kernel // 2
        made = self.add("Conv", names, f"{name}.sum" if rectified else name, kernel_shape=[kernel, kernel],
                        strides=[stride, stride], pads=[pad, pad, pad, pad])
        return self.add("Relu", [made], name) if rectified else made


def build_street(num_classes: int, base: Network | None, seed: int) -> Any:
    """Builds the untrained student.

    Args:
        num_classes: Number of classes.
        base: YOLO-KP; None: all weights are random.
        seed: Of random weights.

    Returns:
        An ONNX ModelProto. Input: ``images``, float [1, 3, height, width], multiples of 32. Output: ``output``,
        [1, cells, 5 + classes].
    """
    import onnx

    make = _Builder(onnx, np.random.default_rng(seed))
    levels = _add_first_layers(make, base)
    at8, at16, at32 = levels[2], levels[4], levels[5]
    deep = make.conv(at32, "deep.narrow", (256, 128, 1))
    wide = [deep]
    for size in range(2):
        wide.append(make.add("MaxPool", [wide[-1]], f"deep.max{size}", kernel_shape=[5, 5], strides=[1, 1],
                             pads=[2, 2, 2, 2]))
    deep = make.conv(make.add("Concat", wide, "deep.all", axis=1), "deep", (384, 128, 1))
    middle = _merge(make, "middle", make.conv(deep, "deep.up", (128, 64, 1)),
                    make.conv(at16, "middle.side", (256, 64, 1)), 64)
    fine = _merge(make, "fine", middle, at8, 64)
    heads = [_add_head(make, f"head{stride}", source, channels, num_classes)
             for stride, source, channels in zip(STRIDES, (fine, middle, deep), (64, 64, 128))]
    make.add("Transpose", [make.add("Concat", heads, "levels", axis=2)], "output", perm=[0, 2, 1])
    return _finish(make, num_classes)


def _add_first_layers(make: _Builder, base: Network | None) -> list[str]:
    """Adds the layers of YOLO-KP; returns the names of their outputs."""
    outputs, source = [], "images"
    for number, (inputs, channels, stride) in enumerate(FIRST_LAYERS):
        given = None
        if base is not None:
            layer = base.layers[number]
            if layer.weight.shape != (channels, inputs, 3, 3) or layer.stride != stride or layer.bias is None:
                raise ValueError(f"layer {number} of {base.name} has another shape")
            given = layer.weight / _WEIGHT_SCALE, layer.bias / _WEIGHT_SCALE
        source = make.conv(source, f"first{number + 1}", (inputs, channels, 3), stride, given)
        outputs.append(source)
    return outputs


def _merge(make: _Builder, name: str, coarse: str, side: str, channels: int) -> str:
    """Enlarges a coarse level, and merges it with a finer one; both have 64 channels."""
    scales = make.constant(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
    larger = make.add("Resize", [coarse, "", scales], f"{name}.up", mode="nearest",
                      coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    merged = make.conv(make.add("Concat", [larger, side], f"{name}.both", axis=1), f"{name}.narrow", (128, 64, 1))
    return make.conv(merged, name, (64, channels, 3))


def _add_head(make: _Builder, name: str, source: str, channels: int, num_classes: int) -> str:
    """Boxes, objectness and classes of a level; returns the name of [1, 5 + classes, cells]."""
    tower = make.conv(source, f"{name}.tower", (channels, 64, 3))
    spread, lift = 0.01, -np.log(1 / FIRST_OBJECTNESS - 1)
    parts = {"box": (4, 0.0), "object": (1, lift), "class": (num_classes, 0.0)}
    found = {part: make.conv(tower, f"{name}.{part}", (64, count, 1), 1, (
        make.rng.normal(0.0, spread, (count, 64, 1, 1)), np.full(count, bias)), rectified=False)
        for part, (count, bias) in parts.items()}
    shares = [found["box"], *(make.add("Sigmoid", [found[part]], f"{name}.{part}.share")
                              for part in ("object", "class"))]
    all_numbers = make.add("Concat", shares, f"{name}.all", axis=1)
    shape = make.constant(f"{name}.shape", np.array([1, NUMBERS_PER_CELL + num_classes, -1], np.int64))
    return make.add("Reshape", [all_numbers, shape], f"{name}.cells")


def _finish(make: _Builder, num_classes: int) -> Any:
    helper, kind = make.onnx.helper, make.onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        make.nodes, "street", [helper.make_tensor_value_info("images", kind, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("output", kind, [1, "cells", NUMBERS_PER_CELL + num_classes])], make.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="regionmask_ros")
    model.ir_version = IR_VERSION
    make.onnx.checker.check_model(model)
    return model
