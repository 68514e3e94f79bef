"""From a dense network with rectifiers to a sigma-delta network with branches, for the event engine.

Weights become 8-bit integers with one power of two for the layer; those of ``distill --grid pow2`` and ``lava64`` are
on such a grid, and stay what they are. A tensor's values are multiplied by a power of two, its *gain*, which rectifiers
allow and exponents take back, so that thresholds and biases in 1/64 are fine enough, and sums fit 24 bits. Tensors that
are joined, added, pooled or enlarged share a gain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.arithmetic import ACCUMULATOR_BITS, LARGEST_EXP, MESSAGE_EXP, UNIT
from ..engine.branched.operators import Add as AddMessages
from ..engine.branched.operators import ChannelRange, Enlarge
from ..engine.branched.operators import Concat as ConcatMessages
from ..engine.branched.operators import MaxPool as PoolNeurons
from ..errors import UserError
from ..network.branched import BranchedNetwork, HeadPart, LevelsHead, branch
from ..network.chain import IMAGE, LARGEST_BIAS, ConvSpec
from ..network.dense import DenseNetwork
from ..network.graph import Node
from ..network.thresholds import LARGEST
from ..tiles.operators.activations import IDENTITY, Kind
from ..tiles.operators.convolution import LARGEST_WEIGHT, Convolution
from ..tiles.operators.elementwise import Add
from ..tiles.operators.geometry import Window
from ..tiles.operators.pooling import MaxPool
from ..tiles.operators.quantized import operator_of
from ..tiles.operators.resizing import Resize
from ..tiles.operators.routing import ChannelSelect, Concat
from .lowering.lowering import Lowered

USUAL_SIZE = 2.0
"""Root mean square of values after their gain."""

SMALLEST_SIZE = 1e-6
"""Of values that are hardly ever above 0."""

LARGEST_GAIN = 12
MARGIN_BITS = 1
"""A change between two frames is at most twice the largest value."""

INPUT_RANGE = 128
"""Encoder units between the darkest and the brightest value: a change of all of it is one message of 8 bits."""

ENCODER_THRESHOLD = 3
"""In encoder units, 1/128 of the range: about six of 256 gray levels."""


@dataclass(frozen=True)
class Sizes:
    """How large values are.

    Attributes:
        rms: Root mean square of each tensor, by name.
        largest: Largest magnitude of the sums of each convolution, before its rectifier, by name.
    """

    rms: Mapping[str, float]
    largest: Mapping[str, float]


def check_branching(network: DenseNetwork, lowered: Lowered) -> None:
    """Checks that a network can become one for the event engine.

    Args:
        network: The network.
        lowered: The same.

    Raises:
        UserError: It cannot; the message names the node.
    """
    for node in lowered.graph.nodes:
        problem = _find_problem(node)
        if problem:
            raise UserError(f"{network.name}: node {node.name}: {problem}, which the event engine lacks")
    output = network.head.outputs[0]
    if len(network.head.outputs) != 1 or output not in lowered.tail.rows or not network.head.strides:
        raise UserError(f"{network.name}: its output is not one array of the values of its heads, which the event "
                        "engine needs")


def _find_problem(node: Node) -> str:
    operator = node.operator
    if isinstance(operator, (Convolution, MaxPool)) and not _is_regular(operator.window):
        return "a window that is not square, or with different paddings"
    if isinstance(operator, Convolution):
        kind = operator.activation.kind
        if kind not in ((Kind.NONE, Kind.SIGMOID) if operator.is_head else (Kind.RELU,)):
            return f"convolution with {'no rectifier' if kind is Kind.NONE else kind.name}"
    elif isinstance(operator, Add) and operator.activation.kind is not Kind.NONE:
        return f"a sum with {operator.activation.kind.name}"
    elif isinstance(operator, Resize) and operator.is_linear:
        return "linear upsampling"
    elif isinstance(operator, ChannelSelect) and not _is_range(operator.channels):
        return "channels in another order"
    elif not isinstance(operator, (Convolution, MaxPool, Add, Resize, ChannelSelect, Concat)):
        return type(operator).__name__
    return ""


def _is_regular(window: Window) -> bool:
    return len({*window.kernel}) == 1 == len({*window.pads}) and window.pads[0] < window.kernel[0]


def _is_range(channels: Sequence[int]) -> bool:
    return list(channels) == list(range(channels[0], channels[0] + len(channels)))


def measure_sizes(lowered: Lowered, pictures: Iterable[np.ndarray]) -> Sizes:
    """Measures how large values are.

    Args:
        lowered: The network.
        pictures: uint8 [rows, cols, 3], RGB.

    Returns:
        The sizes.
    """
    squares: dict[str, list[float]] = {node.name: [] for node in lowered.graph.nodes}
    largest = {node.name: 0.0 for node in lowered.graph.nodes if isinstance(node.operator, Convolution)}
    for picture in pictures:
        values = {lowered.graph.input: lowered.pixels.dequantize(picture)}
        for node in lowered.graph.nodes:
            operator, inputs = operator_of(node), [values[name] for name in node.inputs]
            if isinstance(operator, Convolution):
                sums = replace(operator, activation=IDENTITY).evaluate(inputs, node.parameters)
                largest[node.name] = max(largest[node.name], float(np.abs(sums).max()))
                values[node.name] = operator.activation.evaluate(sums)
            else:
                values[node.name] = operator.evaluate(inputs, node.parameters)
            squares[node.name].append(float(np.mean(np.square(values[node.name]), dtype=np.float64)))
    return Sizes({name: math.sqrt(float(np.mean(found))) for name, found in squares.items()}, largest)


def make_branched(network: DenseNetwork, lowered: Lowered, sizes: Sizes, name: str, share: float,
                  factors: Mapping[str, float]) -> BranchedNetwork:
    """Makes the network in integers.

    Args:
        network: The network, which ``check_branching`` accepts.
        lowered: The same.
        sizes: From ``measure_sizes``.
        name: Of the new network.
        share: Thresholds relative to the root mean square of a layer's values.
        factors: Of the thresholds, by name of the layer; 1 where there is none.

    Returns:
        The network.
    """
    steps = {node.name: _find_step(node.parameters["weight"]) for node in lowered.graph.nodes
             if isinstance(node.operator, Convolution)}
    table, input_gain = _make_table(lowered)
    gains = _choose_gains(lowered, sizes, steps, input_gain)
    shares = {node.name: share * factors.get(node.name, 1.0) * sizes.rms[node.name] for node in lowered.graph.nodes}
    nodes = [_convert(node, lowered.graph.input, shares[node.name], steps, gains) for node in lowered.graph.nodes]
    by_name = {node.name: node for node in lowered.graph.nodes}

    def part_of(head: str) -> HeadPart:
        node = by_name[head]
        operator = node.operator
        assert isinstance(operator, Convolution), "a head"
        return HeadPart(head, MESSAGE_EXP + gains[node.inputs[0]] + steps[head],
                        tuple(map(float, node.parameters["bias"])), operator.activation.kind is Kind.SIGMOID)

    rows = lowered.tail.rows[network.head.outputs[0]]
    head = LevelsHead(network.head, tuple(tuple(map(part_of, level)) for level in rows.levels))
    return branch(nodes, name=name, head=head, labels=network.labels, input_table=table,
                  encoder_threshold=ENCODER_THRESHOLD)


def _find_step(weight: np.ndarray) -> int:
    """The exponent of the finest power of two of which all weights are 8-bit multiples."""
    largest = float(np.abs(weight).max())
    return -math.ceil(math.log2(max(largest, 2.0 ** -20) / LARGEST_WEIGHT))


def _make_table(lowered: Lowered) -> tuple[np.ndarray, int]:
    """The encoder's integers, int32 [256, 3], and the gain of the image."""
    levels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    real = lowered.pixels.dequantize(levels)[0].astype(np.float64)
    gain = math.floor(math.log2(INPUT_RANGE / float(np.ptp(real, axis=0).max())))
    # One encoder unit is 1/64.
    return np.rint(real * 2.0 ** gain).astype(np.int32), gain - round(math.log2(UNIT))


