"""Merges neighboring nodes of a float graph, without a change of what it computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...network.graph import Node
from ...tiles.operators.activations import IDENTITY
from ...tiles.operators.convolution import Convolution
from ...tiles.operators.elementwise import Activate, Add, Multiply
from ...tiles.operators.routing import ChannelSelect, Concat, SpaceToDepth


class Fusion:
    """Goes through the nodes once and merges each with what it reads.

    Args:
        channels: Of every tensor.
        kept: Names of tensors that are read from outside.

    Attributes:
        nodes: The merged ones by name, in their order.
        other_names: Names of tensors that are equal to others, which stand instead.
    """

    def __init__(self, channels: Mapping[str, int], kept: Collection[str]) -> None:
        self._channels, self._kept = channels, kept
        self._readers: Counter[str] = Counter()
        self.nodes: dict[str, Node] = {}
        self.other_names: dict[str, str] = {}

    def merge(self, nodes: Sequence[Node]) -> None:
        """Merges nodes.

        Args:
            nodes: In an order in which they can be computed.
        """
        self._readers.update(name for node in nodes for name in node.inputs)
        self._readers.update(self._kept)
        for node in nodes:
            inputs = tuple(self.other_names.get(name, name) for name in node.inputs)
            self._add(replace(node, inputs=inputs))

    def _add(self, node: Node) -> None:
        merged = node
        if isinstance(node.operator, Activate):
            merged = self._merge_activation(node, node.operator)
        elif isinstance(node.operator, ChannelSelect):
            merged = self._merge_selection(node, node.operator)
        elif isinstance(node.operator, Concat):
            merged = self._merge_joint(node)
        elif isinstance(node.operator, Convolution):
            merged = self._merge_convolution(node, node.operator)
        source = merged.inputs[0]
        if _changes_nothing(merged, self._channels.get(source, 0)):
            self.other_names[node.name] = source
            self._readers[source] += self._readers[node.name] - 1
        else:
            self.nodes[node.name] = merged

    def _only_reader(self, name: str) -> Node | None:
        """The node that computes a tensor which nothing else reads."""
        return self.nodes.get(name) if self._readers[name] == 1 else None

    def _merge_activation(self, node: Node, operator: Activate) -> Node:
        before = self._only_reader(node.inputs[0])
        if before is None:
            return node
        factor, addend = node.parameters["factor"], node.parameters["addend"]
        inner = before.operator
        if isinstance(inner, Convolution) and inner.activation == IDENTITY and not inner.is_head:
            weight = before.parameters["weight"] * factor[:, None, None, None]
            bias = before.parameters["bias"] * factor + addend
            merged = Node(node.name, replace(inner, activation=operator.activation), before.inputs,
                          {"weight": weight, "bias": bias})
        elif isinstance(inner, Activate) and inner.activation == IDENTITY:
            merged = Node(node.name, operator, before.inputs, {
                "factor": before.parameters["factor"] * factor,
                "addend": before.parameters["addend"] * factor + addend})
        elif isinstance(inner, (Add, Multiply)) and inner.activation == IDENTITY and (factor == 1).all() and not (
                addend.any()):
            merged = Node(node.name, replace(inner, activation=operator.activation), before.inputs)
        else:
            return node
        del self.nodes[before.name]
        return merged

    def _merge_selection(self, node: Node, operator: ChannelSelect) -> Node:
        """Reads the channels where they come from."""
        source, channels = node.inputs[0], operator.channels
        while True:
            before = self.nodes.get(source)
            if before is None:
                break
            if isinstance(before.operator, ChannelSelect):
                source, channels = before.inputs[0], tuple(before.operator.channels[one] for one in channels)
                continue
            part = self._find_part(before, channels) if isinstance(before.operator, Concat) else None
            if part is None:
                break
            source, channels = part
        self._readers[node.inputs[0]] -= 1
        self._readers[source] += 1
        return Node(node.name, ChannelSelect(channels), (source,))

    def _find_part(self, joint: Node, channels: tuple[int, ...]) -> tuple[str, tuple[int, ...]] | None:
        """The input of a joint that has all of some channels, and which they are there."""
        first = 0
        for name in joint.inputs:
            last = first + self._channels[name]
            if min(channels) >= first and max(channels) < last:
                return name, tuple(channel - first for channel in channels)
            first = last
        return None

    def _merge_joint(self, node: Node) -> Node:
        """Several parts of one Focus become one node."""
        parts = [self.nodes.get(name) for name in node.inputs]
        orders = [part.operator.order for part in parts if part and isinstance(part.operator, SpaceToDepth)]
        sources = {part.inputs for part in parts if part}
        if len(orders) < len(parts) or len(sources) != 1 or len(orders) < 2:
            return node
        return Node(node.name, SpaceToDepth(tuple(place for order in orders for place in order)), sources.pop())

    def _merge_convolution(self, node: Node, operator: Convolution) -> Node:
        """Takes channels in another order, and factors, into the weights, as far up as there are any."""
        merged = self._merge_one_before(node, operator)
        while merged is not node:
            node, merged = merged, self._merge_one_before(merged, operator)
        return merged

    def _merge_one_before(self, node: Node, operator: Convolution) -> Node:
        """The node itself if it stays as it is."""
        before = self.nodes.get(node.inputs[0])
        if before is None:
            return node
        weight, bias = node.parameters["weight"], node.parameters["bias"]
        count, width = len(weight) // operator.groups, weight.shape[3]
        if isinstance(before.operator, ChannelSelect) and operator.groups == 1:
            channels = before.operator.channels
            if sorted(channels) != list(range(self._channels[before.inputs[0]])):
                return node
            weight = weight[..., np.argsort(channels)]
        elif isinstance(before.operator, Activate) and before.operator.activation == IDENTITY:
            factor, addend = (
                np.repeat(before.parameters[name].reshape(operator.groups, width), count, 0)[:, None, None]
                for name in ("factor", "addend"))
            if any(operator.window.pads) and addend.any():
                return node  # The padding is zero behind the addition.
            bias = bias + (weight * addend).sum((1, 2, 3))
            weight = weight * factor
        else:
            return node
        self._readers[node.inputs[0]] -= 1
        self._readers[before.inputs[0]] += 1
        return Node(node.name, operator, before.inputs, {"weight": weight, "bias": bias})


def _changes_nothing(node: Node, channels: int) -> bool:
    operator = node.operator
    if isinstance(operator, ChannelSelect):
        return operator.channels == tuple(range(channels))
    return isinstance(operator, Activate) and operator.activation == IDENTITY and bool(
        (node.parameters["factor"] == 1).all()) and not node.parameters["addend"].any()


def drop_unread(nodes: Sequence[Node], kept: Collection[str]) -> list[Node]:
    """The nodes that some tensors need, in their order."""
    wanted, needed = set(kept), []
    for node in reversed(nodes):
        if node.name in wanted:
            needed.append(node)
            wanted.update(node.inputs)
    return needed[::-1]


def find_body(nodes: Sequence[Node]) -> set[str]:
    """Names of the tensors that a convolution needs."""
    found: set[str] = set()
    for node in reversed(nodes):
        if node.name in found or isinstance(node.operator, Convolution):
            found.update(node.inputs)
    return found


def split_heads(nodes: Sequence[Node], kept: Collection[str]) -> list[Node]:
    """Splits convolutions behind which channels go separate ways in the tail, each with an activation of its own.

    Args:
        nodes: In an order in which they can be computed.
        kept: Names of tensors that are read from outside.

    Returns:
        The nodes with the parts instead.
    """
    body = find_body(nodes)
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    result = []
    splits: dict[str, Node] = {}
    for node in nodes:
        users = readers.get(node.name, [])
        operator = node.operator
        if isinstance(operator, Convolution) and operator.groups == 1 and users and node.name not in kept and all(
                isinstance(user.operator, ChannelSelect) and user.name not in body for user in users):
            splits[node.name] = node
        elif isinstance(operator, ChannelSelect) and node.inputs[0] in splits:
            whole = splits[node.inputs[0]]
            parts = {name: array[list(operator.channels)] for name, array in whole.parameters.items()}
            result.append(Node(node.name, whole.operator, whole.inputs, parts))
        else:
            result.append(node)
    return result
