"""NanoDet and PicoDet, which were trained with the generalized focal loss.

Two forms:

- joined (NanoDet and NanoDet-Plus): one output [1, cells, classes + 4 * bins], scores first.
- separate: for each level one output of scores and one of distances, [1, cells, channels] or maps. Distances are
  distributions, or, where the graph has computed their means, four numbers a cell, in strides.

Scores may have gone through a sigmoid. A cell's point is its middle, but in NanoDet-Plus, which has a fourth level and
joined outputs, its upper left corner. Source: NanoDet, ``nanodet/model/head/gfl_head.py`` and ``nanodet_plus_head.py``;
PaddleDetection, ``ppdet/modeling/heads/gfl_head.py`` and ``pico_head.py``, with ``cell_offset: 0.5`` of its
configurations; see ``distances`` for the formula.

``HeadSpec.outputs``: the joined one; or the scores of each level, then the distances of each.

``HeadSpec.numbers``: ``bins`` 0 where the distances are decoded; ``logits`` 1 where scores are still to go through a
sigmoid; ``offset`` of a cell's point from its corner, in strides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...network.dense import GraphFacts, HeadSpec
from ...network.labels import names_in_metadata
from .base import Candidates, misfit
from .distances import could_be_distributions, read_distances
from .grid import as_rows, count_cells, find_levels, find_strides, level_rows, level_sizes
from .select import are_scores

USUAL_BINS = (8, 11, 17)
"""NanoDet-m, EfficientLite and RepVGG; the paper."""


class GeneralizedFocalHead:
    """Reads the outputs of NanoDet and PicoDet; see ``base.Head``."""

    needs_suppression = True
    numbers: tuple[str, ...] = ("bins", "logits", "offset")

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """See ``base.Head``."""
        named = len(names_in_metadata(facts.metadata))
        strides, places = find_levels(outputs, facts.input_wh, 2)
        if strides:
            return _find_separate(places, strides, named)
        for name, output in outputs.items():
            if output.ndim != 3 or len(output) != 1:
                continue
            for cells in output.shape[:0:-1]:
                strides = find_strides(cells, facts.input_wh)
                rows = as_rows(output, cells) if strides else None
                found = None if rows is None else _find_joined(rows, name, strides, named)
                if found is not None:
                    return found
        return None

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """See ``base.Head``."""
        classes, channels = spec.num_classes, int(4 * spec.numbers["bins"]) or 4
        if len(spec.outputs) == 1:
            rows = as_rows(outputs[0], count_cells(input_wh, spec.strides))
            if rows is None or rows.shape[1] != classes + channels:
                raise misfit("NanoDet", outputs, input_wh)
            parts = [(rows[:, :classes], rows[:, classes:])]
        else:
            sizes, count = level_sizes(input_wh, spec.strides), len(spec.strides)
            pairs = zip((level_rows(output, wh, classes) for output, wh in zip(outputs[:count], sizes)),
                        (level_rows(output, wh, channels) for output, wh in zip(outputs[count:], sizes)))
            parts = [(scores, distances) for scores, distances in pairs if scores is not None and distances is not None]
            if len(parts) != count or len(outputs) != 2 * count:
                raise misfit("NanoDet and PicoDet", outputs, input_wh)
        return read_distances(
            parts, input_wh, spec.strides, spec.numbers["offset"], lowest, bool(spec.numbers["logits"]))


def _find_joined(rows: np.ndarray, name: str, strides: tuple[int, ...], named: int) -> HeadSpec | None:
    for classes in (named,) if named else tuple(rows.shape[1] - 4 * bins for bins in USUAL_BINS):
        if not 0 < classes < rows.shape[1]:
            continue
        scores, distances = rows[:, :classes], rows[:, classes:]
        # Without a sigmoid, only the number of names tells where the scores end.
        logits = not are_scores(scores)
        if could_be_distributions(distances) and (not logits or (named and scores.mean() < distances.mean())):
            offset = 0.0 if len(strides) == 4 else 0.5
            return HeadSpec("generalized_focal", classes, (name,), strides,
                            {"bins": distances.shape[1] / 4, "logits": float(logits), "offset": offset})
    return None


def _find_separate(places: list[tuple[tuple[str, ...], np.ndarray]], strides: tuple[int, ...], named: int
                   ) -> HeadSpec | None:
    def score_likeness(place: tuple[tuple[str, ...], np.ndarray]) -> tuple[bool, bool, float]:
        """The greatest for scores: a sigmoid's values; the number of names; the lowest mean."""
        return are_scores(place[1]), place[1].shape[1] == named, -float(place[1].mean())

    (of_distances, distances), (of_scores, scores) = sorted(places, key=score_likeness)
    decoded = distances.shape[1] == 4 and distances.min() >= 0.0 and not are_scores(distances)
    if not decoded and not could_be_distributions(distances):
        return None
    return HeadSpec("generalized_focal", scores.shape[1], of_scores + of_distances, strides, {
        "bins": 0.0 if decoded else distances.shape[1] / 4, "logits": float(not are_scores(scores)), "offset": 0.5})
