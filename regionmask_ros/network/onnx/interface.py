"""Brings a graph's inputs and outputs into one form: one image float32 [1, 3, height, width] in, float32 arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InvalidFile
from .editing import GraphEditor, constants_to_weights
from .reading import load_onnx_package
from .tensors import inner_graphs

_CHANNELS = 3
_LARGEST_SIDE = 16_384
# Numbers of types in onnx.proto: float32, uint8, float16, float64, bfloat16.
_FLOAT, _IMAGE_TYPES = 1, (1, 2, 10, 11, 16)
_SCALE_INPUTS = frozenset(("scale_factor",))
_HEIGHT_WIDTH_INPUTS = frozenset(("im_shape", "image_shape", "img_shape"))
_WIDTH_HEIGHT_INPUTS = frozenset(("orig_target_sizes", "orig_size"))


@dataclass(frozen=True)
class Interface:
    """The input of a graph as the file declares it.

    Attributes:
        input_name: Name of the image.
        declared_wh: Width and height, where the file fixes them.
        extra_inputs: Names of further inputs, which now are computed in the graph.
        was_nhwc: Whether the channels were the last axis.
        input_type: Number of the type in onnx.proto.
    """

    input_name: str
    declared_wh: tuple[int, int] | None
    extra_inputs: tuple[str, ...]
    was_nhwc: bool
    input_type: int


def unify_interface(model: Any) -> Interface:
    """Changes a graph so that its only input is float32 [1, 3, height, width], and all outputs are float32.

    Args:
        model: The ModelProto, which is changed. Its claims about shapes of intermediate values are dropped.

    Returns:
        What the file declared.

    Raises:
        InvalidFile: The graph has no input, or several ones, that can be an image, or another unknown input.
    """
    constants_to_weights(model)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    images = [value for value in inputs if _image_axes(value) is not None]
    if len(images) != 1:
        named = ", ".join(f"{value.name!r} {_describe(value)}" for value in inputs[:8]) or "none"
        raise InvalidFile(f"its inputs are {named}: one image [1, 3, height, width] is needed")
    image = images[0]
    others = [value for value in inputs if value is not image]
    editor = GraphEditor(model)
    batch, was_nhwc, declared_wh = _read_shape(image)
    if batch > 1:
        raise InvalidFile(f"input {image.name!r} takes {batch} pictures at once: export it for one picture")
    input_type = image.type.tensor_type.elem_type
    source = image.name
    if input_type != _FLOAT:
        source = editor.add("Cast", [source], to=input_type)
    if was_nhwc:
        source = editor.add("Transpose", [source], perm=[0, 2, 3, 1])
    _rename_uses(graph, {image.name: source} if source != image.name else {})
    _rename_uses(graph, {value.name: _compute_extra(editor, value, image.name) for value in others})
    editor.finish()
    name = image.name
    del graph.input[:]
    graph.input.append(_image_value(name, declared_wh))
    del graph.value_info[:]
    _cast_outputs(model)
    return Interface(name, declared_wh, tuple(value.name for value in others), was_nhwc, input_type)


def set_input_size(model: Any, input_name: str, wh: tuple[int, int] | None) -> None:
    """Declares the size of the input: width and height, or None for any."""
    del model.graph.input[:]
    model.graph.input.append(_image_value(input_name, wh))


def _image_value(name: str, wh: tuple[int, int] | None) -> Any:
    width, height = wh or ("width", "height")
    return load_onnx_package().helper.make_tensor_value_info(name, _FLOAT, [1, _CHANNELS, height, width])


def _image_axes(value: Any) -> bool | None:
    """False for [n, 3, h, w], True for [n, h, w, 3], None for what is no image."""
    if not value.type.HasField("tensor_type"):
        return None
    dims = value.type.tensor_type.shape.dim
    if len(dims) != 4 or value.type.tensor_type.elem_type not in _IMAGE_TYPES:
        return None
    if dims[1].dim_value == _CHANNELS:
        return False
    if dims[3].dim_value == _CHANNELS:
        return True
    # A file that leaves all sizes free: the usual order.
    return None if dims[1].dim_value or (dims[3].dim_value and not dims[1].dim_param) else False


def _read_shape(image: Any) -> tuple[int, bool, tuple[int, int] | None]:
    """Batch (0 if free), whether the channels are last, and width and height, where both are fixed."""
    dims = [dim.dim_value for dim in image.type.tensor_type.shape.dim]
    was_nhwc = bool(_image_axes(image))
    height, width = dims[1:3] if was_nhwc else dims[2:4]
    if not (0 <= height <= _LARGEST_SIDE and 0 <= width <= _LARGEST_SIDE):
        raise InvalidFile(f"input {image.name!r}: impossible size {width}x{height}")
    return dims[0], was_nhwc, (width, height) if width and height else None


def _compute_extra(editor: GraphEditor, value: Any, image_name: str) -> str:
    """The name of what replaces a known further input, or InvalidFile."""
    dtype = value.type.tensor_type.elem_type
    if value.name in _SCALE_INPUTS:
        return editor.add("Cast", [editor.constant(np.ones((1, 2), np.float32))], to=dtype)
    if value.name in _HEIGHT_WIDTH_INPUTS or value.name in _WIDTH_HEIGHT_INPUTS:
        axes = (2, 3) if value.name in _HEIGHT_WIDTH_INPUTS else (3, 2)
        shape = editor.add("Shape", [image_name])
        size = editor.add("Gather", [shape, editor.constant(np.array([axes], np.int64))], axis=0)
        return editor.add("Cast", [size], to=dtype)
    raise InvalidFile(f"input {value.name!r} {_describe(value)} is unknown: export the network with the image as its "
                      "only input")


def _rename_uses(graph: Any, names: dict[str, str]) -> None:
    """Lets all nodes, also those in inner graphs, read other values."""
    if not names:
        return
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in names:
                node.input[place] = names[name]
        for inner in inner_graphs(node):
            _rename_uses(inner, names)


def _cast_outputs(model: Any) -> None:
    """Makes all outputs float32, under their names, and drops what the file claims of their shapes."""
    onnx = load_onnx_package()
    graph = model.graph
    kinds = [(value.name, value.type.tensor_type.elem_type if value.type.HasField("tensor_type") else 0)
             for value in graph.output]
    del graph.output[:]
    for name, kind in kinds:
        if kind != _FLOAT:
            inner = f"{name}/uncast"
            for node in graph.node:
                node.output[:] = [inner if output == name else output for output in node.output]
            _rename_uses(graph, {name: inner})
            graph.node.append(onnx.helper.make_node("Cast", [inner], [name], name=f"{name}/cast", to=_FLOAT))
        graph.output.append(onnx.helper.make_tensor_value_info(name, _FLOAT, None))


def _describe(value: Any) -> str:
    dims = value.type.tensor_type.shape.dim
    return "[" + ", ".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims) + "]"
