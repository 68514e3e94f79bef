"""YOLOv5 and YOLOv7, decoded inside of the graph.

One output [1, 3 * cells, 5 + classes]: x, y, w, h of the box in input pixels, objectness, and one score for each class;
score = objectness times the best class's. Strides 8 16 32, 8 16 32 64 (the P6 models) or 16 32 (the tiny ones of
YOLOv3 and YOLOv4). Source: YOLOv5, ``models/yolo.py``, ``Detect.forward``, and ``utils/general.py``,
``non_max_suppression``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...network.dense import GraphFacts, HeadSpec
from .base import Candidates, misfit
from .grid import as_rows, count_cells, find_strides
from .select import are_scores, corners_of, select_objects

BOXES_PER_CELL = 3


class Yolov5Head:
    """Reads YOLOv5's output; see ``base.Head``."""

    needs_suppression = True
    numbers: tuple[str, ...] = ()

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """See ``base.Head``."""
        for name, output in outputs.items():
            if output.ndim != 3 or len(output) != 1:
                continue
            for count in output.shape[:0:-1]:
                strides = find_strides(count, facts.input_wh, BOXES_PER_CELL)
                rows = as_rows(output, count) if strides else None
                if rows is not None and rows.shape[1] >= 6 and are_scores(rows[:, 4:]) and not are_scores(rows[:, :4]):
                    return HeadSpec("yolov5", rows.shape[1] - 5, (name,), strides)
        return None

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """See ``base.Head``."""
        rows = as_rows(outputs[0], BOXES_PER_CELL * count_cells(input_wh, spec.strides))
        if rows is None or rows.shape[1] != 5 + spec.num_classes:
            raise misfit("YOLOv5", outputs, input_wh)
        index, scores, classes = select_objects(rows, lowest)
        return Candidates(corners_of(rows[index, :2], rows[index, 2:4]), scores, classes)
