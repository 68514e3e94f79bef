"""SSD: boxes and scores in every form agree with a plain decoder."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_decoders import Found, box_around, plain_default_boxes, plain_offsets, same_candidates, softmax

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.errors import UserError
from regionmask_ros.network.dense import GraphFacts

INPUT_WH = (320, 224)
COUNT = 2100
"""More than a DETR has queries."""


def generate_logits(rng: np.random.Generator, count: int, classes: int, background: str) -> np.ndarray:
    """Most rows show nothing."""
    logits = rng.normal(-4, 2, (count, classes + (background != "none")))
    if background != "none":
        logits[:, 0 if background == "first" else -1] = rng.normal(4, 3, count)
    return logits.astype(np.float32)


def finish(logits: np.ndarray, background: str) -> np.ndarray:
    """Scores of all columns."""
    values = logits.astype(float)
    return np.array([softmax(row) for row in values.tolist()]) if background != "none" else 1 / (1 + np.exp(-values))


def expected_candidates(scores: np.ndarray, boxes: list[tuple[float, ...]], background: str, lowest: float) -> Found:
    classes = scores[:, {"first": slice(1, None), "last": slice(-1), "none": slice(None)}[background]]
    return [(float(row.max()), int(row.argmax()), *box) for row, box in zip(classes, boxes) if row.max() >= lowest]


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from(["none", "first", "last"]), st.booleans(),
       st.booleans(), st.sampled_from(["batch", "flat", "turned", "four axes"]), st.sampled_from([0.0, 0.02, 0.4]))
def test_decoded_boxes_agree_with_a_plain_decoder(seed, classes, background, normalized, corners, form, lowest):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.7, (COUNT, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.01, 0.3, (COUNT, 2))], axis=1)
    if not corners:
        boxes = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
    if not normalized:
        boxes *= INPUT_WH * 2
    scores = finish(generate_logits(rng, COUNT, classes, background), background)
    given_boxes, given_scores = boxes.astype(np.float32), scores.astype(np.float32)
    outputs = {
        "scores": {"turned": given_scores.T[None].copy(), "flat": given_scores}.get(form, given_scores[None]),
        "boxes": {"turned": given_boxes.T[None].copy(), "flat": given_boxes,
                  "four axes": given_boxes[None, :, None]}.get(form, given_boxes[None]),
    }
    spec = find_head(outputs, GraphFacts({}, {}, INPUT_WH))
    assert (spec.family, spec.num_classes, spec.outputs) == ("ssd", classes, ("boxes", "scores"))
    factor = INPUT_WH if normalized else (1, 1)
    pixels = (boxes * (factor * 2)).tolist()
    plain = expected_candidates(scores, [box if corners else box_around(*box) for box in pixels], background, lowest)
    same_candidates(HEADS["ssd"].decode([outputs[name] for name in spec.outputs], spec, INPUT_WH, lowest), plain,
                    lowest)


@settings(max_examples=3)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans(),
       st.sampled_from([("ssdlite", (320, 320)), ("ssdlite", (448, 256)), ("ssd300", (300, 300))]))
def test_offsets_from_known_default_boxes_agree_with_a_plain_decoder(seed, classes, finished, kind):
    name, input_wh = kind
    defaults = plain_default_boxes(input_wh, name)
    rng = np.random.default_rng(seed)
    offsets = rng.normal(0, 2, (len(defaults), 4)).astype(np.float32)
    offsets[0, 2] = 40.0
    logits = generate_logits(rng, len(defaults), classes, "first")
    scores = finish(logits, "first")
    given_scores = scores.astype(np.float32) if finished else logits
    outputs = {"cls_logits": given_scores[None], "bbox_regression": offsets[None]}
    spec = find_head(outputs, GraphFacts({}, {}, input_wh))
    assert (spec.family, spec.num_classes, spec.numbers["logits"]) == ("ssd", classes, not finished)
    boxes = [np.array(box_around(*plain_offsets(*pair))) * (input_wh * 2) for pair in zip(defaults, offsets)]
    plain = expected_candidates(scores, boxes, "first", 0.3)
    same_candidates(HEADS["ssd"].decode([outputs[name] for name in spec.outputs], spec, input_wh, 0.3), plain, 0.3)


def test_torchvisions_networks_have_their_known_numbers_of_default_boxes():
    assert len(plain_default_boxes((320, 320), "ssdlite")) == 3234
    assert len(plain_default_boxes((300, 300), "ssd300")) == 8732


def test_scores_beside_boxes_are_not_taken_for_yolov8s_distributions():
    rng = np.random.default_rng(1)
    cells = 40 * 28 + 20 * 14 + 10 * 7
    low = rng.uniform(0, 200, (1, cells, 2))
    outputs = {"boxes": np.concatenate([low, low + 20], axis=2).astype(np.float32),
               "scores": rng.normal(-6, 2, (1, 80, cells)).astype(np.float32)}
    outputs["scores"][0, 64:] -= 2
    spec = find_head(outputs, GraphFacts({}, {}, INPUT_WH))
    assert (spec.family, spec.num_classes, spec.numbers["logits"]) == ("ssd", 80, 1.0)


def test_offsets_from_unknown_default_boxes_are_refused():
    rng = np.random.default_rng(1)
    outputs = {"scores": rng.uniform(0, 1, (1, 777, 3)).astype(np.float32),
               "offsets": rng.normal(0, 2, (1, 777, 4)).astype(np.float32)}
    with pytest.raises(UserError, match="fit no known head"):
        find_head(outputs, GraphFacts({}, {}, INPUT_WH))


def test_another_shape_is_refused():
    rng = np.random.default_rng(1)
    defaults = plain_default_boxes(INPUT_WH, "ssdlite")
    outputs = [rng.normal(0, 2, (1, len(defaults), 4)).astype(np.float32),
               rng.normal(0, 2, (1, len(defaults), 3)).astype(np.float32)]
    spec = find_head({"offsets": outputs[0], "logits": outputs[1]}, GraphFacts({}, {}, INPUT_WH))
    for wrong, input_wh in (([outputs[0][:, 1:], outputs[1]], INPUT_WH), ([outputs[0], outputs[1][:, :, 1:]], INPUT_WH),
                            (outputs, (640, 224))):
        with pytest.raises(ValueError, match="SSD: outputs of shape"):
            HEADS["ssd"].decode(wrong, spec, input_wh, 0.0)
