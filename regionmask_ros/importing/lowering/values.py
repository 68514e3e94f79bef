"""What is known of a value of an ONNX graph while it is lowered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UserError, to_one_line
from ...network.onnx.reading import name_of


class CannotLower(UserError):
    """The tile engine cannot run a network. The message is one line that names the node and its operator.

    Args:
        node: The node of the ONNX graph, or words that name another place.
        reason: Why, in words that follow its name.
    """

    def __init__(self, node: Any, reason: str) -> None:
        super().__init__(to_one_line(f"{node if isinstance(node, str) else name_of(node)}: {reason}"))


@dataclass(frozen=True, eq=False)
class Known:
    """Numbers that do not depend on the picture.

    Attributes:
        arrays: One for each probed input size; the same object where they do not depend on the size either.
    """

    arrays: tuple[np.ndarray, ...]

    @property
    def fixed(self) -> np.ndarray | None:
        """The array, if it is the same at all sizes."""
        first = self.arrays[0]
        same = all(array is first or (array.shape == first.shape and array.dtype == first.dtype
                                      and np.array_equal(array, first)) for array in self.arrays[1:])
        return first if same else None


@dataclass(frozen=True)
class Tensor:
    """A tensor of the body, [1, channels, rows, cols] in ONNX.

    Attributes:
        name: Of the node that computes it, or of the input.
    """

    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """An operation element by element, and its operands: "x", the base; calls; arrays that broadcast to channels.

    Attributes:
        operator: Of ``tail_operators.OPERATORS``.
        operands: What it reads.
        attributes: As ONNX has them.
        size: Number of calls, itself among them.
    """

    operator: str
    operands: tuple[Any, ...]
    attributes: dict[str, Any]
    size: int


@dataclass(eq=False)
class Pointwise:
    """A function of one tensor, element by element, which may become an activation.

    Attributes:
        base: The tensor.
        call: The function.
        node: The node of the ONNX graph that gives it.
        tensor: Where it is, once it is computed.
    """

    base: str
    call: Call
    node: Any
    tensor: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Padded:
    """A tensor with zeros around it.

    Attributes:
        base: The tensor.
        pads: Above, left, below, right.
        node: The node that pads.
    """

    base: str
    pads: tuple[int, int, int, int]
    node: Any


@dataclass(frozen=True, eq=False)
class Moved:
    """Values of one tensor in another arrangement.

    Attributes:
        base: The tensor.
        places: int32 for each probed size: the index of each value in the base [1, channels, rows, cols].
        node: The node that gives it.
    """

    base: str
    places: tuple[np.ndarray, ...]
    node: Any


@dataclass(frozen=True, eq=False)
class Loose:
    """A value of the tail.

    Attributes:
        node: The first node on the way to it that is not of the body.
    """

    node: Any


Value = Known | Tensor | Pointwise | Padded | Moved | Loose
