"""What a network consists of, for people: sigma-delta networks layer by layer, dense networks by their card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..backends.tiles import read_tiles
from ..errors import UserError, to_one_line
from ..importing.lowering.lowering import find_obstacle
from ..network.chain import Network
from ..network.dense import DenseNetwork
from ..network.onnx.cost import count_cost
from ..network.preprocessing import describe_preprocessing

TRAINED_SIZE_WH = (448, 448)
COST_SIZE_WH = (416, 416)
_COLUMNS = ("layer", "in", "out", "kernel", "stride", "groups", "weights", "dense MACs", "threshold")


def describe_layers(network: Network) -> dict[str, Any]:
    """Describes a sigma-delta network.

    Args:
        network: Any such network.

    Returns:
        The content of the JSON file. Sizes (rows, cols, channels) are for the input size of the training.
    """
    width, height = TRAINED_SIZE_WH
    outputs = network.output_size(TRAINED_SIZE_WH)
    inputs = [(height, width, network.in_channels), *outputs[:-1]]
    layers = [
        {
            "name": layer.name, "in": before, "out": after, "kernel": layer.kernel, "stride": layer.stride,
            "padding": layer.padding, "groups": layer.groups, "weights": layer.weight.size, "dense_macs": macs,
            "threshold": None if layer.is_head else layer.threshold,
        }
        for layer, before, after, macs in zip(network.layers, inputs, outputs, network.dense_macs(TRAINED_SIZE_WH))]
    return {
        "name": network.name, "file": network.source_file, "sha256": network.sha256, "digest": network.digest,
        "input_size": TRAINED_SIZE_WH, "total_stride": network.total_stride,
        "encoder_threshold": network.encoder_threshold, "labels": network.labels,
        "anchors": network.head.anchors if network.head else (), "layers": layers,
        "weights": sum(layer["weights"] for layer in layers),
        "dense_macs": sum(layer["dense_macs"] for layer in layers),
    }


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
    threshold = "-" if layer["threshold"] is None else str(layer["threshold"])
    return (
        layer["name"], _size(layer["in"]), _size(layer["out"]), _size((layer["kernel"],) * 2), str(layer["stride"]),
        str(layer["groups"]), f"{layer['weights']:,}", f"{layer['dense_macs']:,}", threshold,
    )


def _size(numbers: Sequence[int]) -> str:
    return "x".join(map(str, numbers))
