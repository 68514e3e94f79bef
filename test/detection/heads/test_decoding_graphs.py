"""Graphs that decode inside, as exporters write them, are recognized and give what their raw outputs mean."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="no onnx: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="no onnxruntime: `make runtimes` brings it")

from detector_graphs import GraphMaker
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto
from plain_decoders import (
    box_around,
    plain_default_boxes,
    plain_distances,
    plain_offsets,
    same_candidates,
    softmax,
)

from regionmask_ros.backends.runtimes import run_once
from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.network.dense import GraphFacts
from regionmask_ros.network.onnx.facts import find_producers

sizes = st.tuples(st.integers(3, 6), st.integers(2, 5)).map(lambda cells: (32 * cells[0], 32 * cells[1]))


def run(make: GraphMaker, *outputs: str, of_integers: str = ""):
    """Runs the graph on noise: arrays of the outputs by name, and what the file says."""
    model = make.model(outputs)
    for output in model.graph.output:
        if output.name == of_integers:
            output.type.tensor_type.elem_type = TensorProto.INT64
    image = np.random.default_rng(3).uniform(0, 50, (1, 3, make.wh[1], make.wh[0])).astype(np.float32)
    found = run_once(model.SerializeToString(), "images", image)
    return found, GraphFacts({}, find_producers(model), make.wh)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.astype(float)))


def add_distributions(make: GraphMaker, classes: int) -> tuple[list[str], list[str]]:
    """For each level of strides 8, 16, 32: logits and distributions, [1, channels, cells]."""
    logits, distributions = [], []
    for stride in (8, 16, 32):
        data = make.node("Relu", make.conv("images", 3, 8, stride, stride))
        for found, channels in ((logits, classes), (distributions, 64)):
            part = make.node("Reshape", make.conv(data, 8, channels, 1, 1), make.integers(1, channels, -1))
            if found is logits:
                # Most cells show nothing.
                part = make.node("Sub", make.node("Mul", part, make.weight(np.float32(3.0))),
                                 make.weight(np.float32(4.0)))
            found.append(part)
    return logits, distributions


def add_decoded_boxes(make: GraphMaker, distributions: list[str]) -> str:
    """[1, 4, cells]: x0 y0 x1 y1 in pixels."""
    corners, strides = [], []
    for stride in (8, 16, 32):
        y, x = np.mgrid[:make.wh[1] // stride, :make.wh[0] // stride] + 0.5
        corners.append(np.stack([x.ravel(), y.ravel()]))
        strides.append(np.full((1, x.size), stride))
    points, widths = (make.weight(np.concatenate(parts, axis=1)[None].astype(np.float32))
                      for parts in (corners, strides))
    numbers = make.node("Reshape", make.node("Concat", *distributions, axis=2), make.integers(1, 4, 16, -1))
    shares = make.node("Softmax", make.node("Transpose", numbers, perm=[0, 2, 1, 3]), axis=1)
    mean = make.node("Conv", shares, make.weight(np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1)))
    near, far = make.node("Split", make.node("Squeeze", mean, make.integers(1)), make.integers(2, 2), axis=1, outputs=2)
    boxes = make.node("Concat", make.node("Sub", points, near), make.node("Add", points, far), axis=1)
    return make.node("Mul", boxes, widths)


def add_centers(make: GraphMaker, boxes: str) -> str:
    low, high = make.node("Split", boxes, make.integers(2, 2), axis=1, outputs=2)
    center = make.node("Div", make.node("Add", low, high), make.weight(np.float32(2.0)))
    return make.node("Concat", center, make.node("Sub", high, low), axis=1)


def plain_of_raw(raw: list[np.ndarray], input_wh: tuple[int, int], lowest: float):
    """From the logits of three levels and their distributions."""
    return plain_distances([sigmoid(part[0].T) for part in raw[:3]], [part[0].T for part in raw[3:]], input_wh,
                           (8, 16, 32), 0.5, lowest)


@settings(max_examples=5)
@given(st.integers(0, 1000), sizes, st.integers(1, 20))
def test_yolov8(seed, input_wh, classes):
    make = GraphMaker(input_wh, seed)
    logits, distributions = add_distributions(make, classes)
    boxes = add_centers(make, add_decoded_boxes(make, distributions))
    scores = make.node("Sigmoid", make.node("Concat", *logits, axis=2))
    output = make.node("Concat", boxes, scores, axis=1)
    found, facts = run(make, output)
    raw, _ = run(make, *logits, *distributions)
    spec = find_head(found, facts)
    assert (spec.family, spec.num_classes, spec.numbers["corners"]) == ("yolov8", classes, 0.0)
    same_candidates(HEADS["yolov8"].decode([found[output]], spec, input_wh, 0.1),
                    plain_of_raw(list(raw.values()), input_wh, 0.1), 0.1)


@settings(max_examples=5)
@given(st.integers(0, 1000), sizes)
def test_end_to_end_with_the_best_boxes_in_rows(seed, input_wh):
    make = GraphMaker(input_wh, seed)
    logits, distributions = add_distributions(make, 1)
    boxes = add_decoded_boxes(make, distributions)
    scores = make.node("Sigmoid", make.node("Concat", *logits, axis=2))
    best, index = make.node("TopK", scores, make.integers(30), axis=2, outputs=2)
    chosen = make.node("Gather", boxes, make.node("Squeeze", index, make.integers(0, 1)), axis=2)
    classes = make.node("Sub", best, best)
    output = make.node("Transpose", make.node("Concat", chosen, best, classes, axis=1), perm=[0, 2, 1])
    found, facts = run(make, output)
    raw, _ = run(make, *logits, *distributions)
    spec = find_head(found, facts)
    assert (spec.family, spec.numbers["score"], spec.numbers["normalized"]) == ("boxes", 4.0, 0.0)
    best = HEADS["boxes"].decode([found[output]], spec, input_wh, 0.0)
    plain = np.array(plain_of_raw(list(raw.values()), input_wh, 0.0))
    np.testing.assert_allclose(np.sort(best.scores), np.sort(plain[:, 0])[-30:], rtol=1e-4)
    # Of boxes with equal scores, any may come first.
    for box, score in zip(best.boxes, best.scores):
        assert np.abs(plain[:, [0, 2, 3, 4, 5]] - [score, *box]).max(axis=1).min() < 2e-3


def add_ssd(make: GraphMaker, columns: int) -> tuple[str, str, np.ndarray]:
    """One level of an SSD, six boxes a cell: logits [1, n, columns], offsets [1, n, 4] and default boxes [n, 4]."""
    data = make.node("Relu", make.conv("images", 3, 8, 16, 16))
    outputs = []
    for count in (columns, 4):
        level = make.node("Transpose", make.conv(data, 8, 6 * count, 1, 1), perm=[0, 2, 3, 1])
        outputs.append(make.node("Reshape", level, make.integers(1, -1, count)))
    cells = make.wh[0] // 16 * (make.wh[1] // 16)
    return outputs[0], outputs[1], np.array(plain_default_boxes(make.wh, "ssdlite")[:6 * cells])


def add_ssd_boxes(make: GraphMaker, offsets: str, defaults: np.ndarray, wh: tuple[int, int]) -> str:
    """[1, n, 4]: x0 y0 x1 y1."""
    centers, sizes = (make.weight(part[None].astype(np.float32)) for part in (defaults[:, :2], defaults[:, 2:]))
    move, grow = make.node("Split", offsets, make.integers(2, 2), axis=2, outputs=2)
    move = make.node("Mul", make.node("Div", move, make.weight(np.float32(10.0))), sizes)
    half = make.node("Mul", make.node("Exp", make.node("Div", grow, make.weight(np.float32(5.0)))), sizes)
    half = make.node("Div", half, make.weight(np.float32(2.0)))
    middle = make.node("Add", centers, move)
    boxes = make.node("Concat", make.node("Sub", middle, half), make.node("Add", middle, half), axis=2)
    return make.node("Mul", boxes, make.weight(np.array(wh * 2, np.float32)))


def plain_ssd(logits: np.ndarray, offsets: np.ndarray, defaults: np.ndarray, input_wh: tuple[int, int]):
    """For each box its shares of all columns, and its corners in pixels."""
    shares = [softmax(row) for row in logits[0].astype(float).tolist()]
    boxes = [np.array(box_around(*plain_offsets(tuple(default), offset))) * np.array(input_wh * 2)
             for default, offset in zip(defaults.tolist(), offsets[0])]
    return shares, boxes


@settings(max_examples=5)
@given(st.integers(0, 1000), sizes, st.integers(1, 20))
def test_ssd_that_decodes(seed, input_wh, classes):
    make = GraphMaker(input_wh, seed)
    logits, offsets, defaults = add_ssd(make, 1 + classes)
    nothing = np.zeros(1 + classes, np.float32)
    nothing[0] = 3.0
    logits = make.node("Add", logits, make.weight(nothing))
    outputs = [make.node("Softmax", logits, axis=2), add_ssd_boxes(make, offsets, defaults, (1, 1))]
    found, facts = run(make, *outputs)
    raw, _ = run(make, logits, offsets)
    spec = find_head(found, facts)
    assert (spec.family, spec.num_classes, spec.outputs) == ("ssd", classes, tuple(outputs[::-1]))
    shares, boxes = plain_ssd(raw[logits], raw[offsets], defaults, input_wh)
    expected = [(max(row[1:]), row.index(max(row[1:]), 1) - 1, *box) for row, box in zip(shares, boxes)
                if max(row[1:]) >= 0.05]
    same_candidates(HEADS["ssd"].decode([found[name] for name in spec.outputs], spec, input_wh, 0.05), expected, 0.05)


@settings(max_examples=5)
@given(st.integers(0, 1000), sizes, st.integers(2, 6))
def test_suppression_inside_as_in_torchvision(seed, input_wh, classes):
    make = GraphMaker(input_wh, seed)
    logits, offsets, defaults = add_ssd(make, 1 + classes)
    boxes = add_ssd_boxes(make, offsets, defaults, input_wh)
    shares = make.node("Transpose", make.node("Softmax", logits, axis=2), perm=[0, 2, 1])
    _, of_classes = make.node("Split", shares, make.integers(1, classes), axis=1, outputs=2)
    chosen = make.node("NonMaxSuppression", boxes, of_classes, make.integers(1000), make.weight(np.float32([0.5])),
                       make.weight(np.float32([0.2])))
    _, number, place = (make.node("Reshape", part, make.integers(-1)) for part in make.node(
        "Split", chosen, make.integers(1, 1, 1), axis=1, outputs=3))
    outputs = [
        make.node("Gather", make.node("Squeeze", boxes, make.integers(0)), place, axis=0),
        make.node("GatherND", make.node("Squeeze", of_classes, make.integers(0)), make.node(
            "Concat", *(make.node("Unsqueeze", part, make.integers(1)) for part in (number, place)), axis=1)),
        make.node("Add", number, make.weight(np.int64(1)))]
    found, facts = run(make, *outputs, of_integers=outputs[2])
    raw, _ = run(make, logits, offsets)
    (rows,) = run(make, chosen, of_integers=chosen)[0].values()
    spec = find_head(found, facts)
    assert (spec.family, spec.outputs, spec.numbers["first_class"]) == ("boxes", tuple(outputs), 1.0)
    shares, corners = plain_ssd(raw[logits], raw[offsets], defaults, input_wh)
    expected = [(shares[box][1 + kind], int(kind), *corners[box]) for _, kind, box in rows]
    assert expected
    arrays = [found[name].astype(np.float32) for name in spec.outputs]
    same_candidates(HEADS["boxes"].decode(arrays, spec, input_wh, 0.2), expected, 0.2)
