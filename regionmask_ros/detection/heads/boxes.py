"""Outputs that are boxes already: the graph selects them, or suppresses overlaps, itself.

Three forms:

- rows: one output of 6 or 7 columns, one row a box, see ``ROWS``;
- boxes with scores [n, 5], and classes [n] (mmdeploy);
- boxes [n, 4], scores [n] and classes [n], each with leading axes of 1 or not, and perhaps the number of boxes.

``HeadSpec.outputs``: the rows; the boxes with scores, then the classes; or boxes, scores, classes.

``HeadSpec.numbers``: ``x0``, ``y0``, ``x1``, ``y1``, ``score``, ``class``: the columns (the last two where they are
columns); ``normalized`` 1 for boxes in shares of the input, 0 for input pixels; ``first_class``: number of the first
class, 1 where 0 is the background; ``open_classes`` 1 where nothing tells how many classes there are, and
``num_classes`` is COCO's: 80, or where 0 is the background, 90.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...network.dense import GraphFacts, HeadSpec
from ...network.labels import names_in_metadata
from .base import Candidates, misfit
from .pairs import are_corners, are_shares
from .select import are_scores

SIDES = ("x0", "y0", "x1", "y1")

ROWS: Mapping[int, tuple[tuple[str, int], ...]] = {
    6: (("x0 y0 x1 y1 score class", 0), ("x0 y0 x1 y1 class score", 0), ("class score x0 y0 x1 y1", 0)),
    7: (("image x0 y0 x1 y1 class score", 0), ("image class score x0 y0 x1 y1", 1),
        ("image y0 x0 y1 x1 score class", 1)),
}
"""By the number of columns: their meaning, and the number of the first class. The first one that fits the values is
taken.

