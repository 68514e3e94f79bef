"""Boxes that the graph has selected: columns in every known order, and outputs of their own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_decoders import same_candidates

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.network.dense import GraphFacts, HeadSpec

INPUT_WH = (320, 224)
FACTS = GraphFacts({}, {}, INPUT_WH)
LAYOUTS = {
    "end to end": ("x0 y0 x1 y1 score class", 0), "class before score": ("x0 y0 x1 y1 class score", 0),
    "paddle": ("class score x0 y0 x1 y1", 0), "yolov7": ("image x0 y0 x1 y1 class score", 0),
    "openvino": ("image class score x0 y0 x1 y1", 1), "efficientdet": ("image y0 x0 y1 x1 score class", 1),
}


def generate(seed: int, count: int, first_class: int = 0) -> dict[str, np.ndarray]:
    """Columns by name: boxes of at least 2 pixels in the input, a few unused rows of zeros behind them."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.7, (2, count)) * np.array(INPUT_WH)[:, None]
    high = low + rng.uniform(2, 60, (2, count))
    columns = {"x0": low[0], "y0": low[1], "x1": high[0], "y1": high[1], "score": rng.uniform(0.01, 0.99, count),
               "class": rng.integers(0, 79, count) + first_class, "image": np.zeros(count)}
    return {name: np.concatenate([column, np.zeros(3)]).astype(np.float32) for name, column in columns.items()}


def candidates(columns: dict[str, np.ndarray], first_class: int, lowest: float):
    names = ("score", "class", "x0", "y0", "x1", "y1")
    rows = zip(*(columns[name].astype(float).tolist() for name in names))
    return [(row[0], int(row[1]) - first_class, *row[2:]) for row in rows if row[0] >= lowest]


def decode(outputs: dict[str, np.ndarray], spec: HeadSpec, lowest: float = 0.3):
    # Backends give floats.
    return HEADS["boxes"].decode([outputs[name].astype(np.float32) for name in spec.outputs], spec, INPUT_WH, lowest)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(5, 40), st.sampled_from(sorted(LAYOUTS)), st.booleans(),
       st.sampled_from([(), (1,), (1, 1)]), st.sampled_from([0.02, 0.4]))
def test_the_order_of_columns_is_recognized(seed, count, layout, normalized, lead, lowest):
    text, first_class = LAYOUTS[layout]
    columns = generate(seed, count, first_class)
    given_columns = dict(columns)
    if normalized:
        given_columns |= {name: columns[name] / INPUT_WH[name[0] == "y"] for name in ("x0", "y0", "x1", "y1")}
    output = np.stack([given_columns[word] for word in text.split()], axis=1)
    output = output.reshape(*lead, *output.shape)
    spec = find_head({"out": output, "count": np.array([count], np.int32)}, FACTS)
    assert (spec.family, spec.outputs, spec.numbers["normalized"]) == ("boxes", ("out",), normalized)
    same_candidates(decode({"out": output}, spec, lowest), candidates(columns, first_class, lowest), lowest)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([np.int64, np.int32, np.float32]), st.booleans(),
       st.permutations(["boxes", "scores", "labels", "num"]))
def test_boxes_scores_and_labels_are_recognized_in_any_order(seed, count, kind, batch, order):
    columns = generate(seed, count)
    arrays = {"boxes": np.stack([columns[side] for side in ("x0", "y0", "x1", "y1")], axis=1),
              "scores": columns["score"], "labels": columns["class"].astype(kind)}
    if batch:
        arrays = {name: array[None] for name, array in arrays.items()}
    arrays["num"] = np.array([[count]], np.int32)
    outputs = {name: arrays[name] for name in order}
    spec = find_head(outputs, FACTS)
    assert (spec.family, spec.outputs, spec.numbers["first_class"]) == ("boxes", ("boxes", "scores", "labels"), 0.0)
    same_candidates(decode(outputs, spec), candidates(columns, 0, 0.3), 0.3)


