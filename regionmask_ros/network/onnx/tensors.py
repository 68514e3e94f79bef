"""Tensors of an ONNX file: their claimed sizes against their content, and content in other files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import InvalidFile
from ...files.safe_read import MAX_BYTES, open_regular

MAX_ELEMENTS = 1 << 28
MAX_RANK = 16
_EXTERNAL, _TEXT = 1, 8
# Bits of one element by the number of the type in onnx.proto.
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 8: 0, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4,
}
# The field with the content by the number of the type; int32_data for all others.
_NUMBER_FIELDS = {1: "float_data", 7: "int64_data", 8: "string_data", 11: "double_data", 12: "uint64_data",
                  13: "uint64_data", 14: "float_data", 15: "double_data"}
_PAIRS = (14, 15)
"""Complex numbers: two values each."""


def iterate_graphs(graph: Any) -> Iterator[Any]:
    """The graph and all graphs inside of it."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from iterate_graphs(inner)


def inner_graphs(node: Any) -> list[Any]:
    """The graphs that a node holds, as If and Loop do."""
    found = []
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.append(attribute.g)
        found.extend(attribute.graphs)
    return found


def iterate_tensors(graph: Any) -> Iterator[tuple[str, Any]]:
    """All tensors with content, each with words that say where it is."""
    for part in iterate_graphs(graph):
        if part.sparse_initializer:
            raise InvalidFile("sparse weights are not supported: export it with dense weights")
        for tensor in part.initializer:
            yield f"weights {tensor.name!r}", tensor
        for node in part.node:
            for attribute in node.attribute:
                for tensor in [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]:
                    yield f"node {node.name!r} ({node.op_type}), attribute {attribute.name!r}", tensor


def check_tensor(tensor: Any, place: str) -> None:
    """Checks that a tensor has as much content as its shape claims.

    Args:
        tensor: A TensorProto whose content is in the file.
        place: Where it is, for the message.

    Raises:
        InvalidFile: The shape and the content do not agree, or the type is unknown.
    """
    needed, count = _claimed_bytes(tensor, place), math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        fits = len(tensor.raw_data) == needed and tensor.data_type != _TEXT
    else:
        stored = len(getattr(tensor, _NUMBER_FIELDS.get(tensor.data_type, "int32_data")))
        fits = stored == count * (2 if tensor.data_type in _PAIRS else 1) or (
            _BITS[tensor.data_type] == 4 and stored == (count + 1) // 2)
    if not fits:
        raise InvalidFile(f"{place}: shape {_shape(tensor)} does not fit its content: the file is damaged")


def inline_external(tensors: list[tuple[str, Any]], folder: Path) -> None:
    """Reads the content of tensors that is in files of their own.

    Args:
        tensors: All tensors, from ``iterate_tensors``. Those with external content are changed.
        folder: The folder of the ONNX file. Other folders are not read.

    Raises:
        InvalidFile: A file is missing, too short, too large, or not in the folder.
    """
    external = [(place, tensor) for place, tensor in tensors if tensor.data_location == _EXTERNAL]
    total = sum(_claimed_bytes(tensor, place) for place, tensor in external)
    if total > MAX_BYTES:
        raise InvalidFile(f"its weights claim to be larger than {MAX_BYTES >> 20} MB")
    for place, tensor in external:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        needed = _claimed_bytes(tensor, place)
        content = _read_part(entries, needed, folder, place)
        del tensor.external_data[:]
        tensor.ClearField("data_location")
        tensor.raw_data = content


def _read_part(entries: dict[str, str], needed: int, folder: Path, place: str) -> bytes:
    location = entries.get("location", "")
    try:
        offset, length = int(entries.get("offset") or 0), int(entries.get("length") or needed)
    except ValueError:
        raise InvalidFile(f"{place}: damaged description of external data") from None
    if length != needed or offset < 0:
        raise InvalidFile(f"{place}: damaged description of external data")
    path = _find_beside(location, folder, place)
    try:
        with open_regular(path) as file:
            file.seek(offset)
            content = file.read(needed)
    except InvalidFile as error:
        raise InvalidFile(f"{place}: external data {location!r}: {error}") from error
    except (OSError, ValueError, OverflowError) as error:
        raise InvalidFile(f"{place}: external data {location!r} cannot be read") from error
    if len(content) != needed:
        raise InvalidFile(f"{place}: external data {location!r} is too short")
    return content


def _find_beside(location: str, folder: Path, place: str) -> Path:
    """The file of external data. It must be in the folder, also after links are followed."""
    wrong = InvalidFile(f"{place}: external data {location!r} is not beside the file: copy both into one folder")
    if not location or "\0" in location or os.path.isabs(location) or ".." in Path(location).parts:
        raise wrong
    path = folder / location
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise wrong
    return path


def _claimed_bytes(tensor: Any, place: str) -> int:
    bits = _BITS.get(tensor.data_type)
    if bits is None:
        raise InvalidFile(f"{place}: numbers of the type {tensor.data_type}, which is not supported")
    if len(tensor.dims) > MAX_RANK or any(size < 0 for size in tensor.dims):
        raise InvalidFile(f"{place}: impossible shape {_shape(tensor)}: the file is damaged")
    count = math.prod(tensor.dims)
    if count > MAX_ELEMENTS:
        raise InvalidFile(f"{place}: shape {_shape(tensor)} is larger than {MAX_ELEMENTS:,} numbers")
    return int(count * bits + 7) // 8


def _shape(tensor: Any) -> str:
    return "x".join(map(str, tensor.dims[:MAX_RANK])) or "of one number"
