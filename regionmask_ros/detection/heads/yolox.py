"""YOLOX, and YOLOv6, whose boxes are in the input's pixels already.

One output [1, cells, 5 + classes] (or with the last two axes exchanged), strides 8 16 32 or 8 16 32 64: x, y, w, h,
objectness, and one score for each class. Objectness and scores went through a sigmoid inside the network.

Raw numbers of the cell in column gx and row gy of a level with stride s mean: center (x + gx) s, (y + gy) s, size
exp(w) s, exp(h) s; score = objectness times the best class's. Source: YOLOX, ``yolox/utils/demo_utils.py``,
``demo_postprocess``.

``HeadSpec.numbers``: ``raw`` 1 where x, y, w, h are relative to the cell, 0 where the graph has decoded them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...jit.cache import kernel
from ...network.dense import GraphFacts, HeadSpec
from ...network.labels import names_in_metadata
from .base import Candidates, misfit
from .grid import as_rows, corners_and_strides, count_cells, distance_from_cells, find_strides
from .pairs import find_pair
from .select import are_scores, select_objects


class YoloxHead:
    """Reads YOLOX's output; see ``base.Head``."""

    needs_suppression = True
    numbers: tuple[str, ...] = ("raw",)

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """See ``base.Head``."""
        if find_pair(outputs) is not None and not wanted:
            return None
        named = len(names_in_metadata(facts.metadata))
        for name, output in outputs.items():
            if output.ndim != 3 or len(output) != 1:
                continue
            for cells in output.shape[:0:-1]:
                strides = find_strides(cells, facts.input_wh)
                rows = as_rows(output, cells) if strides else None
                if rows is None or rows.shape[1] < 6 or not are_scores(rows[:, 4:]) or are_scores(rows[:, :4]):
                    continue
                # With one class less, the same numbers would be YOLOv8's.
                if wanted or named != rows.shape[1] - 4:
                    raw = _is_raw(rows, facts.input_wh, strides)
                    return HeadSpec("yolox", rows.shape[1] - 5, (name,), strides, {"raw": float(raw)})
        return None

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """See ``base.Head``."""
        rows = as_rows(outputs[0], count_cells(input_wh, spec.strides))
        if rows is None or rows.shape[1] != 5 + spec.num_classes:
            raise misfit("YOLOX", outputs, input_wh)
        index, scores, classes = select_objects(rows, lowest)
        boxes, is_raw = np.ascontiguousarray(rows[index, :4]), bool(spec.numbers["raw"])
        if is_raw:
            with np.errstate(over="ignore"):
                np.exp(boxes[:, 2:], out=boxes[:, 2:])
        _find_corners(boxes, is_raw, index, *corners_and_strides(input_wh, spec.strides))
        return Candidates(boxes, scores, classes)


@kernel
def _find_corners(boxes: np.ndarray, is_raw: bool, index: np.ndarray, corners: np.ndarray, strides: np.ndarray) -> None:
    """Turns centers and sizes, float32 [n, 4], into corners. Raw ones are in strides, and centers relative to cells."""
    for i in range(len(index)):
        cell = index[i]
        for axis in range(2):
            center, size = boxes[i, axis], boxes[i, axis + 2]
            if is_raw:
                center = center * strides[cell, 0] + corners[cell, axis]
                size = size * strides[cell, 0]
            half = np.float32(0.5) * size
            boxes[i, axis], boxes[i, axis + 2] = center - half, center + half


def _is_raw(rows: np.ndarray, input_wh: tuple[int, int], strides: tuple[int, ...]) -> bool:
    """Whether x, y lie near the middle of a cell (0.5, 0.5), and not near the cell's middle in the input."""
    return bool(np.median(np.abs(rows[:, :2] - 0.5)) <= distance_from_cells(rows[:, :2], input_wh, strides))