def _choose_gains(lowered: Lowered, sizes: Sizes, steps: Mapping[str, int], input_gain: int) -> dict[str, int]:
    """The gain of every tensor that a convolution reads."""
    groups = _share_gains(lowered)
    most = dict.fromkeys(groups.values(), LARGEST_GAIN)
    wanted: dict[str, int] = {}
    for node in lowered.graph.nodes:
        if isinstance(node.operator, Convolution):
            source = groups[node.inputs[0]]
            bits = math.ceil(math.log2(max(sizes.largest[node.name], SMALLEST_SIZE)))
            room = ACCUMULATOR_BITS - 1 - MESSAGE_EXP - MARGIN_BITS - steps[node.name] - bits
            most[source] = min(most[source], room)
    for group in most:
        rms = max((sizes.rms[name] for name, one in groups.items() if one == group and name in sizes.rms),
                  default=USUAL_SIZE)
        wanted[group] = min(round(math.log2(USUAL_SIZE / max(rms, SMALLEST_SIZE))), most[group])
    fixed = groups[lowered.graph.input]
    wanted[fixed] = input_gain
    # A layer's exponent is the gain of its input and the step of its weights, without the gain of its output.
    for node in lowered.graph.nodes:
        target = groups.get(node.name)
        if isinstance(node.operator, Convolution) and not node.operator.is_head and target != fixed:
            assert target is not None, "all tensors have a group"
            total = wanted[groups[node.inputs[0]]] + steps[node.name]
            wanted[target] = min(max(wanted[target], total - LARGEST_EXP), total)
    return {name: wanted[group] for name, group in groups.items()}


