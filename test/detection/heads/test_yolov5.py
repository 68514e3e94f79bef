"""YOLOv5: the decoder agrees with a plain one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plain_decoders import is_square, plain_yolov5, same_candidates

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.network.dense import GraphFacts


def generate(seed: int, input_wh: tuple[int, int], classes: int, strides: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    count = 3 * sum((input_wh[0] // s) * (input_wh[1] // s) for s in strides)
    boxes = rng.uniform(0, 1, (count, 4)) * (input_wh * 2)
    return np.concatenate([boxes, rng.beta(0.3, 3, (count, 1 + classes))], axis=1)[None].astype(np.float32)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 4), st.integers(1, 90),
       st.sampled_from([(8, 16, 32), (8, 16, 32, 64), (16, 32)]), st.booleans(), st.sampled_from([0.0, 0.02, 0.4]))
def test_it_agrees_with_the_plain_decoder(seed, across, down, classes, strides, turned, lowest):
    input_wh = (across * strides[-1], down * strides[-1])
    output = generate(seed, input_wh, classes, strides)
    expected = plain_yolov5(output[0], lowest)
    assume(not turned or not is_square(output))
    output = output.transpose(0, 2, 1).copy() if turned else output
    spec = find_head({"out": output}, GraphFacts({}, {}, input_wh), "yolov5")
    assert (spec.num_classes, spec.strides) == (classes, strides)
    same_candidates(HEADS["yolov5"].decode([output], spec, input_wh, lowest), expected, lowest)


def test_it_is_found_among_the_raw_maps_of_older_exports():
    output = generate(1, (96, 64), 4, (8, 16, 32))
    maps = {f"map{s}": np.zeros((1, 3, 64 // s, 96 // s, 9), np.float32) for s in (8, 16, 32)}
    spec = find_head({"output": output, **maps}, GraphFacts({}, {}, (96, 64)))
    assert (spec.family, spec.outputs, spec.num_classes) == ("yolov5", ("output",), 4)
    with pytest.raises(ValueError, match=r"YOLOv5: outputs of shape \[1, 378, 9\] at an input of 96x96"):
        HEADS["yolov5"].decode([output], spec, (96, 96), 0.1)
