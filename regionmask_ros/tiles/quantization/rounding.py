"""Weights that are rounded so that their errors compensate one another.

Layer by layer, what the quantized layers before give on pictures is compared with what the float network wants. First
the real weights move a little, to make up for errors of the input. Then one weight after the other is rounded, and
those that are still real take over its error as well as they can: inputs are correlated, neighboring pixels above all.
At last, the biases take what is left of the mean error. (Frantar et al., "GPTQ", 2023, has the order and the formulas.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...network.graph import Graph, Node
from ..network import TileNetwork
from ..operators.convolution import LARGEST_WEIGHT, Convolution, choose_steps
from ..operators.quantized import Quantization, operator_of, requantize

PIXELS = 512
"""Output pixels of each picture and layer that count, drawn at random."""

STIFFNESS = 1.0
"""How much the weights stay what they are before they are rounded, in mean squares of an input."""
DAMPING = 0.1
"""How little a weight takes over from others if its input is hardly ever used in the pictures, in the same unit."""


def fit_weights(graph: Graph, network: TileNetwork, pictures: Sequence[np.ndarray]) -> TileNetwork:
    """Rounds the weights of all convolutions anew, and corrects their biases.

    Args:
        graph: With float parameters.
        network: The same, quantized.
        pictures: uint8 [rows, cols, channels]; at least one.

    Returns:
        The network with other weights and biases, the same on each call.
    """
    rng = np.random.default_rng(0)
    known = network.quantizations
    wanted = [{graph.input: known[graph.input].dequantize(picture)} for picture in pictures]
    found = [{graph.input: picture} for picture in pictures]
    last_reader = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    nodes = []
    for place, (node, made) in enumerate(zip(graph.nodes, network.graph.nodes)):
        for values in wanted:
            values[node.name] = operator_of(node).evaluate([values[name] for name in node.inputs], node.parameters)
        if isinstance(node.operator, Convolution):
            source = node.inputs[0]
            fitted = _fit(node, node.operator, made, known[source], [values[source] for values in wanted],
                          [values[source] for values in found], rng)
        else:
            fitted = made
        if node.name in known:
            for values in found:
                values[node.name] = _compute(fitted, [values[name] for name in node.inputs],
                                             [known[name].zero for name in node.inputs])
        nodes.append(fitted)
        for name in {*node.inputs}:
            if last_reader[name] == place:
                for values in (*wanted, *found):
                    values.pop(name)
    return replace(network, graph=replace(network.graph, nodes=tuple(nodes)))


def round_together(weights: np.ndarray, moments: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Rounds weights so that the mean squared error of the sums is small.

    Args:
        weights: float64 [groups, outputs, inputs].
        moments: float64 [groups, inputs, inputs], mean products of the inputs, positive definite.
        steps: float64 [groups, outputs], of the rounded weights.

    Returns:
        Whole numbers from -127 to 127, float64, of the shape of ``weights``.
    """
    # Weights that matter most are rounded first, when many are left to take over their errors.
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), axis=1)
    sorted_moments = np.take_along_axis(np.take_along_axis(moments, order[:, :, None], 1), order[:, None, :], 2)
    upper = np.linalg.cholesky(np.linalg.inv(sorted_moments)).swapaxes(1, 2)
    left = np.take_along_axis(weights, order[:, None, :], 2)
    rounded = np.empty_like(left)
    for place in range(left.shape[2]):
        rounded[:, :, place] = np.clip(np.rint(left[:, :, place] / steps), -LARGEST_WEIGHT, LARGEST_WEIGHT)
        error = (left[:, :, place] - rounded[:, :, place] * steps) / upper[:, place, place, None]
        left[:, :, place + 1:] -= error[:, :, None] * upper[:, None, place, place + 1:]
    result: np.ndarray = np.take_along_axis(rounded, np.argsort(order, axis=1)[:, None, :], 2)
    return result


