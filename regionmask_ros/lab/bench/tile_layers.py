"""What every node of a network costs on the tile engine: counted exactly, in a replay of its own."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...errors import to_one_line
from ...network.graph import Node
from ...tiles.operators.geometry import Window
from .clip import Clip
from .measure import Row, subject
from .tiles import TileCandidate


def tile_layer_rows(candidate: TileCandidate, clip: Clip, skipped: int, indices: Iterable[int]) -> list[Row]:
    """Counts what every node does.

    The engine computes a frame in one call and reads no clock between nodes, so there are no times.

    Args:
        candidate: The engine, with its setting.
        clip: The frames.
        skipped: Number of frames at the start that are not counted.
        indices: 0, 1, ... len(clip.images) - 1.

    Returns:
        A row for each node of the graph. dense_macs: multiply-accumulate operations of the node for a whole frame;
        computed_share: share of its pixels that were computed, which is that of its operations; mac_share: what was
        done, as a share of the operations of the whole dense network. All but dense_macs are means over the frames.
    """
    tiles, pixels, macs, moved = [], [], [], []
    candidate.reset()
    for index in indices:
        raw = candidate.step(clip.images[index])
        candidate.follow(raw)
        if index >= skipped:
            counts = candidate.count_nodes(raw)
            tiles.append(counts.tiles)
            pixels.append(counts.pixels)
            macs.append(counts.macs)
            moved.append(counts.moved_bytes)
    graph = candidate.graph
    shapes, dense_macs = graph.shapes(clip.input_wh), graph.macs(clip.input_wh)
    dense = max(1, sum(dense_macs.values()))
    means = [np.mean(values, axis=0) for values in (tiles, pixels, macs, moved)]
    rows = []
    for node, *values in zip(graph.nodes, *means):
        height, width, channels = shapes[node.name]
        node_tiles, node_pixels, node_macs, node_bytes = (float(value) for value in values)
        rows.append({
            **subject(clip, candidate), "frames": len(tiles), "layer": to_one_line(node.name),
            "operator": describe_operator(node), "output_size": f"{height}x{width}x{channels}",
            "dense_macs": dense_macs[node.name], "computed_share": round(node_pixels / (height * width), 4),
            "mac_share": round(node_macs / dense, 6), "tiles_per_frame": round(node_tiles, 1),
            "bytes_per_frame": round(node_bytes, 1)})
    return rows


def describe_operator(node: Node) -> str:
    """The operator of a node and its window, such as 'Convolution 3x3/2, 32 groups'."""
    operator = node.operator
    window, groups = getattr(operator, "window", None), getattr(operator, "groups", 1)
    text = type(operator).__name__
    if isinstance(window, Window):
        text += " {}x{}".format(*window.kernel) + (f"/{window.stride}" if window.stride > 1 else "")
    return text if groups == 1 else f"{text}, {groups} groups"
