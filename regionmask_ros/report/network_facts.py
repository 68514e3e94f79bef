"""What a network consists of, for people: sigma-delta networks layer by layer, dense networks by their card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..backends.tiles import read_tiles
from ..engine.branched.operators import Add, ChannelRange, Concat, Enlarge, MaxPool
from ..errors import UserError, to_one_line
from ..importing.lowering.lowering import find_obstacle
from ..network.chain import ConvSpec, Network, YoloHead
from ..network.dense import DenseNetwork
from ..network.graph import Node
from ..network.onnx.cost import count_cost
from ..network.preprocessing import describe_preprocessing

TRAINED_SIZE_WH = (448, 448)
COST_SIZE_WH = (416, 416)
_KINDS = {MaxPool: "maximum", Concat: "concatenation", Enlarge: "enlargement", Add: "sum",
          ChannelRange: "some channels"}
_COLUMNS = ("layer", "in", "out", "kernel", "stride", "groups", "weights", "dense MACs", "threshold")


def describe_layers(network: Network) -> dict[str, Any]:
    """Describes a sigma-delta network.

    Args:
        network: Any such network.

    Returns:
        The content of the JSON file. Sizes (rows, cols, channels) are for the input size of the training.
    """
    shapes, macs = network.graph.shapes(TRAINED_SIZE_WH), network.graph.macs(TRAINED_SIZE_WH)
    layers = [{"name": node.name, "in": shapes[node.inputs[0]], "out": shapes[node.name], **_describe_operator(node),
               "dense_macs": macs[node.name]} for node in network.graph.nodes]
    return {
        "name": network.name, "file": network.source_file, "sha256": network.sha256, "digest": network.digest,
        "input_size": TRAINED_SIZE_WH, "total_stride": network.total_stride,
        "encoder_threshold": network.encoder_threshold, "labels": network.labels,
        "anchors": network.head.anchors if isinstance(network.head, YoloHead) else (), "layers": layers,
        "weights": sum(layer["weights"] for layer in layers),
        "dense_macs": sum(layer["dense_macs"] for layer in layers),
    }


def _describe_operator(node: Node) -> dict[str, Any]:
    """The numbers of a layer; None where an operator without weights has none."""
    spec = node.operator
    if isinstance(spec, ConvSpec):
        return {"kind": "convolution", "kernel": spec.kernel, "stride": spec.stride, "padding": spec.padding,
                "groups": spec.groups, "weights": int(spec.weight.size),
                "threshold": None if spec.is_head else spec.threshold}
    facts: dict[str, Any] = dict.fromkeys(("kernel", "stride", "padding", "groups", "threshold"))
    if isinstance(spec, MaxPool):
        facts |= {"kernel": spec.size, "stride": spec.stride, "padding": spec.padding, "threshold": spec.threshold}
    return {"kind": _KINDS[type(spec)], **facts, "weights": 0}


def layers_as_text(facts: dict[str, Any]) -> str:
    """The text of ``describe_layers``."""
    labels, anchors = facts["labels"], facts["anchors"]
    sizes = f"rows x cols x channels, at an input of {_size(facts['input_size'])}"
    pairs = (
        ("network", facts["name"]),
        ("file", facts["file"]),
        ("sha256", facts["sha256"]),
        ("digest", f"{facts['digest']} (of the integers)"),
        ("classes", f"{len(labels)}, {labels[0]} to {labels[-1]}" if labels else "none: its output has no boxes"),
        ("anchors", (", ".join(f"{w:g}x{h:g}" for w, h in anchors) or "no") + (" cells" if anchors else "")),
        ("thresholds", f"in 1/64; the encoder's is {facts['encoder_threshold']}"),
        ("sizes", f"{sizes}; any multiple of {facts['total_stride']} works"),
    )
    rows = [_COLUMNS, *(_row(layer) for layer in facts["layers"])]
    rows.append(("all", "", "", "", "", "", f"{facts['weights']:,}", f"{facts['dense_macs']:,}", ""))
    widths = [max(map(len, column)) for column in zip(*rows)]
    table = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    return "\n".join([*(f"{key:<11} {value}" for key, value in pairs), "", *table])


def describe_dense(network: DenseNetwork) -> dict[str, Any]:
    """Describes a dense network.

    Args:
        network: Any dense network.

    Returns:
        The content of the JSON file. The cost is null where the package onnx is missing. ``tile_engine_obstacle`` is
        why the tile engine cannot run the network; empty if it can.
    """
    wide, high = network.fixed_wh or (-(-side // network.alignment) * network.alignment for side in COST_SIZE_WH)
    try:
        operators, weights, macs = _count_cost(network, (wide, high))
    except UserError:
        operators, weights, macs = {}, None, None
    return {
        "name": network.name, "source": network.source_file, "sha256": network.sha256, "digest": network.digest,
        "precision": network.precision, "input_name": network.input_name, "fixed_wh": network.fixed_wh,
        "alignment": network.alignment, "preprocessing": describe_preprocessing(network.preprocessing),
        "head": network.head.family, "outputs": network.head.outputs, "strides": network.head.strides,
        "labels": network.labels, "bytes": len(network.model or network.tiles), "operators": operators,
        "weights": weights, "input_size": (wide, high), "dense_macs": macs,
        "tile_engine_obstacle": find_obstacle(network) if network.model else "",
    }


def _count_cost(network: DenseNetwork, input_wh: tuple[int, int]) -> tuple[dict[str, int], int, int | None]:
    """Number of nodes by operator, of weights, and of multiply-accumulate operations."""
    if network.model:
        return count_cost(network.model, network.input_name, input_wh)
    graph = read_tiles(network).network.graph
    weights = sum(array.size for node in graph.nodes for name, array in node.parameters.items() if name == "weight")
    kinds = Counter(type(node.operator).__name__ for node in graph.nodes)
    return dict(kinds), weights, sum(graph.macs(input_wh).values())


def dense_as_text(facts: dict[str, Any]) -> str:
    """The text of ``describe_dense``."""
    labels, operators = facts["labels"], facts["operators"]
    strides = ", strides " + " ".join(map(str, facts["strides"])) if facts["strides"] else ""
    pairs = [
        ("network", facts["name"]),
        ("source", facts["source"]),
        ("sha256", facts["sha256"]),
        ("digest", f"{facts['digest']} (of the model and its head)"),
        ("classes", f"{len(labels)}, {labels[0]} to {labels[-1]}"),
        ("head", f"{facts['head']}{strides}; output {', '.join(facts['outputs'])}"),
        ("input", f"{facts['input_name']}, {input_as_text(facts['fixed_wh'], facts['alignment'])}"),
        ("pixels", facts["preprocessing"]),
        ("precision", facts["precision"]),
        ("size", f"{facts['bytes'] / 1e6:.1f} MB"),
    ]
    if operators:
        most = sorted(operators.items(), key=lambda item: -item[1])
        pairs.append(("operators", f"{sum(operators.values())}: " + ", ".join(f"{n} {name}" for name, n in most)))
        pairs.append(("weights", f"{facts['weights']:,}"))
    if facts["dense_macs"]:
        pairs.append(("MACs", f"{facts['dense_macs']:,} at an input of {_size(facts['input_size'])}"))
    pairs.append(("tile engine", facts["tile_engine_obstacle"] or "can run it"))
    # Names in the file may be any text.
    return "\n".join(f"{key:<11} {to_one_line(value)}" for key, value in pairs)


def input_as_text(fixed_wh: Sequence[int] | None, alignment: int) -> str:
    """Which sizes a dense network takes."""
    return f"{_size(fixed_wh)} only" if fixed_wh else f"any multiple of {alignment}"


def _row(layer: dict[str, Any]) -> tuple[str, ...]:
    kernel, stride, groups, threshold = ("-" if layer[key] is None else str(layer[key])
                                         for key in ("kernel", "stride", "groups", "threshold"))
    name = layer["name"] if layer["kind"] == "convolution" else f"{layer['name']} ({layer['kind']})"
    return (
        name, _size(layer["in"]), _size(layer["out"]), kernel if kernel == "-" else _size((kernel,) * 2), stride,
        groups, f"{layer['weights']:,}", f"{layer['dense_macs']:,}", threshold,
    )


def _size(numbers: Sequence[int | str]) -> str:
    return "x".join(map(str, numbers))
