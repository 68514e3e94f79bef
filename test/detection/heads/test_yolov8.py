"""YOLOv8: the decoder agrees with a plain one in every form, and is not taken for another family."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_decoders import Found, is_square, plain_distances, same_candidates

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.errors import UserError
from regionmask_ros.network.dense import GraphFacts

STRIDES = (8, 16, 32)
BINS = 16


def generate(seed: int, input_wh: tuple[int, int], classes: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Logits of scores and distributions of each level, [cells, channels]: most cells without an object."""
    rng = np.random.default_rng(seed)
    counts = [(input_wh[0] // s) * (input_wh[1] // s) for s in STRIDES]
    return ([rng.normal(-5, 3, (n, classes)).astype(np.float32) for n in counts],
            [rng.normal(0, 2, (n, 4 * BINS)).astype(np.float32) for n in counts])


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.astype(float)))


def as_decoded(expected: Found, corners: bool) -> np.ndarray:
    """The output [1, 4 + classes, cells] of a graph that decodes, without its scores."""
    boxes = np.array([one[2:] for one in expected]).T
    if not corners:
        boxes = np.concatenate([(boxes[:2] + boxes[2:]) / 2, boxes[2:] - boxes[:2]])
    return boxes


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 5), st.integers(1, 90), st.booleans(),
       st.booleans(), st.sampled_from([0.0, 0.02, 0.4]))
def test_decoded_boxes_agree_with_the_plain_decoder(seed, across, down, classes, corners, turned, lowest):
    input_wh = (across * 32, down * 32)
    scores, distances = generate(seed, input_wh, classes)
    scores = [sigmoid(part) for part in scores]
    every = plain_distances(scores, distances, input_wh, STRIDES, 0.5, 0.0)
    output = np.concatenate([as_decoded(every, corners), np.concatenate(scores).T])[None].astype(np.float32)
    assume(not turned or not is_square(output))
    output = output.transpose(0, 2, 1).copy() if turned else output
    spec = find_head({"out": output}, GraphFacts({}, {}, input_wh), "yolov8" if turned else "auto")
    assert (spec.family, spec.num_classes, spec.numbers["corners"]) == ("yolov8", classes, corners)
    same_candidates(HEADS["yolov8"].decode([output], spec, input_wh, lowest),
                    plain_distances(scores, distances, input_wh, STRIDES, 0.5, lowest), lowest)


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 5), st.integers(1, 90),
       st.sampled_from(["joined", "turned", "maps"]), st.booleans(), st.sampled_from([0.002, 0.02, 0.4]))
def test_distributions_agree_with_the_plain_decoder(seed, across, down, classes, form, finished, lowest):
    input_wh = (across * 32, down * 32)
    logits, distances = generate(seed, input_wh, classes)
    scores = [sigmoid(part) for part in logits]
    given_scores = scores if finished else logits
    levels = [np.concatenate([d, s], axis=1).astype(np.float32).T for d, s in zip(distances, given_scores)]
    if form == "maps":
        outputs = {f"map{s}": level.reshape(1, -1, input_wh[1] // s, input_wh[0] // s).copy()
                   for s, level in zip(STRIDES, levels)}
    else:
        joined = np.concatenate(levels, axis=1)
        assume(form == "joined" or not is_square(joined[None]))
        outputs = {"out": (joined if form == "joined" else joined.T.copy())[None]}
    facts = GraphFacts({"names": str([f"class {i}" for i in range(classes)])}, {}, input_wh)
    for known in (facts, GraphFacts({}, {}, input_wh)):
        spec = find_head(outputs, known, "yolov8")
        assert (spec.num_classes, spec.numbers["bins"], spec.numbers["logits"]) == (classes, BINS, not finished)
    expected = plain_distances(scores, distances, input_wh, STRIDES, 0.5, lowest)
    found = HEADS["yolov8"].decode([outputs[name] for name in spec.outputs], spec, input_wh, lowest)
    if len(expected) <= 1000:
        same_candidates(found, expected, lowest)
    else:
        assert len(found.scores) == 1000 and found.scores.min() >= sorted(expected)[-1000][0] - 1e-5


def decoded_output(classes: int, extra: int = 0) -> np.ndarray:
    scores, distances = generate(7, (96, 64), classes)
    every = plain_distances(scores, distances, (96, 64), STRIDES, 0.5, -99.0)
    rest = np.random.default_rng(3).normal(0, 1, (extra, len(every)))
    return np.concatenate([as_decoded(every, False), sigmoid(np.concatenate(scores)).T, rest])[None].astype(np.float32)


def test_masks_and_key_points_behind_the_classes_are_ignored():
    output, names = decoded_output(3, extra=32), {"names": "{0: 'a', 1: 'b', 2: 'c'}", "task": "segment"}
    protos = np.zeros((1, 32, 16, 24), np.float32)
    spec = find_head({"output0": output, "output1": protos}, GraphFacts(names, {}, (96, 64)))
    assert (spec.family, spec.num_classes, spec.outputs) == ("yolov8", 3, ("output0",))
    same = HEADS["yolov8"].decode([output], spec, (96, 64), 0.1)
    plain = HEADS["yolov8"].decode([output[:, :7]], spec, (96, 64), 0.1)
    np.testing.assert_array_equal(same.boxes, plain.boxes)


def test_rotated_boxes_are_refused():
    facts = GraphFacts({"task": "obb", "names": "['a']"}, {}, (96, 64))
    with pytest.raises(UserError, match="fit no known head"):
        find_head({"output0": decoded_output(1, extra=1)}, facts)


def test_the_number_of_names_tells_it_from_yolox():
    output = decoded_output(4).transpose(0, 2, 1).copy()
    families = {classes: find_head({"out": output}, GraphFacts({"names": str(["x"] * classes)}, {}, (96, 64))).family
                for classes in (3, 4)}
    assert families == {3: "yolox", 4: "yolov8"}
    # Without names, the order of the axes tells: YOLOX's rows lie one after the other.
    assert find_head({"out": output}, GraphFacts({}, {}, (96, 64))).family == "yolox"


@pytest.mark.parametrize("names", ["", "not python", "['a'", "f()", "7", "[" * 5000, "'a'" * 50_000])
def test_names_that_cannot_be_read_change_nothing(names):
    spec = find_head({"out": decoded_output(4)}, GraphFacts({"names": names}, {}, (96, 64)))
    assert (spec.family, spec.num_classes) == ("yolov8", 4)


def test_another_shape_is_refused():
    output = decoded_output(4)
    spec = find_head({"out": output}, GraphFacts({}, {}, (96, 64)))
    for wrong in (output[:, :7], output[:, :, 1:], output[0, 0]):
        with pytest.raises(ValueError, match="YOLOv8: outputs of shape"):
            HEADS["yolov8"].decode([wrong], spec, (96, 64), 0.1)
