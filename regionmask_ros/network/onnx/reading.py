"""Reads an ONNX file and checks that it is one graph of known operators. Nothing in it is executed."""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import InvalidFile, UserError
from ...files.content import HEAD_BYTES, Family, check_head
from ...files.safe_read import open_regular, read_limited
from .tensors import check_tensor, inline_external, inner_graphs, iterate_graphs, iterate_tensors
from .wire import check_wire

SUFFIX = ".onnx"
MAX_NODES = 20_000
OLDEST_OPSET = 7
STANDARD_DOMAINS = ("", "ai.onnx")
RUNTIME_DOMAIN = "com.microsoft"
"""Operators of ONNX Runtime, of which OpenVINO has some."""
_IR_VERSIONS = (8, 10)
_POSITIVE = frozenset(("strides", "dilations", "kernel_shape", "group", "blocksize"))
_MAX_TEXTS, _MAX_TEXT = 64, 1 << 16


@dataclass(frozen=True)
class OnnxFile:
    """A checked file.

    Attributes:
        model: The ModelProto, without external data; its nodes are in an order in which they can be computed.
        source_file: The file.
        sha256: Digest of the file.
        metadata: Texts that the exporter has added, such as names of classes.
        producer: The program that wrote the file.
    """

    model: Any
    source_file: str
    sha256: str
    metadata: Mapping[str, str]
    producer: str = ""


def load_onnx_package() -> Any:
    """Imports the package onnx.

    Returns:
        The module.

    Raises:
        UserError: It is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError(f"the package onnx, which reads such files, cannot be imported ({error}): "
                        "run 'make runtimes'") from error
    return onnx


def looks_like_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name, or its first bytes, are those of an ONNX file. False if it cannot be read."""
    if os.fspath(path).lower().endswith(SUFFIX):
        return True
    try:
        with open_regular(path) as file:
            start = file.read(2)
    except (InvalidFile, OSError):
        return False
    return len(start) == 2 and start[0] == 0x08 and 1 <= start[1] <= 32


def read_onnx(path: str | os.PathLike[str]) -> OnnxFile:
    """Reads a file.

    Args:
        path: The ONNX file. External data must be in the same folder.

    Returns:
        Its content.

    Raises:
        UserError: The file cannot be used, or the package onnx is missing.
    """
    onnx = load_onnx_package()
    try:
        with open_regular(path) as file:
            data = read_limited(file)
        check_head(data[:HEAD_BYTES], (Family.ONNX,), "a network in an ONNX file")
        model = parse_onnx(onnx, data, Path(path).parent)
    except InvalidFile as error:
        raise error.about(path) from error
    texts = {entry.key: entry.value for entry in model.metadata_props[:_MAX_TEXTS] if len(entry.value) <= _MAX_TEXT}
    return OnnxFile(model, os.fspath(path), hashlib.sha256(data).hexdigest(), MappingProxyType(texts),
                    model.producer_name[:_MAX_TEXT])


def parse_onnx(onnx: Any, data: bytes, folder: Path) -> Any:
    """Parses and checks the content of a file.

    Args:
        onnx: The package.
        data: The content.
        folder: Where external data may be.

    Returns:
        The ModelProto.

    Raises:
        InvalidFile: The content cannot be used.
    """
    check_wire(data)
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception as error:
        raise InvalidFile("not an ONNX file, or damaged") from error
    if not model.graph.node:
        raise InvalidFile("not an ONNX file, or without a graph")
    if model.functions:
        raise InvalidFile("it defines operators of its own (functions): export it with functions inlined")
    count = sum(len(graph.node) for graph in iterate_graphs(model.graph))
    if count > MAX_NODES:
        raise InvalidFile(f"{count:,} nodes, more than {MAX_NODES:,}")
    if not all(isinstance(text, str) for text in _texts(model)):
        raise InvalidFile("names that are not UTF-8: the file is damaged")
    tensors = list(iterate_tensors(model.graph))
    inline_external(tensors, folder)
    for place, tensor in tensors:
        check_tensor(tensor, place)
    _check_operators(onnx, model)
    _sort_nodes(model.graph, frozenset())
    model.ir_version = min(max(model.ir_version, _IR_VERSIONS[0]), _IR_VERSIONS[1])
    return model


def _texts(model: Any) -> Iterator[Any]:
    """All names. Protocol Buffers gives bytes for those that are not UTF-8."""
    yield model.producer_name
    for pair in (*model.opset_import, *model.metadata_props):
        yield from (pair.domain,) if hasattr(pair, "domain") else (pair.key, pair.value)
    for graph in iterate_graphs(model.graph):
        for value in (*graph.input, *graph.output):
            yield value.name
            yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
        for node in graph.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)
            tensors = [attribute.t for attribute in node.attribute]
            yield from (text for tensor in tensors for text in _texts_of_tensor(tensor))
        yield from (text for tensor in graph.initializer for text in _texts_of_tensor(tensor))