def _share_gains(lowered: Lowered) -> dict[str, str]:
    """For each tensor the first one of those that share its gain."""
    groups = {lowered.graph.input: lowered.graph.input}
    for node in lowered.graph.nodes:
        groups[node.name] = node.name
        if not isinstance(node.operator, Convolution):
            joined = {groups[name] for name in node.inputs}
            first = next(group for group in groups.values() if group in joined)
            groups[node.name] = first
            groups = {name: first if group in joined else group for name, group in groups.items()}
    return groups


def _convert(node: Node, image: str, change: float, steps: Mapping[str, int], gains: Mapping[str, int]) -> Node:
    """The node in integers. change: what its neurons must reach to fire, as a real number."""
    operator = node.operator
    inputs = tuple(IMAGE if name == image else name for name in node.inputs)
    scale = 2.0 ** gains[node.name] * UNIT
    threshold = int(np.clip(round(change * scale), 1, LARGEST))
    if isinstance(operator, Convolution):
        weight, bias = node.parameters["weight"], node.parameters["bias"]
        total = gains[node.inputs[0]] + steps[node.name]
        exponent = min(max(total - (0 if operator.is_head else gains[node.name]), 0), LARGEST_EXP)
        # Where the exponent has reached a limit, the weights take the rest.
        rest = 0 if operator.is_head else exponent - total + gains[node.name]
        whole = np.rint(weight.astype(np.float64) * 2.0 ** (steps[node.name] + rest)).astype(np.int32)
        offset = np.clip(np.rint(bias * scale), -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)
        window = operator.window
        spec = ConvSpec(node.name, np.ascontiguousarray(whole.transpose(0, 3, 1, 2)),
                        None if operator.is_head else offset, window.stride, window.pads[0],
                        0 if operator.is_head else threshold, exponent, operator.groups)
        return Node(node.name, spec, inputs)
    if isinstance(operator, MaxPool):
        window = operator.window
        return Node(node.name, PoolNeurons(window.kernel[0], window.stride, window.pads[0], threshold), inputs)
    if isinstance(operator, Resize):
        return Node(node.name, Enlarge(operator.factor), inputs)
    if isinstance(operator, ChannelSelect):
        return Node(node.name, ChannelRange(operator.channels[0], operator.channels[-1] + 1), inputs)
    return Node(node.name, AddMessages() if isinstance(operator, Add) else ConcatMessages(), inputs)
