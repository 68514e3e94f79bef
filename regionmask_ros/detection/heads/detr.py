"""DETR and its relatives: queries, each with one box and one score for each class, without any suppression.

Two forms:

- joined (RT-DETR of Ultralytics): one output [1, queries, 4 + classes], scores after a sigmoid;
- separate: boxes [1, queries, 4] and logits [1, queries, classes] (RT-DETR, Deformable DETR, RF-DETR: a sigmoid for
  each) or [1, queries, classes + 1] (DETR: a softmax, the last one is "no object").

Boxes are centers and sizes in shares of the input. Sources: Ultralytics, ``nn/modules/head.py``, ``RTDETRDecoder``;
RT-DETR, ``rtdetr_postprocessor.py``; DETR, ``models/detr.py``, ``PostProcess``.

``HeadSpec.outputs``: the joined one; or boxes, scores.

``HeadSpec.numbers``: ``logits`` 1 where scores are still to go through a sigmoid; ``no_object`` 1 where they are to go
through a softmax with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...network.dense import GraphFacts, HeadSpec
from .base import Candidates, misfit
from .pairs import are_corners, as_table, find_pair
from .select import are_scores, corners_of, logit, select_best, select_shares, sigmoid

MOST_QUERIES = 2000

LEAST_LEAD = 3.0
"""Of the logit of "no object", on average."""


class DetrHead:
    """Reads DETR's outputs; see ``base.Head``."""

    needs_suppression = False
    numbers: tuple[str, ...] = ("logits", "no_object")

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """See ``base.Head``."""
        pair = find_pair(outputs)
        if pair is not None:
            name, boxes, of_scores, scores = pair
            if len(boxes) > MOST_QUERIES or not _are_shares(boxes) or are_corners(boxes):
                return None
            logits = not are_scores(scores)
            # Most queries show nothing. Where there is a class for that, its logit is far above those of the others.
            nothing = logits and scores.shape[1] > 1 and bool(
                scores[:, -1].mean() > scores[:, :-1].mean() + LEAST_LEAD)
            return HeadSpec("detr", scores.shape[1] - nothing, (name, of_scores), (),
                            {"logits": float(logits), "no_object": float(nothing)})
        for name, output in outputs.items():
            if output.ndim == 3 and len(output) == 1 and 5 <= output.shape[2] and output.shape[1] <= MOST_QUERIES:
                boxes, scores = output[0, :, :4], output[0, :, 4:]
                if are_scores(scores) and _are_shares(boxes) and not are_corners(boxes):
                    return HeadSpec("detr", scores.shape[1], (name,), (), {"logits": 0.0, "no_object": 0.0})
        return None

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """See ``base.Head``."""
        columns = spec.num_classes + int(spec.numbers["no_object"])
        if len(spec.outputs) == 1:
            table = as_table(outputs[0], 4 + columns)
            boxes, scores = (None, None) if table is None else (table[:, :4], table[:, 4:])
        else:
            boxes, scores = as_table(outputs[0], 4), as_table(outputs[-1], columns)
        if boxes is None or scores is None or len(boxes) != len(scores):
            raise misfit("DETR", outputs, input_wh)
        if spec.numbers["no_object"]:
            index, best, classes = select_shares(scores, columns - 1, lowest)
        elif spec.numbers["logits"]:
            index, best, classes = select_best(scores, logit(lowest))
            best = sigmoid(best)
        else:
            index, best, classes = select_best(scores, lowest)
        near = boxes[index] * np.array(input_wh * 2, np.float32)
        return Candidates(corners_of(near[:, :2], near[:, 2:]), best, classes.astype(np.int32))


def _are_shares(boxes: np.ndarray) -> bool:
    return bool(boxes.size) and bool(boxes.min() >= -0.5 and boxes.max() <= 1.5)
