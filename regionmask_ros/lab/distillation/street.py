"""The student ``street``: a detector of three scales with operators that event hardware and int8 runtimes have.

Convolutions with rectifiers, maxima, enlargement and concatenation only. Its first six layers begin with YOLO-KP's
weights, where their shapes are the same; all others are random. Its output is YOLOX's, raw: one row for each cell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...network.chain import Network
from ...network.dense import Preprocessing
from .graph_builder import StudentBuilder, take_layer

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
    make = StudentBuilder(seed)
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
    return make.finish("street", "images", ["output"], NUMBERS_PER_CELL + num_classes)


def _add_first_layers(make: StudentBuilder, base: Network | None) -> list[str]:
    """Adds the layers of YOLO-KP; returns the names of their outputs."""
    outputs, source = [], "images"
    for number, (inputs, channels, stride) in enumerate(FIRST_LAYERS):
        shape = inputs, channels, 3
        source = make.conv(source, f"first{number + 1}", shape, stride, take_layer(base, number, shape, stride))
        outputs.append(source)
    return outputs


def _merge(make: StudentBuilder, name: str, coarse: str, side: str, channels: int) -> str:
    """Enlarges a coarse level, and merges it with a finer one; both have 64 channels."""
    scales = make.constant(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
    larger = make.add("Resize", [coarse, "", scales], f"{name}.up", mode="nearest",
                      coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    merged = make.conv(make.add("Concat", [larger, side], f"{name}.both", axis=1), f"{name}.narrow", (128, 64, 1))
    return make.conv(merged, name, (64, channels, 3))


def _add_head(make: StudentBuilder, name: str, source: str, channels: int, num_classes: int) -> str:
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