def _texts_of_tensor(tensor: Any) -> Iterator[Any]:
    yield tensor.name
    yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))


def name_of(node: Any) -> str:
    """The words that name a node in messages."""
    return f"node {node.name or (node.output[0] if node.output else '')!r} ({node.op_type})"


def _check_operators(onnx: Any, model: Any) -> None:
    """Raises InvalidFile for operators that no runtime can have."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    opset = max((versions[domain] for domain in STANDARD_DOMAINS if domain in versions), default=0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise InvalidFile(f"opset {opset}: export it with an opset from 11 to {newest}")
    for graph in iterate_graphs(model.graph):
        for node in graph.node:
            if node.domain == RUNTIME_DOMAIN:
                continue
            if node.domain not in STANDARD_DOMAINS:
                raise InvalidFile(f"{name_of(node)}: an operator of the domain {node.domain!r}, which no runtime here "
                                  "has: export it with standard operators")
            if not onnx.defs.has(node.op_type, opset, ""):
                raise InvalidFile(f"{name_of(node)}: no operator of opset {opset}: export it with a newer opset, "
                                  "or with standard operators")
            _check_counts(onnx, node, opset)
            _check_attributes(node)


def _check_counts(onnx: Any, node: Any, opset: int) -> None:
    """Raises InvalidFile if a node has fewer or more inputs or outputs than its operator can have."""
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    if not (schema.min_input <= len(node.input) <= schema.max_input
            and schema.min_output <= len(node.output) <= schema.max_output):
        raise InvalidFile(f"{name_of(node)}: {len(node.input)} inputs and {len(node.output)} outputs, which this "
                          "operator does not have: the file is damaged")


def _check_attributes(node: Any) -> None:
    """Raises InvalidFile for steps and sizes of 0, by which the libraries divide without a look."""
    for attribute in node.attribute:
        values = list(attribute.ints) or [attribute.i]
        if attribute.name in _POSITIVE and min(values) < 1:
            raise InvalidFile(f"{name_of(node)}: {attribute.name} of {values[:8]}, which must be positive: the file is "
                              "damaged")


def _sort_nodes(graph: Any, known_outside: frozenset[str]) -> None:
    """Puts the nodes into an order in which they can be computed. Raises InvalidFile if there is none."""
    known = set(known_outside)
    known.update(value.name for value in graph.input)
    known.update(tensor.name for tensor in graph.initializer)
    _check_outputs(graph, known)
    missing = [{name for name in _used_names(node) if name and name not in known} for node in graph.node]
    users: dict[str, list[int]] = {}
    for index, names in enumerate(missing):
        for name in names:
            users.setdefault(name, []).append(index)
    ready = [index for index, names in enumerate(missing) if not names]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for name in graph.node[order[-1]].output:
            known.add(name)
            for user in users.pop(name, ()):
                missing[user].discard(name)
                if not missing[user]:
                    heapq.heappush(ready, user)
    if len(order) < len(graph.node):
        index = min(set(range(len(graph.node))) - set(order))
        raise InvalidFile(f"{name_of(graph.node[index])} uses {min(missing[index])!r}, which no earlier node computes: "
                          "the graph has a cycle or a gap")
    unknown = next((value.name for value in graph.output if value.name not in known), None)
    if unknown is not None:
        raise InvalidFile(f"output {unknown!r} is not computed by any node")
    if order != sorted(order):
        copies = [type(graph.node[index]).FromString(graph.node[index].SerializeToString()) for index in order]
        del graph.node[:]
        graph.node.extend(copies)
    for node in graph.node:
        for inner in inner_graphs(node):
            _sort_nodes(inner, frozenset(known))


def _check_outputs(graph: Any, known: set[str]) -> None:
    """Raises InvalidFile if two nodes compute the same value."""
    made = set(known)
    for node in graph.node:
        names = [name for name in node.output if name]
        if made.intersection(names) or len(set(names)) < len(names):
            raise InvalidFile(f"{name_of(node)} computes a value that exists already: the graph has a cycle")
        made.update(names)


def _used_names(node: Any) -> set[str]:
    """What a node reads, also in its inner graphs, but what these compute themselves."""
    used = set(node.input)
    for graph in inner_graphs(node):
        own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
        own.update(name for inner in graph.node for name in inner.output)
        used.update(name for inner in graph.node for name in _used_names(inner) if name not in own)
        used.update(value.name for value in graph.output if value.name not in own)
    return used
