"""Sigma-delta networks with branches, in files: an archive as of ``chain_file``, whose description has ``nodes``.

A node is a convolution, with the arrays ``weight3`` and ``bias3`` if it is the fourth node, or another operator with
its numbers. Its inputs are names of earlier nodes; the image has none, "".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ...core.arithmetic import LARGEST_EXP
from ...engine.branched.operators import Add, ChannelRange, Concat, Enlarge, MaxPool
from ...files.json_values import require_list, require_text, require_whole
from ..branched import LARGEST_SCALE, BranchedNetwork, HeadPart, LevelsHead, branch
from ..chain import LARGEST_BIAS, ConvSpec
from ..dense import HeadSpec
from ..graph import Node, Operator
from .integers import LARGEST_WEIGHT, MAX_SIDE, IntegerArchive, pack, parse_labels, parse_text, store_layer
from .lava_dl import MAX_THRESHOLD

MAX_NODES, MAX_INPUTS, MAX_LEVELS, MAX_PARTS = 2000, 64, 8, 16
_LARGEST_BIAS_VALUE = 1e6
_MAX_STRIDE, _MAX_WINDOW, _MAX_FACTOR = 64, 64, 8
_CONV = "Conv"

_NUMBERS: Mapping[type, Mapping[str, tuple[int, int]]] = {
    Add: {}, Concat: {},
    Enlarge: {"factor": (1, _MAX_FACTOR)},
    ChannelRange: {"first": (0, MAX_SIDE), "last": (1, MAX_SIDE)},
    MaxPool: {"size": (1, _MAX_WINDOW), "stride": (1, _MAX_STRIDE), "padding": (0, _MAX_WINDOW),
              "threshold": (1, MAX_THRESHOLD - 1)}}
"""The numbers of an operator, each from a lowest to a highest."""

_KINDS = {kind.__name__: kind for kind in _NUMBERS}


def pack_branched(network: BranchedNetwork, about: str = "") -> bytes:
    """Makes the content of a file.

    Args:
        network: A network with boxes.
        about: Where it comes from, for people.

    Returns:
        An archive.

    Raises:
        ValueError: The network has no boxes.
    """
    head = network.head
    if not isinstance(head, LevelsHead):
        raise ValueError("a network without boxes")
    arrays: dict[str, np.ndarray] = {"input_table": network.input_table}
    nodes = []
    for number, node in enumerate(network.nodes):
        spec = node.operator
        if not isinstance(spec, ConvSpec):
            numbers = {name: getattr(spec, name) for name in _NUMBERS[type(spec)]}
            nodes.append({"name": node.name, "kind": type(spec).__name__, "inputs": node.inputs, **numbers})
            continue
        nodes.append({"kind": _CONV, "inputs": node.inputs, "is_head": spec.is_head,
                      **store_layer(arrays, number, spec)})
    meaning = head.spec
    return pack(arrays, {
        "name": network.name, "about": about, "labels": network.labels, "encoder_threshold": network.encoder_threshold,
        "nodes": nodes, "head": {
            "family": meaning.family, "outputs": meaning.outputs, "strides": meaning.strides,
            "numbers": dict(meaning.numbers), "levels": [[asdict(part) for part in level] for level in head.levels]}})


def read_branched(archive: IntegerArchive, source_file: str, sha256: str) -> BranchedNetwork:
    """Reads a network.

    Args:
        archive: The opened file.
        source_file: Its name.
        sha256: Its digest.

    Returns:
        The network.

    Raises:
        InvalidFile: It is beyond its limits.
        ValueError: It is damaged; so are KeyError, TypeError, AttributeError, RecursionError and OverflowError.
    """
    plain = archive.facts
    facts = require_list(plain["nodes"], MAX_NODES, 1)
    nodes = [_read_node(archive, number, fact) for number, fact in enumerate(facts)]
    labels = parse_labels(plain["labels"])
    return branch(nodes, name=parse_text(plain["name"]), head=_read_head(plain["head"], len(labels)), labels=labels,
                  input_table=archive.read("input_table"),
                  encoder_threshold=require_whole(plain["encoder_threshold"], 0, MAX_THRESHOLD - 1),
                  source_file=source_file, sha256=sha256)


def _read_node(archive: IntegerArchive, number: int, fact: Any) -> Node:
    name, kind = parse_text(fact["name"]), parse_text(fact["kind"])
    inputs = tuple(require_text(one, 4096) for one in require_list(fact["inputs"], MAX_INPUTS, 1))
    operator: Operator
    if kind == _CONV:
        if not isinstance(fact["is_head"], bool):
            raise TypeError("a yes or no is needed")
        operator = ConvSpec(
            name, archive.read(f"weight{number}", LARGEST_WEIGHT),
            None if fact["is_head"] else archive.read(f"bias{number}", LARGEST_BIAS),
            require_whole(fact["stride"], 1, _MAX_STRIDE), require_whole(fact["padding"], 0, _MAX_WINDOW),
            require_whole(fact["threshold"], 0, MAX_THRESHOLD - 1), require_whole(fact["exponent"], 0, LARGEST_EXP),
            require_whole(fact["groups"], 1, MAX_SIDE))
    else:
        chosen: Any = _KINDS[kind]
        operator = chosen(**{key: require_whole(fact[key], *limits) for key, limits in _NUMBERS[chosen].items()})
    return Node(name, operator, inputs)


def _read_head(plain: Any, num_classes: int) -> LevelsHead:
    numbers = plain["numbers"]
    if not isinstance(numbers, dict):
        raise TypeError("numbers by name are needed")
    spec = HeadSpec(
        parse_text(plain["family"]), num_classes, tuple(map(parse_text, require_list(plain["outputs"], 1, 1))),
        tuple(require_whole(stride, 1, _MAX_STRIDE) for stride in require_list(plain["strides"], MAX_LEVELS, 1)),
        {parse_text(name): _read_real(value) for name, value in numbers.items()})
    levels = tuple(tuple(map(_read_part, require_list(level, MAX_PARTS, 1)))
                   for level in require_list(plain["levels"], MAX_LEVELS, 1))
    return LevelsHead(spec, levels)


def _read_part(plain: Any) -> HeadPart:
    if not isinstance(plain["is_score"], bool):
        raise TypeError("a yes or no is needed")
    return HeadPart(parse_text(plain["name"]), require_whole(plain["scale"], 0, LARGEST_SCALE),
                    tuple(map(_read_real, require_list(plain["bias"], MAX_SIDE))), plain["is_score"])


def _read_real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or (
            abs(value) > _LARGEST_BIAS_VALUE):
        raise ValueError("a number is needed")
    return float(value)
