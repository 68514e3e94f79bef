"""How the axes of arrays grow with the width and the height of the input, and what this means for Reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from .editing import GraphEditor
from .inference import Shape

Growth = tuple[int, int]
"""Factors, 1 or 2, when the width doubles and when the height doubles."""
NO_GROWTH: Growth = (1, 1)


class NotFree(Exception):
    """The size of the input cannot be freed. ``str(error)`` names the node."""


@dataclass(frozen=True)
class Growing:
    """The length of an axis.

    Attributes:
        value: At the file's size.
        growth: How it grows.
    """

    value: int
    growth: Growth = NO_GROWTH

    def at(self, factors: tuple[int, int]) -> int:
        """The length when the width and the height have grown by these factors."""
        length = self.value
        for factor, growth in zip(factors, self.growth):
            length *= factor if growth == 2 else 1
        return length

    def add_to(self, editor: GraphEditor, input_name: str, wh: tuple[int, int]) -> str:
        """Adds nodes that compute the length from the input's shape.

        Args:
            editor: Of the graph.
            input_name: The image, [1, 3, height, width].
            wh: The file's size.

        Returns:
            The name of a value int64 [1].
        """
        if self.growth == NO_GROWTH:
            return editor.integers(self.value)
        shape = editor.add("Shape", [input_name])
        axes = [axis for axis, growth in zip((3, 2), self.growth) if growth == 2]
        sides = [editor.add("Gather", [shape, editor.integers(axis)], axis=0) for axis in axes]
        length = sides[0] if len(sides) == 1 else editor.add("Mul", sides)
        before = math.prod(side for side, growth in zip(wh, self.growth) if growth == 2)
        common = math.gcd(self.value, before)
        if self.value != common:
            length = editor.add("Mul", [length, editor.integers(self.value // common)])
        if before != common:
            length = editor.add("Div", [length, editor.integers(before // common)])
        return length


def growth_of(node: str, shape: Shape, wide: Shape, high: Shape) -> tuple[Growing, ...]:
    """How the axes of an array grow.

    Args:
        node: Words that name the node, for the message.
        shape: The array's shape at the file's size.
        wide: At twice its width.
        high: At twice its height.

    Returns:
        One for each axis.

    Raises:
        NotFree: An axis grows by another factor than 1 or 2.
    """
    if not len(shape) == len(wide) == len(high):
        raise NotFree(f"{node}: its number of axes depends on the size")
    found = []
    for length, wider, higher in zip(shape, wide, high):
        assert length is not None and wider is not None and higher is not None
        if length < 1 or wider not in (length, 2 * length) or higher not in (length, 2 * length):
            raise NotFree(f"{node}: an axis of {length} does not grow in proportion to the input")
        found.append(Growing(length, (wider // length, higher // length)))
    return tuple(found)


def resolve_target(node: str, data: Sequence[int], target: Sequence[int], keeps_zero: bool) -> list[int]:
    """The target of a Reshape with 0 and -1 replaced by lengths."""
    resolved = [data[place] if value == 0 and not keeps_zero and place < len(data) else value
                for place, value in enumerate(target)]
    rest = math.prod(value for value in resolved if value != -1)
    if -1 in resolved and rest > 0:
        resolved[resolved.index(-1)] = math.prod(data) // rest
    if math.prod(resolved) != math.prod(data) or min(resolved, default=1) < 1:
        raise NotFree(f"{node}: its target does not fit its input")
    return resolved


def grow_target(node: str, data: Sequence[Growing], target: Sequence[int], rest: int | None, wh: tuple[int, int]
                ) -> tuple[Growing, ...]:
    """How the axes of a Reshape's target grow.

    Axes of both sides are grouped from the left so that both sides of a group have the same number of elements.

    Args:
        node: Words that name the node, for the message.
        data: The axes before.
        target: The lengths after.
        rest: The axis that the file leaves open (-1), if there is one.
        wh: The file's size.

    Returns:
        One for each axis of the target.

    Raises:
        NotFree: It is not clear which axis grows.
    """
    result: list[Growing] = []
    left = right = 0
    while right < len(target) or left < len(data):
        first, start = left, right
        before = after = 1
        while True:
            if before <= after and left < len(data):
                before, left = before * data[left].value, left + 1
            elif right < len(target):
                after, right = after * target[right], right + 1
            else:
                break
            if before == after and right > start and left > first:
                break
        preferred = rest - start if rest is not None and start <= rest < right else None
        result.extend(_grow_group(node, data[first:left], target[start:right], preferred, wh))
    return tuple(result)


def _grow_group(node: str, data: Sequence[Growing], target: Sequence[int], preferred: int | None, wh: tuple[int, int]
                ) -> list[Growing]:
    growth = tuple(math.prod(axis.growth[side] for axis in data) for side in (0, 1))
    if growth == NO_GROWTH:
        return [Growing(value) for value in target]
    if max(growth) > 2:
        raise NotFree(f"{node}: an axis grows twice with the same side")
    moving = math.prod(axis.value for axis in data if axis.growth != NO_GROWTH)
    carriers = [place for place, value in enumerate(target) if value % moving == 0]
    if preferred is not None:
        carriers = [preferred]
    if not carriers and growth == (2, 2):
        pairs = [(first, second) for first, second in combinations(range(len(target)), 2)
                 if target[first] * wh[0] == target[second] * wh[1] and min(target[first], target[second]) > 1]
        if len(pairs) == 1:
            grown = {pairs[0][0]: (1, 2), pairs[0][1]: (2, 1)}
            return [Growing(value, grown.get(place, NO_GROWTH)) for place, value in enumerate(target)]
    if len(carriers) != 1:
        raise NotFree(f"{node}: it is not clear which axis of {list(target)} grows with the input")
    return [Growing(value, growth if place == carriers[0] else NO_GROWTH)  # type: ignore[arg-type]
            for place, value in enumerate(target)]
