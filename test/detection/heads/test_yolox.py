"""YOLOX: the decoder agrees with a plain one, and recognizes both forms of the output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_decoders import is_square, plain_yolox, same_candidates

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.network.dense import GraphFacts

HEAD = HEADS["yolox"]


def generate(seed: int, input_wh: tuple[int, int], classes: int, strides: tuple[int, ...]) -> np.ndarray:
    """A raw output as networks give it: most cells without an object."""
    rng = np.random.default_rng(seed)
    cells = sum((input_wh[0] // s) * (input_wh[1] // s) for s in strides)
    rows = np.concatenate([rng.normal(0.5, 1, (cells, 4)), rng.beta(0.3, 3, (cells, 1 + classes))], axis=1)
    return rows[None].astype(np.float32)


def decoded(raw: np.ndarray, input_wh: tuple[int, int], strides: tuple[int, ...]) -> np.ndarray:
    """As a graph gives it that decodes inside: x, y, w, h in pixels."""
    rows, at = raw.copy(), 0
    for s in strides:
        for y in range(input_wh[1] // s):
            for x in range(input_wh[0] // s):
                rows[0, at, :2] = (rows[0, at, :2] + (x, y)) * s
                rows[0, at, 2:4] = np.exp(rows[0, at, 2:4]) * s
                at += 1
    return rows


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 5), st.integers(1, 90),
       st.sampled_from([(8, 16, 32), (8, 16, 32, 64)]), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.02, 0.4]))
def test_it_agrees_with_the_plain_decoder(seed, across, down, classes, strides, raw, turned, lowest):
    input_wh = (across * strides[-1], down * strides[-1])
    output = generate(seed, input_wh, classes, strides)
    expected = plain_yolox(output[0], input_wh, strides, lowest)
    output = output if raw else decoded(output, input_wh, strides)
    assume(not turned or not is_square(output))
    output = output.transpose(0, 2, 1).copy() if turned else output
    spec = find_head({"out": output}, GraphFacts({}, {}, input_wh), "yolox")
    assert (spec.family, spec.num_classes, spec.strides, spec.numbers["raw"]) == ("yolox", classes, strides, raw)
    same_candidates(HEAD.decode([output], spec, input_wh, lowest), expected, lowest)


def test_another_shape_is_refused():
    output = generate(1, (64, 64), 3, (8, 16, 32))
    spec = find_head({"out": output}, GraphFacts({}, {}, (64, 64)))
    for wrong, given_spec in ((output, replace(spec, num_classes=4)), (output[:, 1:], spec), (output[0, 0], spec)):
        with pytest.raises(ValueError, match="YOLOX: outputs of shape"):
            HEAD.decode([wrong], given_spec, (64, 64), 0.1)


def test_sizes_beyond_all_limits_do_not_warn_and_other_numbers_stay_out():
    output = generate(1, (64, 64), 3, (8, 16, 32))
    spec = find_head({"out": output}, GraphFacts({}, {}, (64, 64)))
    output[0, 0] = [0, 0, 500, 1, 1, 1, 0, 0]
    output[0, 1, 4], output[0, 2, 4:7] = np.nan, (1, np.nan, 1)
    found = HEAD.decode([output], spec, (64, 64), 0.99)
    assert found.scores.tolist() == [1.0] and np.isinf(found.boxes).any()
