"""A sigma-delta network with branches, as frozen integers: layers that read several others, several heads, and pools.

What a chain has and its scales are in ``chain``; what nodes do with messages is in ``engine.branched``.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..core.arithmetic import LARGEST_EXP, MESSAGE_EXP
from ..engine.branched.operators import Add, ChannelRange, Concat, Enlarge, MaxPool, Wiring
from .chain import IMAGE, ConvSpec, Network, digest_layer, little_endian
from .dense import HeadSpec
from .graph import Graph, Node

LARGEST_SCALE = MESSAGE_EXP + 2 * LARGEST_EXP + 12
"""Of a head: its exponent, and powers of two that its inputs have been multiplied by."""

MOST_WAYS = 16
"""Ways from one neuron to one input of another: each takes memory for its messages."""

MOST_STRIDE = 32
"""Inputs have sides that are multiples of this."""

MISSING_ON_LAVA = {MaxPool: "max pooling", Concat: "concatenation", Enlarge: "upsampling", Add: "sums of layers",
                   ChannelRange: "selection of channels"}


@dataclass(frozen=True)
class HeadPart:
    """A head of a branched network, whose values are channels of a level.

    Attributes:
        name: Of the layer.
        scale: A value is sigma / 2^scale + bias.
        bias: Of each channel, as a real number: neurons of a head only integrate.
        is_score: Whether the value's sigmoid is meant.
    """

    name: str
    scale: int
    bias: tuple[float, ...]
    is_score: bool

    def __post_init__(self) -> None:
        if not 0 <= self.scale <= LARGEST_SCALE:
            raise ValueError(f"head {self.name}: scale {self.scale}, expected 0 to {LARGEST_SCALE}")


@dataclass(frozen=True)
class LevelsHead:
    """Meaning of all heads together: one array of cells, level by level, as an ONNX network's output.

    Attributes:
        spec: What the numbers of a cell mean. It has one output, and a stride for each level.
        levels: For each level, its heads, whose channels lie side by side.
    """

    spec: HeadSpec
    levels: tuple[tuple[HeadPart, ...], ...]

    def __post_init__(self) -> None:
        if len(self.spec.outputs) != 1 or not self.levels or len(self.spec.strides) != len(self.levels):
            raise ValueError(f"{len(self.spec.outputs)} outputs, {len(self.spec.strides)} strides and "
                             f"{len(self.levels)} levels")

    @property
    def parts(self) -> tuple[HeadPart, ...]:
        """All heads, level by level."""
        return tuple(itertools.chain(*self.levels))


@dataclass(frozen=True, eq=False)
class BranchedNetwork(Network):
    """A network whose layers are no chain. Instances are compared by identity. Make one with ``branch``.

    Attributes:
        layers: All convolutions, in the order of their nodes; those without bias are heads.
        head: How the outputs are decoded.
        nodes: All nodes in an order in which they can be computed: convolutions, which are ``layers``, and the
            operators of ``engine.branched.operators``. The input's name is ``chain.IMAGE``.
    """

    nodes: tuple[Node, ...] = field(default=(), repr=False)

    def _check_layers(self) -> None:
        if self.layers != find_layers(self.nodes):
            raise ValueError("the layers are not those of the nodes")
        read = {name for node in self.nodes for name in node.inputs}
        heads = {layer.name for layer in self.layers if layer.is_head}
        unread = [node.name for node in self.nodes if node.name not in read and node.name not in heads]
        if unread:
            raise ValueError(f"nothing reads {', '.join(unread)}")
        if read & heads or not heads:
            found = ", ".join(sorted(read & heads))
            raise ValueError(f"head {found} is read by another node" if found else "a network needs at least one head")
        wrong = [node.name for node in self.nodes if isinstance(node.operator, ConvSpec)
                 and (node.name != node.operator.name or len(node.inputs) != 1)]
        if wrong:
            raise ValueError(f"node {wrong[0]} is not named as its layer, or has not one input")
        if self.input_table.ndim != 2 or len(self.input_table) != 256:
            raise ValueError(f"input_table is {list(self.input_table.shape)}, expected [256, channels]")
        self._check_ways()
        stride = self.total_stride
        if not 1 <= stride <= MOST_STRIDE:
            raise ValueError(f"a stride of {stride}, at most {MOST_STRIDE} is possible")
        # Strides and channels fit together, or this fails.
        self.graph.shapes((stride * 2, stride * 2))

    def _check_ways(self) -> None:
        ways = {IMAGE: 1}
        for node in self.nodes:
            inputs = [ways[name] for name in node.inputs if name in ways]
            if isinstance(node.operator, (ConvSpec, MaxPool)) or not inputs:
                ways[node.name] = 1
            else:
                ways[node.name] = sum(inputs) if isinstance(node.operator, Add) else max(inputs)
            if ways[node.name] > MOST_WAYS:
                raise ValueError(f"node {node.name} adds more than {MOST_WAYS} messages of one neuron")

    def _check_head(self) -> None:
        head = self.head
        assert head is None or isinstance(head, LevelsHead), "of a branched network"
        self._check_labels(0 if head is None else head.spec.num_classes)
        if head is None:
            return
        heads = {layer.name: layer for layer in self.layers if layer.is_head}
        if sorted(part.name for part in head.parts) != sorted(heads):
            raise ValueError("the levels do not name each head once")
        if any(len(part.bias) != heads[part.name].out_channels for part in head.parts):
            raise ValueError("a head has not as many biases as channels")
        strides = self.graph.strides()
        found = tuple(tuple({strides[part.name] for part in level}) for level in head.levels)
        if found != tuple((stride,) for stride in head.spec.strides):
            raise ValueError(f"heads at strides {found}, expected {head.spec.strides}")

    @property
    def in_channels(self) -> int:
        """Channels of the input image."""
        return int(self.input_table.shape[1])

    @property
    def total_stride(self) -> int:
        """Largest number of input pixels between neighboring pixels of a tensor: sides of the input are multiples."""
        return max(self.graph.strides().values())

    @cached_property
    def graph(self) -> Graph:
        """The nodes; the outputs are the heads, in the order of the levels."""
        heads = tuple(layer.name for layer in self.layers if layer.is_head)
        if isinstance(self.head, LevelsHead):
            heads = tuple(part.name for part in self.head.parts)
        return Graph(IMAGE, self.in_channels, self.nodes, heads)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that affects the output."""
        summary = hashlib.sha256(f"branches {self.encoder_threshold} {self.input_table.shape}".encode())
        summary.update(little_endian(self.input_table))
        places = {IMAGE: 0, **{node.name: place for place, node in enumerate(self.nodes, start=1)}}
        for node in self.nodes:
            summary.update(repr([places[name] for name in node.inputs]).encode())
            if isinstance(node.operator, ConvSpec):
                digest_layer(summary, node.operator)
            else:
                summary.update(repr(node.operator).encode())
        if isinstance(self.head, LevelsHead):
            levels = [[(places[part.name], part.scale, part.bias, part.is_score) for part in level]
                      for level in self.head.levels]
            numbers = sorted(self.head.spec.numbers.items())
            summary.update(repr((self.head.spec.family, self.head.spec.strides, numbers, levels)).encode())
        return summary.hexdigest()

    @property
    def counted_layers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See ``Network``."""
        computed = tuple(layer.name for layer in self.layers)
        heads = {layer.name for layer in self.layers if layer.is_head}
        fires = (node.name for node in self.nodes if not isinstance(node.operator, Wiring) and node.name not in heads)
        return tuple(fires), computed

    def name_missing_on_lava(self) -> str:
        """Names what Lava and Loihi 2 lack here to run the network, sorted, with commas."""
        found = {MISSING_ON_LAVA[type(node.operator)] for node in self.nodes if type(node.operator) in MISSING_ON_LAVA}
        if sum(layer.is_head for layer in self.layers) > 1:
            found.add("several heads")
        return ", ".join(sorted(found)) or "layers that several others read"


def find_layers(nodes: Sequence[Node]) -> tuple[ConvSpec, ...]:
    """The convolutions among nodes, in their order."""
    return tuple(node.operator for node in nodes if isinstance(node.operator, ConvSpec))


def branch(nodes: Sequence[Node], **facts: Any) -> BranchedNetwork:
    """Makes a network of nodes.

    Args:
        nodes: See ``BranchedNetwork``.
        facts: Its other attributes but the layers.

    Returns:
        The network.

    Raises:
        ValueError: The parts do not fit together.
    """
    wrong = next((node.name for node in nodes if not isinstance(node.operator, (ConvSpec, MaxPool, Wiring))), None)
    if wrong is not None:
        raise ValueError(f"node {wrong}: not an operator of the event engine")
    return BranchedNetwork(layers=find_layers(nodes), nodes=tuple(nodes), **facts)
