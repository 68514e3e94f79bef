"""FastestDet: one map of cells.

One output [1, 5 + classes, rows, cols], stride 16: objectness, x, y, w, h, and one score for each class. Objectness
went through a sigmoid inside the network, the scores through a softmax. Of the cell in column gx and row gy, the center
in shares of the input is (tanh(x) + gx) / cols, (tanh(y) + gy) / rows; the size is sigmoid(w), sigmoid(h) in shares of
the input that the network was trained with. Score = objectness ** 0.6 * best class ** 0.4. Source: FastestDet,
``utils/tool.py``, ``handle_preds``, and ``example/onnx-runtime/runtime.py``, which know one input only. At another one,
the network shows an object of the same pixels by the same numbers.

``HeadSpec.numbers``: ``trained_w``, ``trained_h``: the input of the run that the head was found in, which is the file's
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...network.dense import GraphFacts, HeadSpec
from .base import Candidates, misfit
from .select import are_scores, corners_of, sigmoid

OBJECT_POWER, CLASS_POWER = 0.6, 0.4


class FastestDetHead:
    """Reads FastestDet's output; see ``base.Head``."""

    needs_suppression = True
    numbers: tuple[str, ...] = ("trained_w", "trained_h")

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """See ``base.Head``."""
        for name, output in outputs.items():
            if output.ndim != 4 or len(output) != 1 or output.shape[1] < 6 or 0 in output.shape:
                continue
            objectness, scores = output[0, 0], output[0, 5:]
            strides = {round(side / cells) for side, cells in zip(facts.input_wh, output.shape[:1:-1])}
            if len(strides) == 1 and are_scores(objectness) and are_scores(scores) and np.allclose(
                    scores.sum(axis=0), 1.0, atol=0.02):
                return HeadSpec("fastestdet", output.shape[1] - 5, (name,), tuple(strides),
                                {"trained_w": float(facts.input_wh[0]), "trained_h": float(facts.input_wh[1])})
        return None

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """See ``base.Head``."""
        if outputs[0].ndim != 4 or outputs[0].shape[:2] != (1, 5 + spec.num_classes):
            raise misfit("FastestDet", outputs, input_wh)
        rows, cols = outputs[0].shape[2:]
        cells = outputs[0][0].reshape(5 + spec.num_classes, rows * cols)
        # With a class score of 1, objectness alone must reach the limit.
        index = np.flatnonzero(cells[0] >= max(lowest, 0.0) ** (1.0 / OBJECT_POWER))
        some = cells[:, index]
        classes = some[5:].argmax(axis=0)
        scores = some[0] ** OBJECT_POWER * some[5:].max(axis=0) ** CLASS_POWER
        kept = scores >= lowest
        index, some = index[kept], some[1:5, kept].T
        corners = np.stack([index % cols, index // cols], axis=1).astype(np.float32)
        centers = (np.tanh(some[:, :2]) + corners) * np.array([input_wh[0] / cols, input_wh[1] / rows], np.float32)
        trained = np.array([spec.numbers["trained_w"], spec.numbers["trained_h"]], np.float32)
        boxes = corners_of(centers, sigmoid(some[:, 2:]) * trained)
        return Candidates(boxes, scores[kept].astype(np.float32), classes[kept].astype(np.int32))