Sources: Ultralytics, ``nn/modules/head.py``, ``Detect.postprocess`` (YOLOv10, YOLO26); none; PaddleDetection,
``ppdet/modeling/layers.py``, ``MultiClassNMS``; YOLOv7, ``models/experimental.py``, ``ONNX_ORT``; OpenVINO, operation
DetectionOutput-8; EfficientDet (google/automl), ``efficientdet/README.md``.
"""

MOST_CLASSES = 100_000


class BoxesHead:
    """Reads boxes; see ``base.Head``."""

    needs_suppression = False
    numbers: tuple[str, ...] = (*SIDES, "normalized", "first_class")

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """See ``base.Head``."""
        tables = {name: table for name, output in outputs.items() if (table := _as_table(output)) is not None}
        return _find_columns(outputs, tables, facts) or _find_rows(tables, facts)

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """See ``base.Head``."""
        table, numbers = _as_table(outputs[0]), spec.numbers
        columns = [int(numbers[side]) for side in SIDES]
        if table is None or len(outputs) != len(spec.outputs) or table.shape[1] <= max(
                *columns, numbers.get("score", 0), numbers.get("class", 0)):
            raise misfit("boxes", outputs, input_wh)
        scores = table[:, int(numbers["score"])] if "score" in numbers else outputs[1].reshape(-1)
        classes = table[:, int(numbers["class"])] if "class" in numbers else outputs[-1].reshape(-1)
        if not len(scores) == len(classes) == len(table):
            raise misfit("boxes", outputs, input_wh)
        kept = np.flatnonzero((scores >= lowest) & (np.abs(classes) < MOST_CLASSES))
        boxes = table[kept][:, columns].astype(np.float32)
        if numbers["normalized"]:
            boxes *= np.array(input_wh * 2, np.float32)
        class_ids = classes[kept].astype(np.int32) - np.int32(numbers["first_class"])
        return Candidates(boxes, scores[kept].astype(np.float32), class_ids)


def _as_table(output: np.ndarray) -> np.ndarray | None:
    """[n, columns] from the same with leading axes of 1; None if it has other axes or no fitting number of columns."""
    if output.ndim < 2 or output.shape[-1] not in (4, 5, *ROWS) or set(output.shape[:-2]) - {1}:
        return None
    return output.reshape(-1, output.shape[-1])


def _find_rows(tables: Mapping[str, np.ndarray], facts: GraphFacts) -> HeadSpec | None:
    for name, rows in tables.items():
        for text, first_class in ROWS.get(rows.shape[1], ()):
            columns = {word: place for place, word in enumerate(text.split()) if word != "image"}
            scores, classes = rows[:, columns["score"]], rows[:, columns["class"]]
            boxes = rows[scores > 0.0][:, [columns[side] for side in SIDES]]
            if not len(boxes) or (are_scores(scores[scores > 0.0]) and _are_classes(classes) and are_corners(boxes)):
                return _spec((name,), columns, boxes, classes, first_class, facts)
    return None


def _find_columns(outputs: Mapping[str, np.ndarray], tables: Mapping[str, np.ndarray], facts: GraphFacts
                  ) -> HeadSpec | None:
    for name, rows in tables.items():
        if rows.shape[1] not in (4, 5):
            continue
        # The number of boxes has another shape, even where it is the number of one box.
        lists = [other for other, output in outputs.items() if output.shape == outputs[name].shape[:-1]]
        lists = lists or [other for other, output in outputs.items() if len(rows) in output.shape == (output.size,)]
        of_classes = [other for other in lists if _holds_classes(other, outputs[other])]
        of_scores = [other for other in lists if other not in of_classes]
        if len(of_classes) != 1 or len(of_scores) != 5 - rows.shape[1]:
            continue
        classes = outputs[of_classes[0]]
        scores = outputs[of_scores[0]].reshape(-1) if of_scores else rows[:, 4]
        used = scores > 0.0
        boxes = rows[used][:, :4]
        if len(boxes) and not (are_scores(scores[used]) and _are_classes(classes) and are_corners(boxes)):
            continue
        # TensorFlow's object detection has rows first, and COCO's numbers, which begin at 1.
        is_tensorflow = "detection_boxes" in name
        columns = dict(zip(SIDES, (1, 0, 3, 2) if is_tensorflow else (0, 1, 2, 3)))
        if rows.shape[1] == 5:
            columns["score"] = 4
        first_class = int(is_tensorflow or (len(of_scores) == 1 and _is_torchvision(classes, facts)))
        return _spec((name, *of_scores, *of_classes), columns, boxes, classes.reshape(-1), first_class, facts)
    return None


def _spec(names: tuple[str, ...], columns: Mapping[str, int], boxes: np.ndarray, classes: np.ndarray, first_class: int,
          facts: GraphFacts) -> HeadSpec:
    named = len(names_in_metadata(facts.metadata))
    highest = int(classes.max()) - first_class + 1 if len(classes) and np.isfinite(classes).all() else 1
    # Of a run without boxes, only OpenVINO's form is known to be in shares.
    normalized = are_shares(boxes) if len(boxes) else columns.get("class") == 1
    numbers = {**columns, "normalized": float(normalized), "first_class": float(first_class),
               "open_classes": float(not named)}
    return HeadSpec("boxes", named or max(90 if first_class else 80, highest), names, (), numbers)


def _are_classes(values: np.ndarray) -> bool:
    """Whether all values are whole numbers; unused rows may have -1."""
    return bool(np.isfinite(values).all() and (values == np.rint(values)).all() and values.min() >= -1
                and values.max() < MOST_CLASSES)


def _holds_classes(name: str, output: np.ndarray) -> bool:
    if np.issubdtype(output.dtype, np.integer) or any(word in name.lower() for word in ("class", "label")):
        return True
    return "score" not in name.lower() and bool(output.size) and _are_classes(output)


def _is_torchvision(classes: np.ndarray, facts: GraphFacts) -> bool:
    """Whether this looks like torchvision's ``postprocess_detections``, in whose classes 0 is the background."""
    return classes.dtype == np.int64 and any("NonMaxSuppression" in used for used in facts.producers.values())
