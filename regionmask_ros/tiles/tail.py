"""The tail of a network: from its heads, float32, to the arrays that its ONNX file gives.

A tail is a list of steps over arrays. What does not depend on the picture is computed once for each input size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..network.graph import Shape
from .tail_operators import OPERATORS, compute

INPUT_SHAPE = "InputShape"
"""A step without inputs: the shape [1, channels, rows, columns] of a tensor of the body."""
MAX_STEPS = 20_000
_UNKNOWN_DATA = frozenset(("Shape", "Size"))
"""Steps whose result depends on the shape of their input only."""


@dataclass(frozen=True)
class Step:
    """An operator of the tail.

    Attributes:
        operator: A key of ``tail_operators.OPERATORS``, or ``INPUT_SHAPE`` with the attributes ``channels`` and
            ``stride``.
        inputs: Names of what it reads: heads, arrays, or outputs of earlier steps; "": left out.
        outputs: Names of what it computes.
        attributes: As ONNX has them.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RowsLayout:
    """An output [1, cells, channels] that only has the values of heads, in this order.

    Attributes:
        levels: For each level, one after the other, its heads, whose channels lie side by side. The cells of a level
            are its pixels, line by line.
    """

    levels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Tail:
    """What is computed behind the heads.

    Attributes:
        heads: Names of the head tensors that it reads.
        steps: In an order in which they can be computed.
        arrays: Constants by name.
        outputs: Names of the arrays that are wanted, in the order of ``HeadSpec.outputs``.
        rows: Outputs that need no computation, by name.
    """

    heads: tuple[str, ...]
    steps: tuple[Step, ...]
    arrays: Mapping[str, np.ndarray]
    outputs: tuple[str, ...]
    rows: Mapping[str, RowsLayout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.steps) > MAX_STEPS:
            raise ValueError(f"{len(self.steps)} steps, more than {MAX_STEPS}")
        known = {"", *self.heads, *self.arrays}
        for step in self.steps:
            if step.operator != INPUT_SHAPE and step.operator not in OPERATORS:
                raise ValueError(f"unknown operator {step.operator!r}")
            if step.operator == INPUT_SHAPE and min(step.attributes.get("stride", 0),
                                                    step.attributes.get("channels", 0)) < 1:
                raise ValueError("a shape without stride or channels")
            missing = [name for name in step.inputs if name not in known]
            if missing:
                raise ValueError(f"a step reads {missing[0]!r}, which nothing before it computes")
            known.update(step.outputs)
        layouts = [name for layout in self.rows.values() for level in layout.levels for name in level]
        missing = [name for name in (*self.outputs, *self.rows, *layouts) if name not in known]
        if missing:
            raise ValueError(f"nothing computes {missing[0]!r}")

    def prepare(self, shapes: Mapping[str, Shape], input_wh: tuple[int, int], placed: Collection[str] = ()
                ) -> PreparedTail:
        """Computes all that does not depend on the picture.

        Args:
            shapes: Of the heads, as ``Graph.shapes`` gives them.
            input_wh: Width and height of the network's input.
            placed: Outputs with a ``RowsLayout`` that the caller has by itself.

        Returns:
            What is left to do for each picture.

        Raises:
            ValueError: The steps do not fit the size.
        """
        zeros = {name: _as_planes(np.zeros(shapes[name], np.float32)) for name in self.heads}
        values, varying = {**self.arrays, **zeros}, set(self.heads)
        dynamic = []
        for step in self.steps:
            values.update(zip(step.outputs, run_step(step, values, input_wh)))
            if step.operator not in _UNKNOWN_DATA and not varying.isdisjoint(step.inputs):
                varying.update(step.outputs)
                dynamic.append(step)
        wanted = {name for name in self.outputs if name not in placed}
        kept: list[Step] = []
        for step in reversed(dynamic):
            if not wanted.isdisjoint(step.outputs):
                kept.append(step)
                wanted.update(step.inputs)
        fixed = {name: values[name] for name in wanted if name and name not in varying}
        return PreparedTail(tuple(kept[::-1]), fixed, tuple(name for name in self.heads if name in wanted),
                            tuple(name for name in self.outputs if name not in placed))

    def to_plain(self) -> dict[str, Any]:
        """Everything but ``arrays`` as JSON can hold it."""
        steps = [[step.operator, list(step.inputs), list(step.outputs), dict(step.attributes)] for step in self.steps]
        return {"heads": list(self.heads), "steps": steps, "outputs": list(self.outputs),
                "rows": {name: [list(level) for level in layout.levels] for name, layout in self.rows.items()}}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Tail:
        """Reads what ``to_plain`` has made.

        Args:
            plain: That.
            arrays: Constants by name.

        Returns:
            The tail.

        Raises:
            ValueError: It is damaged.
        """
        try:
            steps = [Step(str(operator), tuple(map(str, inputs)), tuple(map(str, outputs)), dict(attributes))
                     for operator, inputs, outputs, attributes in plain["steps"][:MAX_STEPS + 1]]
            rows = {str(name): RowsLayout(tuple(tuple(map(str, level)) for level in levels))
                    for name, levels in plain["rows"].items()}
            return cls(tuple(map(str, plain["heads"])), tuple(steps), dict(arrays), tuple(map(str, plain["outputs"])),
                       rows)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a damaged tail ({error})") from error


@dataclass(frozen=True, eq=False)
class PreparedTail:
    """A tail for one input size.

    Attributes:
        steps: Those that depend on the picture.
        fixed: What these read and is the same for all pictures.
        heads: Names of the heads that are read.
        outputs: Names of what is computed.
    """

    steps: tuple[Step, ...]
    fixed: Mapping[str, np.ndarray]
    heads: tuple[str, ...]
    outputs: tuple[str, ...]

    def compute(self, heads: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Computes the outputs for one picture.

        Args:
            heads: float32 [rows, cols, channels] by name.

        Returns:
            The arrays by name of the output, possibly views of the heads.
        """
        values = {**self.fixed, **{name: _as_planes(heads[name]) for name in self.heads}}
        for step in self.steps:
            values.update(zip(step.outputs, run_step(step, values, (0, 0))))
        return {name: values[name] for name in self.outputs}


def _as_planes(head: np.ndarray) -> np.ndarray:
    """A view [1, channels, rows, cols]."""
    return head.transpose(2, 0, 1)[None]


def run_step(step: Step, values: Mapping[str, np.ndarray], input_wh: tuple[int, int]) -> list[np.ndarray]:
    """Computes one step.

    Args:
        step: The step.
        values: What is known so far, by name.
        input_wh: Width and height of the network's input.

    Returns:
        The outputs.
    """
    if step.operator == INPUT_SHAPE:
        stride = step.attributes["stride"]
        shape = 1, step.attributes["channels"], input_wh[1] // stride, input_wh[0] // stride
        return [np.array(shape, np.int64)]
    attributes = step.attributes
    if step.operator == "Split":
        attributes = {**attributes, "count": len(step.outputs)}
    return compute(step.operator, [values[name] if name else None for name in step.inputs], attributes)
