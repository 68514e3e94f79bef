"""Thresholds of the tensors, from how much each of them matters to the detections.

A tile whose change is below a threshold is not passed on. That saves the multiplications of the nodes that read it, and
costs an error. If an error of t steps costs (S t)^2 and saves M log t, then for a given saving the sum of all costs is
least where t^2 is proportional to M / S^2. Errors of neighboring tensors add up, which the square root would overdo:
the factor is the cube root of M / S^2 instead, found by trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ...network.graph import Graph, Node, Shape
from ..evaluation import evaluate_graph
from ..network import can_have_threshold
from ..operators.quantized import Quantization, operator_of
from ..operators.routing import Concat

NOISE_STEPS = 4.0
"""Largest deviation of the noise, in steps of the channel."""
LARGEST_FACTOR = 3.0
"""Factors are at most this, and at least one over it. The sensitivity of few pictures tells no more: with 6, heads of
objects that the pictures do not show lose them."""

LARGEST_SENSITIVITY = 1e9

Reading = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""What the detector says, from its heads by name: float [cells, values], a row for each cell that counts."""

Follow = Callable[[Sequence[str]], Iterable[str]]


def measure_sensitivities(graph: Graph, quantizations: Mapping[str, Quantization], pictures: Sequence[np.ndarray],
                          make_reading: Callable[[Mapping[str, np.ndarray]], Reading], follow: Follow = iter
                          ) -> dict[str, float]:
    """Measures how much the detections change under noise of each tensor.

    Args:
        graph: With float parameters.
        quantizations: Of its tensors.
        pictures: float32 [rows, cols, channels], real values.
        make_reading: Called with the heads of a picture; returns what reads heads of the same picture.
        follow: Shows progress over the names of tensors.

    Returns:
        Root of the mean squared change, by name of each tensor that can have a threshold.
    """
    names = [node.name for node in graph.nodes if can_have_threshold(node.operator)]
    squares = dict.fromkeys(names, 0.0)
    rng = np.random.default_rng(0)
    known = [evaluate_graph(graph, picture) for picture in pictures]
    readings = [make_reading({name: values[name] for name in graph.outputs}) for values in known]
    expected = [reading(values) for reading, values in zip(readings, known)]
    for name in follow(names):
        for values, reading, wanted in zip(known, readings, expected):
            noise = rng.uniform(-NOISE_STEPS, NOISE_STEPS, values[name].shape) * quantizations[name].step
            found = reading(_evaluate_from(graph, values, name, noise.astype(np.float32)))
            if found.size:
                squares[name] += float(np.square(found - wanted).sum(1).mean()) / len(pictures)
    return {name: square ** 0.5 for name, square in squares.items()}


def choose_factors(graph: Graph, input_wh: tuple[int, int], sensitivities: Mapping[str, float]) -> dict[str, float]:
    """Distributes thresholds over the tensors.

    Args:
        graph: The network.
        input_wh: Width and height of its input, for the numbers of operations.
        sensitivities: From ``measure_sensitivities``.

    Returns:
        Factors by name: (operations / sensitivity^2)^(1/3), divided by their geometric mean, within limits.
    """
    if not sensitivities:
        return {}
    saved = count_readers(graph, input_wh)
    # Sizes of boxes are exponentials, which overflow in a network that was never trained.
    sensitivities = {name: min(LARGEST_SENSITIVITY, value)
                     for name, value in sensitivities.items()}
    # Where nothing was seen, nothing is known: no tensor shall matter infinitely less than others.
    least = max(max(sensitivities.values()) * 1e-3, 1e-9)
    raw = {name: (max(saved[name], 1.0) / max(value, least) ** 2) ** (1 / 3) for name, value in sensitivities.items()}
    middle = float(np.exp(np.mean(np.log(list(raw.values())))))
    return {name: float(np.clip(value / middle, 1 / LARGEST_FACTOR, LARGEST_FACTOR)) for name, value in raw.items()}


def count_readers(graph: Graph, input_wh: tuple[int, int]) -> dict[str, float]:
    """Counts the multiply-accumulate operations that each tensor is read by, through operators without any.

    Args:
        graph: The network.
        input_wh: Width and height of its input.

    Returns:
        Operations by name of every tensor. Of a concatenation, a part is read as often as its share of the channels.
    """
    shapes, macs = graph.shapes(input_wh), graph.macs(input_wh)
    found = dict.fromkeys(shapes, 0.0)
    for node in reversed(graph.nodes):
        for name in node.inputs:
            found[name] += macs[node.name] or found[node.name] * _share(node, shapes[name], shapes[node.name])
    return found


def _share(node: Node, source: Shape, result: Shape) -> float:
    return source[2] / result[2] if isinstance(node.operator, Concat) else 1.0


def _evaluate_from(graph: Graph, known: Mapping[str, np.ndarray], start: str, noise: np.ndarray
                   ) -> Mapping[str, np.ndarray]:
    """The outputs of the graph when noise is added to one tensor. Only what depends on it is computed again."""
    changed = {start: known[start] + noise}
    for node in graph.nodes:
        if node.name != start and any(name in changed for name in node.inputs):
            changed[node.name] = operator_of(node).evaluate(
                [changed.get(name, known[name]) for name in node.inputs], node.parameters)
    return {name: changed.get(name, known[name]) for name in graph.outputs}
