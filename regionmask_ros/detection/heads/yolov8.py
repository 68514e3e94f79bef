"""YOLOv8, YOLO11 and their relatives: no objectness, distances as distributions.

Three forms:

- decoded: one output [1, 4 + classes, cells]: the box in input pixels, and scores that went through a sigmoid.
  Channels behind the classes (of masks or key points) are ignored, where the metadata tell how many classes there are.
- joined: one output [1, 4 * bins + classes, cells] of distributions and logits (or scores).
- maps: for each level one output [1, 4 * bins + classes, rows, cols].

Cells' points are their middles. Source: Ultralytics, ``nn/modules/head.py``, ``Detect``, and ``utils/tal.py``,
``make_anchors`` and ``dist2bbox``; see ``distances`` for the formula.

``HeadSpec.numbers``: ``bins`` 0 where boxes are decoded; ``corners`` 1 for x0 y0 x1 y1, 0 for a center and a size;
``logits`` 1 where scores are still to go through a sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...network.dense import GraphFacts, HeadSpec
from ...network.labels import names_in_metadata
from .base import Candidates, misfit
from .distances import could_be_distributions, read_distances
from .grid import as_rows, count_cells, distance_from_cells, find_levels, find_strides, level_rows, level_sizes
from .pairs import find_pair
from .select import are_scores, corners_of, select_best

USUAL_BINS = 16
OTHER_TASKS = ("obb", "classify", "semantic")
"""Ultralytics' tasks without upright boxes."""


class Yolov8Head:
    """Reads YOLOv8's outputs; see ``base.Head``."""

    needs_suppression = True
    numbers: tuple[str, ...] = ("bins", "corners", "logits")

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """See ``base.Head``."""
        if facts.metadata.get("task") in OTHER_TASKS:
            return None
        if find_pair(outputs) is not None and not wanted:
            return None
        named = len(names_in_metadata(facts.metadata))
        strides, places = find_levels(outputs, facts.input_wh, 1)
        for names, rows in places:
            return _distributions(rows, named, names, strides)
        for name, output in outputs.items():
            if output.ndim != 3 or len(output) != 1:
                continue
            for cells in output.shape[:0:-1]:
                strides = find_strides(cells, facts.input_wh)
                flat = as_rows(output, cells) if strides else None
                if flat is None:
                    continue
                # YOLOX's rows lie one after the other, and may look the same.
                certain = wanted or cells == output.shape[2] or named == flat.shape[1] - 4
                found = _decoded(flat, named, name, facts.input_wh, strides) if certain else None
                found = found or _distributions(flat, named, (name,), strides)
                if found is not None:
                    return found
        return None

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """See ``base.Head``."""
        channels, sizes = int(4 * spec.numbers["bins"]), level_sizes(input_wh, spec.strides)
        if len(outputs) == 1:
            parts = [as_rows(outputs[0], count_cells(input_wh, spec.strides))]
        else:
            parts = [level_rows(output, wh, channels + spec.num_classes) for output, wh in zip(outputs, sizes)]
        rows = [part for part in parts if part is not None and part.shape[1] >= (channels or 4) + spec.num_classes]
        if len(rows) != len(spec.outputs):
            raise misfit("YOLOv8", outputs, input_wh)
        if channels:
            pairs = [(part[:, channels:channels + spec.num_classes], part[:, :channels]) for part in rows]
            return read_distances(pairs, input_wh, spec.strides, 0.5, lowest, bool(spec.numbers["logits"]))
        index, scores, classes = select_best(rows[0][:, 4:4 + spec.num_classes], lowest)
        boxes = rows[0][index, :4]
        if not spec.numbers["corners"]:
            boxes = corners_of(boxes[:, :2], boxes[:, 2:])
        return Candidates(boxes.astype(np.float32, copy=False), scores, classes.astype(np.int32))


def _decoded(rows: np.ndarray, named: int, name: str, input_wh: tuple[int, int], strides: tuple[int, ...]
             ) -> HeadSpec | None:
    classes = named or rows.shape[1] - 4
    if not 1 <= classes <= rows.shape[1] - 4 or not are_scores(rows[:, 4:4 + classes]) or are_scores(rows[:, :4]):
        return None
    middles = (rows[:, :2] + rows[:, 2:4]) / 2
    corners = distance_from_cells(middles, input_wh, strides) < distance_from_cells(rows[:, :2], input_wh, strides)
    return HeadSpec("yolov8", classes, (name,), strides, {"bins": 0.0, "corners": float(corners), "logits": 0.0})


def _distributions(rows: np.ndarray, named: int, names: tuple[str, ...], strides: tuple[int, ...]) -> HeadSpec | None:
    channels = rows.shape[1] - named if named else 4 * USUAL_BINS
    if not 0 < channels < rows.shape[1] or not could_be_distributions(rows[:, :channels]):
        return None
    scores, logits = rows[:, channels:], not are_scores(rows[:, channels:])
    # Of almost all cells and classes the logit is far below zero, which no distribution is on average.
    if logits and scores.mean() >= rows[:, :channels].mean():
        return None
    return HeadSpec("yolov8", scores.shape[1], names, strides,
                    {"bins": channels / 4, "corners": 1.0, "logits": float(logits)})
