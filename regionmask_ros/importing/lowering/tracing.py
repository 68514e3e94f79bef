"""Follows the values of heads through a tail: which activation can be part of a head, which output is only a view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...network.graph import Node, Shape
from ...tiles.operators.activations import IDENTITY, Activation, Kind
from ...tiles.operators.convolution import Convolution
from ...tiles.tail import RowsLayout, Step, Tail, run_step
from ...tiles.tail_operators import LAYOUT

_OUTPUT = -1


class Trace:
    """Where the values of heads are in the arrays of a tail, for one input size.

    Args:
        tail: The tail.
        shapes: Of the heads.
        input_wh: Width and height of the input.

    Attributes:
        places: By name of the array: for every value, ``channel * pixels + pixel``, with channels of all heads one
            after the other. Arrays with computed values are missing.
        users: For each channel, indices of the steps that compute something with it; -1 for an output.
        first: First channel of each head.
    """

    def __init__(self, tail: Tail, shapes: Mapping[str, Shape], input_wh: tuple[int, int]) -> None:
        self._shapes = shapes
        self._pixels = max((shapes[name][0] * shapes[name][1] for name in tail.heads), default=1)
        self.first: dict[str, int] = {}
        self.places: dict[str, np.ndarray] = {}
        count = 0
        for name in tail.heads:
            rows, cols, channels = shapes[name]
            self.first[name] = count
            numbers = np.arange(count, count + channels)[:, None] * self._pixels + np.arange(rows * cols)
            self.places[name] = numbers.reshape(1, channels, rows, cols)
            count += channels
        self.users: list[set[int]] = [set() for _ in range(count)]
        values: dict[str, np.ndarray] = {**tail.arrays, **{
            name: np.zeros(places.shape, np.float32) for name, places in self.places.items()}}
        for index, step in enumerate(tail.steps):
            values.update(zip(step.outputs, run_step(step, values, input_wh)))
            self._follow(index, step, values, input_wh)
        for name in tail.outputs:
            self._use(_OUTPUT, name)

    def channels(self, name: str) -> set[int]:
        """Channels whose values are in an array."""
        return set(np.unique(self.places[name] // self._pixels).tolist())

    def _follow(self, index: int, step: Step, values: Mapping[str, np.ndarray], input_wh: tuple[int, int]) -> None:
        traced = [name for name in step.inputs if name in self.places]
        data = step.inputs if step.operator == "Concat" else step.inputs[:1]
        if step.operator in LAYOUT and len(traced) == len(data) and all(name in self.places for name in data):
            plain = Step("Identity", data, step.outputs) if step.operator == "Cast" else step
            moved = run_step(plain, {**values, **{name: self.places[name] for name in traced}}, input_wh)
            self.places.update(zip(step.outputs, moved))
            return
        if step.operator != "Shape":
            for name in traced:
                self._use(index, name)

    def _use(self, index: int, name: str) -> None:
        if name in self.places:
            for channel in self.channels(name):
                self.users[channel].add(index)

    def layout(self, name: str) -> RowsLayout | None:
        """The layout of an output; None if it is no rows of heads."""
        places = self.places.get(name)
        if places is None or places.ndim != 3 or len(places) != 1:
            return None
        levels, cell = [], 0
        heads = {first: head for head, first in self.first.items()}
        while cell < places.shape[1]:
            level: list[str] = []
            channel = 0
            while channel < places.shape[2]:
                head = heads.get(int(places[0, cell, channel]) // self._pixels)
                if head is None or head in level:
                    return None
                level.append(head)
                channel += self._shapes[head][2]
            rows, cols, _ = self._shapes[level[0]]
            expected = np.concatenate([self.places[head].reshape(self._shapes[head][2], -1).T for head in level
                                       if self._shapes[head][:2] == (rows, cols)], axis=1)
            if not np.array_equal(places[0, cell:cell + rows * cols], expected):
                return None
            levels.append(tuple(level))
            cell += rows * cols
        return RowsLayout(tuple(levels))


def merge_sigmoids(nodes: Sequence[Node], tail: Tail, trace: Trace) -> tuple[list[Node], Tail]:
    """Makes sigmoids of the tail part of the heads whose values they get, where nothing else reads these.

    Args:
        nodes: Of the graph.
        tail: Its tail.
        trace: Of the tail.

    Returns:
        Both with the changes.
    """
    reached = {index: trace.channels(step.inputs[0]) for index, step in enumerate(tail.steps)
               if step.operator == "Sigmoid" and step.inputs[0] in trace.places}
    by_name = {node.name: node for node in nodes}
    merged: set[str] = set()
    while True:
        channels = {channel for found in reached.values() for channel in found}
        users = {index for channel in channels for index in trace.users[channel]}
        merged = set()
        for name, first in trace.first.items():
            operator = by_name[name].operator
            own = set(range(first, first + len(by_name[name].parameters["weight"])))
            if isinstance(operator, Convolution) and operator.activation == IDENTITY and own <= channels and (
                    {index for channel in own for index in trace.users[channel]} <= reached.keys()):
                merged.add(name)
        covered = {channel for name in merged for channel in range(
            trace.first[name], trace.first[name] + len(by_name[name].parameters["weight"]))}
        fewer = {index: found for index, found in reached.items() if found <= covered}
        if len(fewer) == len(reached) or not users:
            break
        reached = fewer
    steps = [replace(step, operator="Identity") if index in reached else step for index, step in enumerate(tail.steps)]
    changed = [replace(node, operator=replace(node.operator, activation=Activation(Kind.SIGMOID)))
               if node.name in merged and isinstance(node.operator, Convolution) else node for node in nodes]
    return changed, replace(tail, steps=tuple(steps))
