"""Describes what is in a network's file that can be parsed, whether or not a network can be made of it."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..errors import InvalidFile, to_one_line
from ..files.hdf5 import Hdf5Group, read_hdf5
from ..files.safe_read import open_regular, read_limited
from ..network.formats.lava_net import looks_like_net
from ..network.formats.pickle_index import TensorPlace
from ..network.formats.torch_checkpoint import find_weights
from ..network.onnx.reading import looks_like_onnx, read_onnx


def describe_file(path: str, reason: str) -> dict[str, Any]:
    """Describes a file of which no network can be made.

    Args:
        path: The file.
        reason: Why not.

    Returns:
        The content of the JSON file: format, digest, reason, facts by name, and a table.

    Raises:
        UserError: The file cannot be parsed.
    """
    if looks_like_onnx(path):
        from .process import describe_onnx_apart

        return {**describe_onnx_apart(path), "reason": reason}
    try:
        with open_regular(path) as file:
            data = read_limited(file)
        described = _describe_net(data) if looks_like_net(data) else _describe_checkpoint(data)
    except InvalidFile as error:
        raise error.about(path) from error
    return {"file": os.fspath(path), "sha256": hashlib.sha256(data).hexdigest(), **described, "reason": reason}


def describe_weights(path: str) -> str:
    """Where the weights of a checkpoint are, in words; empty for what is no checkpoint or is plain."""
    try:
        with open_regular(path) as file:
            return find_weights(read_limited(file)).describe()
    except InvalidFile:
        return ""


def description_as_text(facts: dict[str, Any]) -> str:
    """The text of ``describe_file``: names in a file may be any text, so each cell becomes one printable line."""
    pairs = [("file", facts["file"]), ("sha256", facts["sha256"]), ("format", facts["format"]),
             *facts["facts"].items(), ("cannot be used", facts["reason"])]
    rows = [[to_one_line(cell) for cell in row] for row in (facts["columns"], *facts["rows"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(facts["columns"]))]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*(f"{key:<14} {to_one_line(value)}" for key, value in pairs), "", *table])


def describe_onnx(path: str) -> dict[str, Any]:
    """Describes an ONNX file in this process; ``describe_onnx_apart`` does it in one of its own.

    Args:
        path: The file.

    Returns:
        See ``describe_file``.

    Raises:
        UserError: The file cannot be parsed.
    """
    file = read_onnx(path)
    graph = file.model.graph
    weights = {tensor.name for tensor in graph.initializer}
    operators = Counter(node.op_type for node in graph.node).most_common()
    values = [("input", value) for value in graph.input if value.name not in weights]
    values += [("output", value) for value in graph.output]
    facts = {"producer": file.producer or "unknown",
             "operators": f"{len(graph.node)}: " + ", ".join(f"{count} {name}" for name, count in operators),
             "weights": f"{sum(_size(tensor.dims) for tensor in graph.initializer):,}"}
    return {"file": path, "sha256": file.sha256, "format": "ONNX", "facts": facts, "columns": ["", "name", "shape"],
            "rows": [[kind, value.name, _shape(value)] for kind, value in values]}


def _shape(value: Any) -> str:
    dims = value.type.tensor_type.shape.dim
    return "x".join(dim.dim_param or (str(dim.dim_value) if dim.HasField("dim_value") else "?") for dim in dims)


def _size(sides: Sequence[int]) -> int:
    size = 1
    for side in sides:
        size *= side
    return size


def _describe_net(data: bytes) -> dict[str, Any]:
    layers = read_hdf5(data).group("layer")
    names = sorted(layers.names, key=lambda name: (len(name), name))
    rows = [[name, *_layer(layers, name)] for name in names]
    return {"format": "HDF5, as lava-dl exports networks", "facts": {"layers": str(len(rows))},
            "columns": ["layer", "type", "neurons", "weights"], "rows": rows}


def _layer(layers: Hdf5Group, name: str) -> tuple[str, str, str]:
    """Type, neurons and shape of the weights; "?" for what a layer does not have."""
    def read(call: Any) -> str:
        try:
            return str(call())
        except InvalidFile:
            return "?"

    return (read(lambda: layers.group(name).text("type")),
            read(lambda: layers.group(name).group("neuron").text("type")),
            read(lambda: "x".join(map(str, layers.group(name).integers("weight", (1, 2, 3, 4, 5)).shape))))


def _describe_checkpoint(data: bytes) -> dict[str, Any]:
    weights = find_weights(data)
    tensors = {name: value for name, value in weights.entries.items() if type(value) is TensorPlace}
    rows = [[name, place.storage.dtype, "x".join(map(str, place.size)) or "1"] for name, place in tensors.items()]
    count = sum(_size(place.size) for place in tensors.values())
    facts = {"weights": ", ".join(filter(None, [f"{count:,} in {len(tensors)} tensors", weights.describe()]))}
    return {"format": "torch checkpoint", "facts": facts, "columns": ["tensor", "type", "shape"], "rows": rows}
