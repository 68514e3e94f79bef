"""From a dense network to a float graph of the tile engine, its tail, and what the bytes of the image stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import UserError
from ...network.dense import DenseNetwork, Preprocessing
from ...network.graph import Graph, Node
from ...network.onnx.reading import load_onnx_package, parse_onnx
from ...tiles.onnx_model import find_model
from ...tiles.operators.activations import IDENTITY
from ...tiles.operators.elementwise import Activate
from ...tiles.operators.quantized import LEVELS, Quantization
from ...tiles.tail import Step, Tail
from .fusion import Fusion, drop_unread, split_heads
from .tails import TailMaker, separate
from .tracing import Trace, merge_sigmoids
from .translation import INPUT, Translation
from .values import CannotLower

_PROBES = ((5, 7), (8, 6), (6, 5))
"""Width and height of probed inputs, in multiples of the alignment."""
_MOST_PIXELS = 1 << 22
_STRIDES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network for the tile engine.

    Attributes:
        graph: Of the RGB image; parameters are float32. Its outputs are the heads.
        tail: From the heads to the outputs that ``HeadSpec`` names.
        pixels: What the bytes of the RGB image stand for, as the graph's input.
    """

    graph: Graph
    tail: Tail
    pixels: Quantization


def lower_network(network: DenseNetwork) -> Lowered:
    """Lowers a network.

    Args:
        network: The network.

    Returns:
        The lowered network.

    Raises:
        CannotLower: The tile engine has no operator for a node.
        UserError: The package onnx is missing.
    """
    model = parse_onnx(load_onnx_package(), find_model(network), Path())
    sizes = _probed_sizes(network)
    preprocessing, outputs = network.preprocessing, network.head.outputs
    translation = Translation(model, network.input_name, outputs, sizes, preprocessing.order == "bgr")
    translation.follow()
    maker = TailMaker(translation, outputs)
    channels = {name: shapes[0][2] for name, shapes in translation.body.shapes.items()}
    nodes, reads = _fuse(translation.body.nodes, dict(maker.reads), channels)
    nodes, heads, first_steps, arrays = separate(nodes, sorted(set(reads.values())), channels)
    names = {name: heads.get(tensor, tensor) for name, tensor in reads.items()}
    by_tensor = {tensor: names[name] for name, tensor in maker.reads.items()}
    steps = [replace(step, inputs=tuple(by_tensor.get(name, name) for name in step.inputs)) for step in maker.steps]
    aliases = [Step("Identity", (names[name],), (name,)) for name in outputs if names.get(name, name) != name]
    tail = Tail(tuple(heads.values()), (*first_steps, *steps, *aliases), {**arrays, **maker.arrays}, tuple(outputs))
    nodes, pixels = _read_pixels(nodes, preprocessing)
    graph = _check(Graph(INPUT, 3, tuple(nodes), tail.heads))
    return Lowered(*_simplify(graph, tail, sizes), pixels)


def find_obstacle(network: DenseNetwork) -> str:
    """Finds out why the tile engine cannot run a network.

    Args:
        network: The network.

    Returns:
        The reason, which names the node; empty if it can.
    """
    try:
        lower_network(network)
    except UserError as error:
        return str(error)
    return ""


def _probed_sizes(network: DenseNetwork) -> list[tuple[int, int]]:
    if network.fixed_wh is None:
        return [(across * network.alignment, down * network.alignment) for across, down in _PROBES]
    width, height = network.fixed_wh
    if width * height > _MOST_PIXELS:
        raise CannotLower(f"input of {width}x{height}", f"more than {_MOST_PIXELS:,} pixels")
    return [network.fixed_wh]


def _fuse(nodes: Sequence[Node], reads: dict[str, str], channels: dict[str, int]
          ) -> tuple[list[Node], dict[str, str]]:
    """Merges neighbors; heads whose channels go separate ways are split between two rounds."""
    result = list(nodes)
    for is_last in (False, True):
        fusion = Fusion(channels, reads.values())
        fusion.merge(drop_unread(result, reads.values()))
        reads = {name: fusion.other_names.get(tensor, tensor) for name, tensor in reads.items()}
        result = drop_unread(list(fusion.nodes.values()), reads.values())
        if not is_last:
            result = split_heads(result, reads.values())
    return result, reads


def _read_pixels(nodes: Sequence[Node], preprocessing: Preprocessing) -> tuple[list[Node], Quantization]:
    """The nodes, and what bytes stand for: with a normalization at the beginning of the graph, where bytes can."""
    turn = slice(None, None, -1 if preprocessing.order == "bgr" else 1)
    mean, deviation = (np.array(values, np.float64)[turn] for values in (preprocessing.mean, preprocessing.deviation))
    readers = [node for node in nodes if INPUT in node.inputs]
    if len(readers) == 1 and isinstance(readers[0].operator, Activate) and readers[0].operator.activation == IDENTITY:
        first = readers[0]
        factor = first.parameters["factor"].astype(np.float64)
        if (factor > 0).all():
            inner = mean - first.parameters["addend"] * deviation / factor
            if 0 <= inner.min() and inner.max() <= LEVELS:
                rest = [replace(node, inputs=tuple(INPUT if name == first.name else name for name in node.inputs))
                        for node in nodes if node is not first]
                return rest, Quantization.of_pixels(inner, deviation / factor)
    if mean.min() < 0 or mean.max() > LEVELS:
        raise CannotLower("preprocessing", f"a mean outside of 0 to {LEVELS}")
    return list(nodes), Quantization.of_pixels(mean, deviation)


def _check(graph: Graph) -> Graph:
    try:
        strides = graph.strides()
    except ValueError as error:
        raise CannotLower("network", str(error)) from error
    wrong = next((name for name, stride in strides.items() if stride not in _STRIDES), None)
    if wrong is not None:
        raise CannotLower(f"node {wrong}", f"a stride of {strides[wrong]}, which is none of "
                          f"{', '.join(map(str, _STRIDES))}")
    return graph


def _simplify(graph: Graph, tail: Tail, sizes: Sequence[tuple[int, int]]) -> tuple[Graph, Tail]:
    """Makes sigmoids part of heads, and finds the outputs that need no computation."""
    nodes, tail = merge_sigmoids(graph.nodes, tail, Trace(tail, graph.shapes(sizes[0]), sizes[0]))
    traces = [Trace(tail, graph.shapes(size), size) for size in sizes]
    rows = {}
    for name in tail.outputs:
        layouts = [trace.layout(name) for trace in traces]
        if layouts[0] is not None and all(layout == layouts[0] for layout in layouts):
            rows[name] = layouts[0]
    return replace(graph, nodes=tuple(nodes)), replace(tail, rows=rows)
