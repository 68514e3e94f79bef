"""Quantized networks in files: an ``.npz`` archive of plain numbers, read within limits as untrusted data.

The array ``description`` is a JSON text: nodes, names, thresholds, and the tail. All other arrays are numbered, and the
text says what each of them is.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import TOO_LARGE, InvalidFile
from ...files.json_values import require_list, require_text
from ...files.safe_read import MAX_BYTES, open_zip, read_array
from ...network.graph import Graph, Node, Shape
from ..network import TileNetwork, is_head
from ..operators.convolution import Convolution
from ..operators.elementwise import Activate, Add, Multiply
from ..operators.pooling import AveragePool
from ..operators.quantized import Quantization, TileOperator
from ..operators.routing import Concat
from ..tail import Tail
from .codec import operator_from_plain, operator_to_plain

FORMAT = 1
FILE_KIND = "a quantized network"
MAX_NODES, MAX_NAME = 4096, 1024
MAX_DESCRIPTION = 8 << 20
MAX_SIDE, MAX_DIMENSIONS = 1 << 22, 5
MAX_CHANNELS = 16_384
LARGEST_LEVEL = 1000.0
_NOMINAL = 4096
"""Rows and columns of an input with which shapes are tried: the channels are the same at each size."""


@dataclass(frozen=True, eq=False)
class StoredTiles:
    """A quantized network with what is behind its heads.

    Attributes:
        network: For the tile engine.
        tail: From its heads to the outputs of the ONNX file.
    """

    network: TileNetwork
    tail: Tail


def pack_tiles(stored: StoredTiles) -> bytes:
    """Makes the content of a file.

    Args:
        stored: What it shall hold.

    Returns:
        An archive.
    """
    arrays: list[np.ndarray] = []

    def add(array: np.ndarray) -> int:
        arrays.append(array)
        return len(arrays) - 1

    network, tail = stored.network, stored.tail
    graph = network.graph
    description = {
        "format": FORMAT, "input": graph.input, "channels": graph.channels, "outputs": graph.outputs,
        "nodes": [{"name": node.name, "operator": operator_to_plain(node.operator), "inputs": node.inputs,
                   "arrays": {name: add(array) for name, array in node.parameters.items()}} for node in graph.nodes],
        "quantizations": {name: [add(one.step), add(one.zero), add(one.shift)]
                          for name, one in network.quantizations.items()},
        "factors": dict(network.factors), "levels": network.levels,
        "tail": tail.to_plain(), "tail_arrays": {name: add(array) for name, array in tail.arrays.items()},
    }
    named: dict[str, Any] = {str(number): array for number, array in enumerate(arrays)}
    content = io.BytesIO()
    np.savez_compressed(content, description=np.frombuffer(json.dumps(description).encode(), np.uint8), **named)
    return content.getvalue()


def unpack_tiles(content: bytes) -> StoredTiles:
    """Reads a file.

    Args:
        content: Of ``pack_tiles``, or anything.

    Returns:
        What it holds.

    Raises:
        InvalidFile: It is damaged, or something else.
    """
    archive = open_zip(io.BytesIO(content))
    if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
        raise InvalidFile(f"it claims to hold more than {MAX_BYTES >> 20} MB", TOO_LARGE)
    text = read_array(archive, "description", "u", FILE_KIND, MAX_DESCRIPTION)
    if text.dtype != np.uint8 or text.ndim != 1:
        raise InvalidFile(f"not {FILE_KIND}: its description is no text")
    try:
        plain = json.loads(text.tobytes())
        if plain["format"] != FORMAT:
            raise InvalidFile(f"format {plain['format']!r} of another version")
        return _read(plain, _Arrays(archive))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise InvalidFile(f"damaged {FILE_KIND.removeprefix('a ')}: {error}") from error


class _Arrays:
    """The numbered arrays of an archive."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def read(self, number: Any) -> np.ndarray:
        if type(number) is not int or number < 0:
            raise ValueError("the number of an array is needed")
        return read_array(self._archive, str(number), "iufb", FILE_KIND, MAX_SIDE, MAX_DIMENSIONS)

    def read_as(self, number: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        array = self.read(number)
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(f"array {number} is {array.dtype} {list(array.shape)}, not {np.dtype(dtype)} "
                             f"{list(shape)}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"array {number} has numbers that are not finite")
        return array


def _read(plain: Mapping[str, Any], arrays: _Arrays) -> StoredTiles:
    nodes = require_list(plain["nodes"], MAX_NODES)
    channels, name = plain["channels"], _name(plain["input"])
    if type(channels) is not int or not 1 <= channels <= MAX_CHANNELS:
        raise ValueError("a number of channels is needed")
    shapes: dict[str, Shape] = {name: (_NOMINAL, _NOMINAL, channels)}
    graph = Graph(name, channels, tuple(_read_node(node, arrays, shapes) for node in nodes),
                  tuple(map(_name, require_list(plain["outputs"], MAX_NODES))))
    graph.strides()
    bytes_of = {node.name for node in graph.nodes if not is_head(node.operator)} | {name}
    if not all(is_head(graph.node(output).operator) for output in graph.outputs if output != name):
        raise ValueError("an output that is no head")
    if name in graph.outputs or any(source not in bytes_of for node in graph.nodes for source in node.inputs):
        raise ValueError("a node that reads a head, or an input that is an output")
    quantizations = {one: _read_quantization(plain["quantizations"][one], arrays, shapes[one][2]) for one in bytes_of}
    factors = {_name(one): _number(factor) for one, factor in _dict(plain["factors"]).items()}
    if not factors.keys() <= bytes_of:
        raise ValueError("a threshold of a tensor that is not there")
    first, second, third = (_number(level) for level in require_list(plain["levels"], 3))
    tail = Tail.from_plain(_dict(plain["tail"]), {
        _name(one): arrays.read(number) for one, number in _dict(plain["tail_arrays"]).items()})
    if not set(tail.heads) <= set(graph.outputs):
        raise ValueError("a tail of other heads")
    return StoredTiles(TileNetwork(graph, quantizations, factors, (first, second, third)), tail)


def _read_node(plain: Any, arrays: _Arrays, shapes: dict[str, Shape]) -> Node:
    content = _dict(plain)
    name, operator = _name(content["name"]), operator_from_plain(content["operator"])
    inputs = tuple(map(_name, require_list(content["inputs"], MAX_NODES)))
    if not inputs or any(one not in shapes for one in inputs) or name in shapes:
        raise ValueError(f"node {name} does not fit those before it")
    if not isinstance(operator, Concat) and len(inputs) != (2 if isinstance(operator, (Add, Multiply)) else 1):
        raise ValueError(f"node {name} has {len(inputs)} inputs")
    numbers = _dict(content["arrays"])
    wanted = _parameters_of(operator, [shapes[one] for one in inputs], numbers, arrays)
    if numbers.keys() != wanted.keys():
        raise ValueError(f"node {name} has other arrays than its operator")
    node = Node(name, operator, inputs, {one: arrays.read_as(numbers[one], *wanted[one]) for one in wanted})
    shapes[name] = operator.output_shape([shapes[one] for one in inputs], node.parameters)
    if shapes[name][2] > MAX_CHANNELS:
        raise ValueError(f"node {name} has too many channels")
    return node


def _parameters_of(operator: TileOperator, inputs: list[Shape], numbers: Mapping[str, Any], arrays: _Arrays
                   ) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Type and shape of each array of a node."""
    channels = inputs[0][2]
    if isinstance(operator, Convolution):
        weight = arrays.read(numbers["weight"])
        if channels % operator.groups or weight.ndim != 4 or not len(weight) or len(weight) % operator.groups:
            raise ValueError("weights that do not fit the groups")
        outputs = (len(weight),)
        found = {"weight": (np.int8, (*outputs, *operator.window.kernel, channels // operator.groups)),
                 "offset": (np.int32, outputs), "multiplier": (np.float32, outputs), "bias": (np.float32, outputs),
                 "padding": (np.uint8, (channels,))}
        return found if operator.is_head else {**found, **_output(len(weight))}
    if isinstance(operator, Add):
        return {"factors": (np.float32, (2, channels)), "bias": (np.float32, (channels,)), **_output(channels)}
    if isinstance(operator, Multiply):
        return {"zeros": (np.float32, (2, channels)), "factors": (np.float32, (2, channels)), **_output(channels)}
    if isinstance(operator, Activate):
        return {"multiplier": (np.float32, (channels,)), "bias": (np.float32, (channels,)), **_output(channels)}
    return {"padding": (np.uint8, (channels,))} if isinstance(operator, AveragePool) else {}


def _output(channels: int) -> dict[str, tuple[Any, tuple[int, ...]]]:
    return {"scale": (np.float32, (channels,)), "zero": (np.uint8, (channels,))}


def _read_quantization(plain: Any, arrays: _Arrays, channels: int) -> Quantization:
    step, zero, shift = require_list(plain, 3)
    found = Quantization(arrays.read_as(step, np.float32, (channels,)), arrays.read_as(zero, np.uint8, (channels,)),
                         arrays.read_as(shift, np.float32, (channels,)))
    if not (found.step > 0).all():
        raise ValueError("a step that is not positive")
    return found


def _name(value: Any) -> str:
    return require_text(value, MAX_NAME)


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("values by name are needed")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or not 0.0 <= value <= LARGEST_LEVEL:
        raise ValueError("a threshold is needed")
    return float(value)
