"""Runs of a network whose head is known: which input sizes it takes, and which order of channels it wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..core.boxes import iou_matrix
from ..detection.heads.base import Candidates
from ..detection.heads.finding import HEADS, find_head
from ..errors import UserError
from ..network.dense import GraphFacts, HeadSpec, Preprocessing
from ..network.preprocessing import describe_preprocessing
from .picture import draw_scene, to_input

Outputs = dict[str, np.ndarray]
Run = Callable[[bytes, str, np.ndarray], Outputs]
_ALIGNMENTS = (32, 64, 128)
_TOLERANCE = 2e-3
_BEST_BOXES = 20
_CLEARLY_MORE = 1.25
_LOWEST, _SURE, _SAME_PLACE = 0.05, 0.3, 0.6
_LOWER = 0.6
"""Of the height."""


@dataclass(frozen=True)
class Trial:
    """Runs of a model whose head is known."""

    run: Run
    input_name: str
    preprocessing: Preprocessing
    head: HeadSpec
    metadata: Mapping[str, str]
    producers: Mapping[str, tuple[str, ...]]

    def find_alignment(self, model: bytes, wh: tuple[int, int], first: Outputs) -> tuple[int, str]:
        """Tries whether a freed model still gives the same, and which sizes it takes.

        Args:
            model: The freed model.
            wh: Width and height of the first run.
            first: Its outputs.

        Returns:
            The alignment, or 0 and the reason.
        """
        try:
            again = self._run(model, wh)
        except UserError as error:
            return 0, str(error)
        for name, value in first.items():
            # Boxes in an order of scores may change places: there the number of boxes has to do.
            if value.shape != again[name].shape or (self.head.strides and not _equal(value, again[name])):
                return 0, f"with a free size, output {name!r} has other values"
        if not self.head.strides and not self._boxes_follow(model, wh, first):
            return 0, "with another size, its boxes are not where they should be"
        reason = ""
        for alignment in _ALIGNMENTS:
            grown = tuple(-(-side // alignment) * alignment + alignment for side in wh)
            sizes = ((7 * alignment, 5 * alignment), (5 * alignment, 9 * alignment), (grown[0], grown[1] - alignment))
            reason = next(filter(None, (self._find_misfit(model, size) for size in sizes)), "")
            if not reason:
                return alignment, ""
        return 0, reason

    def compare_orders(self, model: bytes, wh: tuple[int, int], first: Outputs) -> str:
        """A warning if the drawn scene is recognized better when red and blue are exchanged; else an empty text."""
        order = self.preprocessing.order
        other = replace(self.preprocessing, order="rgb" if order == "bgr" else "bgr",
                        mean=self.preprocessing.mean[::-1], deviation=self.preprocessing.deviation[::-1])
        exchanged = self.run(model, self.input_name, to_input(draw_scene(wh), other))
        ours, theirs = self._sum_scores(first, wh), self._sum_scores(exchanged, wh)
        if theirs <= _CLEARLY_MORE * ours or theirs < 1.0:
            return ""
        return (f"warning: a drawn scene is recognized better as {other.order} (scores {theirs:.1f}) than as {order} "
                f"({ours:.1f}); if this network wants {other.order}, import it with "
                f"--preprocess {describe_preprocessing(other)}")

    def _boxes_follow(self, model: bytes, wh: tuple[int, int], first: Outputs) -> bool:
        """Whether boxes that the graph has computed stay in place when the picture is made lower."""
        lower = (wh[0], max(1, round(_LOWER * wh[1] / _ALIGNMENTS[1])) * _ALIGNMENTS[1])
        try:
            found = [self._decode(outputs, size) for outputs, size in (
                (first, wh), (self._run(model, lower), lower))]
        except (UserError, ValueError):
            return False
        before, after = ((some.boxes / np.array(size * 2), some.class_ids) for some, size in zip(found, (wh, lower)))
        sure = np.flatnonzero(found[0].scores >= _SURE)
        return any((iou_matrix(before[0][place:place + 1], after[0][after[1] == before[1][place]]) > _SAME_PLACE).any()
                   for place in sure)

    def _decode(self, outputs: Outputs, wh: tuple[int, int]) -> Candidates:
        arrays = [outputs[name] for name in self.head.outputs]
        return HEADS[self.head.family].decode(arrays, self.head, wh, _LOWEST)

    def _sum_scores(self, outputs: Outputs, wh: tuple[int, int]) -> float:
        scores = self._decode(outputs, wh).scores
        return float(np.sort(scores)[::-1][:_BEST_BOXES].sum())

    def _run(self, model: bytes, wh: tuple[int, int]) -> Outputs:
        return self.run(model, self.input_name, to_input(draw_scene(wh), self.preprocessing))

    def _find_misfit(self, model: bytes, wh: tuple[int, int]) -> str:
        """Why the model does not work at a size; an empty text if it does."""
        try:
            outputs = self._run(model, wh)
            if not self.head.strides:
                # Boxes that the graph has selected: at some sizes it may find none, and then no head is seen.
                return "" if all(name in outputs for name in self.head.outputs) else "it has other outputs"
            found = find_head(outputs, GraphFacts(self.metadata, self.producers, wh), self.head.family)
        except UserError as error:
            return str(error)
        if (found.num_classes, found.outputs, found.strides) != (
                self.head.num_classes, self.head.outputs, self.head.strides):
            return f"at {wh[0]}x{wh[1]} its outputs do not have the sizes that they should have"
        return ""


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Equal but for rounding."""
    scale = float(np.abs(first[np.isfinite(first)]).max(initial=1.0))
    return bool(np.allclose(first, second, rtol=_TOLERANCE, atol=_TOLERANCE * scale, equal_nan=True))
