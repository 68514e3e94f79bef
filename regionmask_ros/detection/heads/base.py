"""What all heads have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...network.dense import GraphFacts, HeadSpec

MOST_CANDIDATES = 1000
"""So many boxes of an image, the best ones, enter the suppression, whose time grows with their square. NanoDet and
PicoDet take as many of each level (``nms_pre``)."""


@dataclass(frozen=True)
class Candidates:
    """The n boxes that a head shows in one input, before non-maximum suppression, in any order.

    Attributes:
        boxes: float32 [n, 4], x0 y0 x1 y1 in input pixels, not clipped.
        scores: float32 [n], 0 to 1.
        class_ids: int32 [n], index into the network's labels.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray


class Head(Protocol):
    """A family of heads.

    Attributes:
        needs_suppression: Whether several boxes may show one object, so that non-maximum suppression is due.
        numbers: Names that every ``HeadSpec.numbers`` of this family has.
    """

    needs_suppression: bool
    numbers: tuple[str, ...]

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """Recognizes outputs of this family.

        Args:
            outputs: Arrays of all outputs by name, from a run on a picture.
            facts: What the file says.
            wanted: Whether the user says that they are of this family: where the same numbers could be of two families,
                they are of this one.

        Returns:
            What the outputs mean; None if they are not of this family.
        """

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """Reads the boxes of one run.

        Args:
            outputs: float32 arrays in the order of ``spec.outputs``, batch axis of 1 in front.
            spec: From ``find``.
            input_wh: Width and height of the input.
            lowest: Lowest score that is kept; 0: all boxes of finite scores, in an order that no value changes.

        Returns:
            The boxes whose score is at least ``lowest``; of each box the best class only.

        Raises:
            ValueError: A shape does not fit.
        """


def misfit(family: str, outputs: Sequence[np.ndarray], input_wh: tuple[int, int]) -> ValueError:
    """The error for outputs of a shape that a head does not have."""
    shapes = ", ".join(str(list(output.shape)) for output in outputs)
    return ValueError(f"{family}: outputs of shape {shapes} at an input of {input_wh[0]}x{input_wh[1]}")
