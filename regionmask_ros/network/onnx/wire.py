"""Counts the content of an ONNX file before it is parsed: a small file could otherwise fill the memory.

An ONNX file is a message of Protocol Buffers: a sequence of fields, each with a number, a kind, and a value. Some
fields hold messages again. Only those that matter here are followed.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InvalidFile

MAX_FIELDS = 1_000_000
MAX_OTHER_BYTES = 16 << 20
"""Of all that is not the content of a tensor: names, attributes, shapes."""
MAX_GRAPH_DEPTH = 4
"""Graphs inside of graphs, as in the operators If and Loop."""

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_TENSOR_CONTENT = frozenset((4, 5, 7, 9, 10, 11))
# Fields that hold messages, by the kind of message that they are in; from onnx.proto.
_MESSAGES = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}


@dataclass
class _Budget:
    fields: int
    other_bytes: int


def check_wire(data: bytes) -> None:
    """Checks how much a file holds.

    Args:
        data: The whole file.

    Raises:
        InvalidFile: It is cut or damaged, or it holds more than a detector needs.
    """
    _check_message(memoryview(data), "model", 0, _Budget(MAX_FIELDS, MAX_OTHER_BYTES))


def _check_message(data: memoryview, kind: str, depth: int, budget: _Budget) -> None:
    if depth > MAX_GRAPH_DEPTH:
        raise InvalidFile(f"graphs inside of graphs, more than {MAX_GRAPH_DEPTH} deep")
    place, messages = 0, _MESSAGES[kind]
    while place < len(data):
        budget.fields -= 1
        if budget.fields < 0:
            raise InvalidFile(f"more than {MAX_FIELDS:,} fields")
        key, place = _read_varint(data, place)
        number, wire = key >> 3, key & 7
        start = place
        if wire == _BYTES:
            length, start = _read_varint(data, place)
            place = start + length
        elif wire == _VARINT:
            _, place = _read_varint(data, place)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise InvalidFile("not an ONNX file, or damaged")
        if place > len(data):
            raise InvalidFile("cut off, or damaged")
        if wire == _BYTES and number in messages:
            below = messages[number]
            _check_message(data[start:place], below, depth + (below == "graph"), budget)
        elif kind != "tensor" or number not in _TENSOR_CONTENT:
            budget.other_bytes -= place - start
            if budget.other_bytes < 0:
                raise InvalidFile(f"more than {MAX_OTHER_BYTES >> 20} MB beside the weights")


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise InvalidFile("cut off, or damaged")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise InvalidFile("not an ONNX file, or damaged")