def _fit(node: Node, operator: Convolution, made: Node, source: Quantization, wanted: Sequence[np.ndarray],
         found: Sequence[np.ndarray], rng: np.random.Generator) -> Node:
    """Rounds the weights of one convolution.

    Args:
        node: Of the float graph.
        operator: Of the node.
        made: The quantized node.
        source: Quantization of the input.
        wanted: The input in the float network, for each picture.
        found: The input in the quantized network, bytes.
        rng: Draws pixels.

    Returns:
        The quantized node with other weights, offsets, multipliers and biases.
    """
    weight, groups, window = node.parameters["weight"], operator.groups, operator.window
    width, places = weight.shape[3], weight.shape[1] * weight.shape[2]
    by_group = (groups, len(weight) // groups, places * width)

    def spread(values: np.ndarray) -> np.ndarray:
        """Values of the input's channels as values of the weights of a group, [groups, 1, inputs]."""
        return np.tile(values.astype(np.float64).reshape(groups, 1, width), (1, 1, places))

    def split(windows: np.ndarray) -> np.ndarray:
        """[pixels, rows, cols, channels] as [groups, pixels, inputs]."""
        parts = windows.reshape(len(windows), places, groups, width).transpose(2, 0, 1, 3)
        return parts.reshape(groups, len(windows), places * width).astype(np.float32)

    inputs, targets = [], []
    real = weight.reshape(by_group).astype(np.float32)
    for image, pixels in zip(wanted, found):
        rows, cols = window.output_size(*pixels.shape[:2])
        row, col = np.divmod(rng.choice(rows * cols, min(PIXELS, rows * cols), replace=False), cols)
        inputs.append(split(window.gather(pixels, source.zero)[row, col].astype(np.int16) - source.zero))
        targets.append(split(window.gather(image, np.zeros(1, np.float32))[row, col]) @ real.swapaxes(1, 2))
    bytes_in, sums = np.concatenate(inputs, 1), np.concatenate(targets, 1)
    mean = bytes_in.mean(1, keepdims=True)
    centered = np.ascontiguousarray((bytes_in - mean).swapaxes(1, 2))
    moments = (centered @ centered.swapaxes(1, 2)).astype(np.float64) / bytes_in.shape[1]
    diagonal = np.eye(places * width) * np.maximum(np.trace(moments, axis1=1, axis2=2) / (places * width), 1e-6
                                                   )[:, None, None]
    scaled = weight.reshape(by_group).astype(np.float64) * spread(source.step)
    missing = sums - bytes_in @ scaled.swapaxes(1, 2).astype(np.float32)
    missing -= missing.mean(1, keepdims=True)
    scaled += np.linalg.solve(moments + STIFFNESS * diagonal, (centered @ missing).astype(np.float64)
                              / bytes_in.shape[1]).swapaxes(1, 2)

    multiplier = choose_steps(scaled)
    rounded = round_together(scaled, moments + DAMPING * diagonal, multiplier.astype(np.float64))
    effective = (rounded * multiplier[:, :, None]).swapaxes(1, 2)
    excess = mean.astype(np.float64) @ effective - sums.mean(1, keepdims=True, dtype=np.float64)
    offset = -(rounded * spread(source.zero)).sum(2)
    return replace(made, parameters={
        **made.parameters, "weight": rounded.reshape(weight.shape).astype(np.int8),
        "offset": offset.reshape(-1).astype(np.int32), "multiplier": multiplier.reshape(-1),
        "bias": (node.parameters["bias"] - excess.reshape(-1)).astype(np.float32)})


def _compute(made: Node, inputs: Sequence[np.ndarray], zeros: Sequence[np.ndarray]) -> np.ndarray:
    """The output of a quantized node, as ``step`` but for rounding errors of float32, and quickly."""
    if not isinstance(made.operator, Convolution):
        return operator_of(made).step(inputs, made.parameters)
    weight = made.parameters["weight"] * made.parameters["multiplier"][:, None, None, None]
    values = made.operator.evaluate([inputs[0].astype(np.float32) - zeros[0]],
                                    {"weight": weight, "bias": made.parameters["bias"]})
    return requantize(values, made.parameters)
