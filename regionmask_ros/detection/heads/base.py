"""What all heads have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...network.dense import GraphFacts, HeadSpec


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
    """

    needs_suppression: bool

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts) -> HeadSpec | None:
        """Recognizes outputs of this family.

        Args:
            outputs: Arrays of all outputs by name, from a run on a picture.
            facts: What the file says.

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
            lowest: Lowest score that is kept.

        Returns:
            The boxes whose score is at least ``lowest``; of each box the best class only.

        Raises:
            ValueError: A shape does not fit.
        """
