"""Turns a "Focus" and the convolution behind it into one convolution, which every runtime computes faster.

YOLOX and early versions of YOLOv5 begin with four slices of the picture, every second pixel of every second line, which
are joined as channels and convolved with a kernel of k x k. The same numbers come from one convolution of the picture
itself with a kernel of 2k x 2k and a stride of 2: the weight of channel c of the slice that starts at (dy, dx), at
(y, x), is the weight of channel c at (2y + dy, 2x + dx).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .reading import load_onnx_package

_ROWS, _COLS = 2, 3
_FAR = 2**31 - 1


def merge_focus(model: Any) -> bool:
    """Merges each Focus of a graph with its convolution.

    Args:
        model: The ModelProto, which is changed.

    Returns:
        Whether there was one.
    """
    onnx = load_onnx_package()
    graph = model.graph
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        # Graphs inside of nodes read values, too.
        return False
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, int] = {}
    for name in [name for node in graph.node for name in node.input] + [output.name for output in graph.output]:
        readers[name] = readers.get(name, 0) + 1
    is_found = False
    for node in graph.node:
        joined = makers.get(node.input[0]) if node.op_type == "Conv" else None
        if joined is None or readers[joined.output[0]] != 1 or node.input[1] not in constants:
            continue
        parts = _find_parts(joined, makers, constants)
        weights = _merge_weights(node, constants[node.input[1]], parts[1]) if parts else None
        if parts is None or weights is None:
            continue
        name = f"{node.input[1]}/merged"
        graph.initializer.append(onnx.numpy_helper.from_array(weights, name))
        node.input[0], node.input[1] = parts[0], name
        _set_geometry(onnx, node, weights.shape[2])
        is_found = True
    if is_found:
        _remove_unread(graph)
    return is_found


def _find_parts(joined: Any, makers: Mapping[str, Any], constants: Mapping[str, np.ndarray]
                ) -> tuple[str, list[tuple[int, int]]] | None:
    """The tensor that is sliced, and the first row and column of each slice; None if it is no Focus."""
    if joined.op_type != "Concat" or len(joined.input) != 4 or _attribute(joined, "axis") not in (1, -3):
        return None
    roots, starts = set(), []
    for part in joined.input:
        start: dict[int, int] = {}
        root = part
        while root in makers and makers[root].op_type == "Slice":
            cut = _read_slice(makers[root], constants)
            if cut is None or set(cut) & set(start):
                return None
            start |= cut
            root = makers[root].input[0]
        roots.add(root)
        starts.append((start.get(_ROWS, -1), start.get(_COLS, -1)))
    if len(roots) != 1 or set(starts) != {(0, 0), (0, 1), (1, 0), (1, 1)}:
        return None
    return roots.pop(), starts


def _read_slice(node: Any, constants: Mapping[str, np.ndarray]) -> dict[int, int] | None:
    """First index by axis, for a slice that takes every second row or column up to the end."""
    values = [constants.get(name) for name in node.input[1:]]
    if len(values) != 4 or any(value is None for value in values):
        return None
    starts, ends, axes, steps = (np.atleast_1d(value).tolist() for value in values if value is not None)
    if any(step != 2 for step in steps) or any(end < _FAR for end in ends) or not set(axes) <= {_ROWS, _COLS}:
        return None
    return dict(zip(axes, starts))


def _merge_weights(node: Any, weights: np.ndarray, starts: list[tuple[int, int]]) -> np.ndarray | None:
    """Weights [outputs, channels, 2k, 2k]; None for a convolution of another geometry."""
    size = weights.shape[-1]
    expected = {"group": 1, "strides": [1, 1], "dilations": [1, 1], "pads": [size // 2] * 4}
    given = {name: _attribute(node, name) for name in (*expected, "auto_pad")}
    if weights.ndim != 4 or weights.shape[2] != size or size % 2 == 0 or weights.shape[1] % 4 or any(
            value is not None and value != expected.get(name, b"NOTSET") for name, value in given.items()):
        return None
    if given["pads"] is None and size > 1:
        return None
    channels = weights.shape[1] // 4
    merged = np.zeros((len(weights), channels, 2 * size, 2 * size), weights.dtype)
    for place, (row, col) in enumerate(starts):
        merged[:, :, row::2, col::2] = weights[:, place * channels:(place + 1) * channels]
    return merged


def _set_geometry(onnx: Any, node: Any, size: int) -> None:
    geometry = {"kernel_shape": [size, size], "strides": [2, 2], "pads": [size // 2 // 2 * 2] * 4}
    kept = [attribute for attribute in node.attribute if attribute.name not in geometry]
    copies = [onnx.AttributeProto.FromString(attribute.SerializeToString()) for attribute in kept]
    del node.attribute[:]
    node.attribute.extend([*copies, *(onnx.helper.make_attribute(name, value) for name, value in geometry.items())])


def _remove_unread(graph: Any) -> None:
    """Removes slices and joints that nobody reads any more. Nodes are in the order of computation."""
    read, unread = {output.name for output in graph.output}, []
    for place in reversed(range(len(graph.node))):
        node = graph.node[place]
        if node.op_type in ("Slice", "Concat") and read.isdisjoint(node.output):
            unread.append(place)
        else:
            read.update(node.input)
    for place in unread:
        del graph.node[place]


def _attribute(node: Any, name: str) -> Any:
    onnx = load_onnx_package()
    return next((onnx.helper.get_attribute_value(one) for one in node.attribute if one.name == name), None)
