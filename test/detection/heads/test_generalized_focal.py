"""NanoDet and PicoDet: the decoder agrees with a plain one in every form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_decoders import is_square, mean_of_distribution, plain_distances, same_candidates

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.network.dense import GraphFacts

HEAD = HEADS["generalized_focal"]


def generate(seed: int, input_wh: tuple[int, int], classes: int, bins: int, strides: tuple[int, ...]
             ) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Logits of scores and distributions of each level, [cells, channels]."""
    rng = np.random.default_rng(seed)
    counts = [math.ceil(input_wh[0] / s) * math.ceil(input_wh[1] / s) for s in strides]
    return ([rng.normal(-5, 3, (n, classes)).astype(np.float32) for n in counts],
            [rng.normal(0, 2, (n, 4 * bins)).astype(np.float32) for n in counts])


def sigmoid(values: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-values.astype(float)))).astype(np.float32)


def shaped(rows: np.ndarray, form: str, input_wh: tuple[int, int], stride: int) -> np.ndarray:
    """Rows [cells, channels] as an output."""
    cols, lines = (math.ceil(side / stride) for side in input_wh)
    return {"rows": rows[None], "turned": rows.T[None].copy(), "maps": rows.T.reshape(1, -1, lines, cols).copy()
            }[form]


sizes = st.tuples(st.integers(2, 6), st.integers(2, 5)).map(lambda cells: (32 * cells[0], 32 * cells[1]))


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), sizes, st.integers(1, 90), st.sampled_from([0, 8, 11]),
       st.sampled_from([(8, 16, 32), (8, 16, 32, 64)]), st.sampled_from(["rows", "turned", "maps"]),
       st.sampled_from(["scores first", "level by level"]), st.booleans(), st.sampled_from([0.002, 0.02, 0.4]))
def test_separate_outputs_agree_with_the_plain_decoder(seed, input_wh, classes, bins, strides, form, order, finished,
                                                       lowest):
    logits, distances = generate(seed, input_wh, classes, bins or 8, strides)
    # Of a square of numbers, nobody knows which way they go; no real input is so small.
    assume(form != "turned" or not {len(level) for level in logits} & {classes, 4 * bins or 4})
    if not bins:
        distances = [np.array([[mean_of_distribution(side) for side in cell.reshape(4, -1)] for cell in level],
                              np.float32) for level in distances]
    scores = [sigmoid(part) for part in logits]
    given_scores = scores if finished else logits
    pairs = [(f"{what}{s}", shaped(level, form, input_wh, s)) for s, *both in zip(strides, given_scores, distances)
             for what, level in zip(("scores", "distances"), both)]
    outputs = dict(pairs[::2] + pairs[1::2] if order == "scores first" else pairs)
    spec = find_head(outputs, GraphFacts({}, {}, input_wh), "generalized_focal")
    assert spec.outputs == tuple(name for name, _ in pairs[::2] + pairs[1::2])
    assert (spec.num_classes, spec.numbers["bins"], spec.numbers["logits"]) == (classes, bins, not finished)
    found = HEAD.decode([outputs[name] for name in spec.outputs], spec, input_wh, lowest)
    expected = plain_distances(scores, distances, input_wh, strides, 0.5, lowest)
    if len(expected) <= 1000:
        same_candidates(found, expected, lowest)
    else:
        assert len(found.scores) == 1000 and found.scores.min() >= sorted(expected)[-1000][0] - 1e-5


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1), sizes, st.integers(1, 90), st.sampled_from([8, 11]),
       st.sampled_from([((8, 16, 32), 0.5), ((8, 16, 32, 64), 0.0)]), st.booleans(), st.booleans())
def test_joined_outputs_agree_with_the_plain_decoder(seed, input_wh, classes, bins, kind, turned, named):
    strides, offset = kind
    logits, distances = generate(seed, input_wh, classes, bins, strides)
    scores = [sigmoid(part) for part in logits]
    output = np.concatenate([np.concatenate(scores), np.concatenate(distances)], axis=1)[None]
    assume(not turned or not is_square(output))
    output = output.transpose(0, 2, 1).copy() if turned else output
    metadata = {"names": str(["x"] * classes)} if named or bins == 11 else {}
    spec = find_head({"out": output}, GraphFacts(metadata, {}, input_wh), "generalized_focal")
    assert (spec.num_classes, spec.numbers["bins"], spec.numbers["offset"]) == (classes, bins, offset)
    same_candidates(HEAD.decode([output], spec, input_wh, 0.1),
                    plain_distances(scores, distances, input_wh, strides, offset, 0.1), 0.1)


def test_with_as_many_classes_as_numbers_of_distances_the_values_tell_them_apart():
    logits, distances = generate(5, (96, 64), 32, 8, (8, 16, 32))
    for first in (True, False):
        levels = [{f"a{i}": (sigmoid(s) if first else d)[None], f"b{i}": (d if first else sigmoid(s))[None]}
                  for i, (s, d) in enumerate(zip(logits, distances))]
        spec = find_head({name: array for level in levels for name, array in level.items()},
                         GraphFacts({}, {}, (96, 64)))
        assert spec.outputs[:3] == (("a0", "a1", "a2") if first else ("b0", "b1", "b2"))


def test_another_shape_is_refused():
    logits, distances = generate(5, (96, 64), 3, 8, (8, 16, 32))
    outputs = {str(i): part[None] for i, part in enumerate([*map(sigmoid, logits), *distances])}
    spec = find_head(outputs, GraphFacts({}, {}, (96, 64)))
    values = list(outputs.values())
    for wrong in (values[:5], values[::-1], [values[0][:, 1:], *values[1:]]):
        with pytest.raises(ValueError, match="NanoDet and PicoDet: outputs of shape"):
            HEAD.decode(wrong, spec, (96, 64), 0.1)