def test_torchvisions_labels_count_the_background():
    columns = generate(1, 20, first_class=1)
    outputs = {"b": np.stack([columns[side] for side in ("x0", "y0", "x1", "y1")], axis=1), "s": columns["score"],
               "l": columns["class"].astype(np.int64)}
    used = dict.fromkeys(outputs, ("Gather", "NonMaxSuppression", "Softmax"))
    spec = find_head(outputs, GraphFacts({}, used, INPUT_WH))
    assert (spec.num_classes, spec.numbers["first_class"], spec.numbers["open_classes"]) == (90, 1.0, 1.0)
    same_candidates(decode(outputs, spec), candidates(columns, 1, 0.3), 0.3)


def test_tensorflows_boxes_have_rows_first_in_shares_of_the_input():
    columns = generate(2, 20, first_class=1)
    sides = [columns[side] / INPUT_WH[side[0] == "y"] for side in ("y0", "x0", "y1", "x1")]
    outputs = {"detection_boxes": np.stack(sides, axis=1)[None], "detection_classes": columns["class"][None],
               "detection_scores": columns["score"][None], "num_detections": np.array([20.0], np.float32)}
    spec = find_head(outputs, FACTS)
    assert (spec.family, spec.num_classes) == ("boxes", 90)
    same_candidates(decode(outputs, spec), candidates(columns, 1, 0.3), 0.3)


def test_boxes_with_scores_and_labels_of_mmdeploy_are_recognized():
    columns = generate(3, 20)
    outputs = {"dets": np.stack([columns[name] for name in ("x0", "y0", "x1", "y1", "score")], axis=1)[None],
               "labels": columns["class"].astype(np.int64)[None]}
    spec = find_head(outputs, FACTS)
    assert spec.outputs == ("dets", "labels")
    same_candidates(decode(outputs, spec), candidates(columns, 0, 0.3), 0.3)


@pytest.mark.parametrize("outputs, num", [
    ({"out": np.zeros((0, 6), np.float32)}, 1), ({"out": np.zeros((0, 7), np.float32)}, 1),
    ({"boxes": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64), "scores": np.zeros(0, np.float32)}, 3)])
def test_a_run_without_any_box_gives_the_usual_order(outputs, num):
    spec = find_head(outputs, FACTS)
    assert spec.family == "boxes" and len(spec.outputs) == num
    assert len(decode(outputs, spec).scores) == 0


def test_names_in_the_file_count_the_classes_and_else_the_highest_one_does():
    columns = generate(4, 30)
    columns["class"][0] = 364
    output = np.stack([columns[word] for word in LAYOUTS["end to end"][0].split()], axis=1)[None]
    named = GraphFacts({"names": str(["x"] * 400)}, {}, INPUT_WH)
    known, unknown = (find_head({"out": output}, facts) for facts in (named, FACTS))
    assert (known.num_classes, known.numbers["open_classes"]) == (400, 0.0)
    assert (unknown.num_classes, unknown.numbers["open_classes"]) == (365, 1.0)


def test_classes_and_scores_that_are_no_numbers_are_left_out_without_a_warning():
    columns = generate(5, 30)
    output = np.stack([columns[word] for word in LAYOUTS["end to end"][0].split()], axis=1)[None]
    spec = find_head({"out": output}, FACTS)
    output[0, :4, 4], output[0, :3, 5] = (0.9, 0.9, 0.9, np.nan), (np.nan, np.inf, 1e30)
    assert len(decode({"out": output}, spec).scores) == (columns["score"][4:] >= 0.3).sum()


def test_another_shape_is_refused():
    columns = generate(6, 30)
    outputs = [np.stack([columns[side] for side in ("x0", "y0", "x1", "y1")], axis=1), columns["score"],
               columns["class"]]
    spec = find_head(dict(zip(("boxes", "scores", "classes"), outputs)), FACTS)
    for wrong in (outputs[:2], [outputs[0][1:], *outputs[1:]], [outputs[0][:, :3], *outputs[1:]]):
        with pytest.raises(ValueError, match="boxes: outputs of shape"):
            HEADS["boxes"].decode(wrong, spec, INPUT_WH, 0.1)
