"""DETR and its relatives: the decoder agrees with a plain one in every form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_decoders import box_around, same_candidates, softmax

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.network.dense import GraphFacts

INPUT_WH = (640, 352)


def generate(seed: int, classes: int, no_object: bool) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [300, 4] and logits [300, columns]."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 1, (300, 2)), rng.uniform(0.01, 0.5, (300, 2))], axis=1)
    logits = rng.normal(-4, 3, (300, classes + no_object))
    if no_object:
        logits[:, -1] = rng.normal(4, 4, 300)
    return boxes.astype(np.float32), logits.astype(np.float32)


@settings(max_examples=15)
@example(seed=0, classes=4, form="sigmoid", lowest=0.0)
@given(st.integers(0, 2**32 - 1), st.integers(2, 91), st.sampled_from(["joined", "sigmoid", "finished", "no object"]),
       st.sampled_from([0.0, 0.02, 0.4]))
def test_it_agrees_with_a_plain_decoder(seed, classes, form, lowest):
    boxes, logits = generate(seed, classes, form == "no object")
    values = logits.astype(float)
    scores = np.array([softmax(row)[:-1] for row in values.tolist()]) if form == "no object" else 1 / (
        1 + np.exp(-values))
    finished = scores.astype(np.float32)
    if form == "joined":
        outputs = {"output0": np.concatenate([boxes, finished], axis=1)[None]}
    else:
        outputs = {"logits": (finished if form == "finished" else logits)[None], "pred_boxes": boxes[None]}
    spec = find_head(outputs, GraphFacts({}, {}, INPUT_WH))
    assert (spec.family, spec.num_classes) == ("detr", classes)
    expected = [(float(row.max()), int(row.argmax()), *box_around(*(box * np.array(INPUT_WH * 2)).tolist()))
                for row, box in zip(scores, boxes.astype(float)) if row.max() >= lowest]
    same_candidates(HEADS["detr"].decode([outputs[name] for name in spec.outputs], spec, INPUT_WH, lowest), expected,
                    lowest)


@pytest.mark.parametrize(("names", "form"), [
    (("logits", "boxes"), "logits"), (("output0", "output1"), "logits"), (("output1", "output0"), "logits"),
    (("scores", "boxes"), "finished"),
])
def test_four_classes_are_told_from_the_boxes(names, form):
    boxes, logits = generate(3, 4, False)
    scores = logits if form == "logits" else (1 / (1 + np.exp(-logits))).astype(np.float32)
    spec = find_head({names[0]: scores[None], names[1]: boxes[None]}, GraphFacts({}, {}, INPUT_WH))
    assert spec.outputs == (names[1], names[0])


def test_another_shape_is_refused():
    boxes, logits = generate(1, 5, False)
    spec = find_head({"logits": logits[None], "boxes": boxes[None]}, GraphFacts({}, {}, INPUT_WH))
    for wrong in ([boxes[None, 1:], logits[None]], [boxes[None], logits[None, :, 1:]], [logits[None], boxes[None]]):
        with pytest.raises(ValueError, match="DETR: outputs of shape"):
            HEADS["detr"].decode(wrong, spec, INPUT_WH, 0.1)
