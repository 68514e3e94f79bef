"""A teacher that sees the samples themselves: all cells of its output, and values inside. Needs torch.

Labels say where objects are. A guide also says how sure each cell is, and what leads to it, so that a student needs
fewer steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ...network.dense import DenseNetwork, Preprocessing
from .graph_model import GraphModel
from .inputs import to_input

_READERS = 2
"""Convolutions that read a value before the heads: one for the classes, one for the boxes."""

_VALUES_PER_LEVEL = 2
_PROBE_SIDE = 2
"""Side of the picture with which sizes are found, in cells of the coarsest level."""


@dataclass(frozen=True)
class Hint:
    """Two values inside that shall be alike.

    Attributes:
        student: Name in the student.
        teacher: Name in the teacher.
        channels: Of the student's and the teacher's value.
    """

    student: str
    teacher: str
    channels: tuple[int, int]


class Guide:
    """A teacher with a raw YOLOX head and the student's cells.

    Args:
        model: ONNX ModelProto of the teacher.
        preprocessing: What it expects.
        columns: Numbers of the student's classes among the teacher's, -1 for one it does not know; None: all are the
            same.
    """

    def __init__(self, model: Any, preprocessing: Preprocessing, columns: Sequence[int] | None = None) -> None:
        self.model = GraphModel(model).eval().requires_grad_(False)
        self._preprocessing, self._columns = preprocessing, columns

    def answer(self, images: np.ndarray, wanted: Sequence[str] = ()) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What the teacher says of samples.

        Args:
            images: uint8 [n, height, width, 3], RGB.
            wanted: Names of values inside.

        Returns:
            float32 [n, cells, 5 + classes]: x, y, w, h as the head has them, the shares of objectness and classes, 0 to
            1, and the wanted values.
        """
        with torch.no_grad():
            output, inside = self.model(to_input(images, self._preprocessing), wanted)
            shares = output[..., 4:].sigmoid()
            if self._columns is not None:
                shares = _choose_classes(shares, self._columns)
            return torch.cat([output[..., :4], shares], -1), inside


def _choose_classes(shares: torch.Tensor, columns: Sequence[int]) -> torch.Tensor:
    """Objectness and classes for some classes: an object of another class is none.

    Args:
        shares: [..., 1 + classes of the teacher].
        columns: See ``Guide``.

    Returns:
        [..., 1 + classes]: objectness times the largest of these classes, and the classes relative to the largest, so
        that their product stays what it was.
    """
    known = torch.tensor([column >= 0 for column in columns])
    kinds = shares[..., [1 + max(column, 0) for column in columns]] * known
    largest = kinds.amax(-1, keepdim=True)
    return torch.cat([shares[..., :1] * largest, kinds / largest.clamp(min=1e-6)], -1)


def can_guide(network: DenseNetwork, strides: Sequence[int]) -> bool:
    """Whether a teacher has a raw YOLOX head with the student's cells, for any input size."""
    return (network.head.family == "yolox" and bool(network.head.numbers.get("raw"))
            and tuple(network.head.strides) == tuple(strides) and network.fixed_wh is None)


def find_hints(model: GraphModel) -> tuple[Hint, ...]:
    """Values inside that a student shall have like its twin: what blocks give, and what the heads see.

    Those are the rectified results of convolutions of merged values, and values that several convolutions read.

    Returns:
        Pairs of the same name.
    """
    made, readers = {step.name: step for step in model.steps}, model.count_readers()
    hints = []
    for step in model.steps:
        if step.operator != "Relu" or made[step.inputs[0]].operator != "Conv":
            continue
        source = made.get(made[step.inputs[0]].inputs[0])
        if (source is not None and source.operator == "Concat") or readers.get(step.name, 0) >= _READERS:
            channels = len(model.weight(step.inputs[0]))
            hints.append(Hint(step.name, step.name, (channels, channels)))
    return tuple(hints)


def pair_values(student: GraphModel, teacher: GraphModel, strides: Sequence[int]) -> tuple[Hint, ...]:
    """Finds values before the heads of both that shall be alike: at each level, what several convolutions read.

    Args:
        student: The student; the last value at each level that several convolutions read is taken.
        teacher: The teacher; the last two are.
        strides: Of the levels.

    Returns:
        The pairs.
    """
    of_student, of_teacher = (_values_before_heads(one, strides) for one in (student, teacher))
    return tuple(Hint(of_student[stride][-1][0], name, (of_student[stride][-1][1], channels))
                 for stride in strides if of_student[stride]
                 for name, channels in of_teacher[stride][-_VALUES_PER_LEVEL:])


def _values_before_heads(model: GraphModel, strides: Sequence[int]) -> dict[int, list[tuple[str, int]]]:
    """For each stride, the names and channels of values that several convolutions read."""
    counts = model.count_readers()
    names = [step.name for step in model.steps if counts.get(step.name, 0) >= _READERS]
    side = max(strides) * _PROBE_SIDE
    training = model.training
    model.eval()
    with torch.no_grad():
        values = dict(zip(names, model(torch.zeros(1, 3, side, side), names)[1]))
    model.train(training)
    return {stride: [(name, values[name].shape[1]) for name in names if values[name].shape[2] * stride == side]
            for stride in strides}


def make_adapters(hints: Sequence[Hint], seed: int) -> nn.ModuleList:
    """1x1 convolutions that turn the student's values into the teacher's; they are only for the training."""
    generator = torch.Generator().manual_seed(seed)
    made = nn.ModuleList()
    for hint in hints:
        one = nn.Conv2d(*hint.channels, 1)
        with torch.no_grad():
            one.weight.normal_(0.0, hint.channels[0] ** -0.5, generator=generator)
            one.bias.zero_()
        made.append(one)
    return made

