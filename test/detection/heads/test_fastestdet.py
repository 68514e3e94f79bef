"""FastestDet: the decoder agrees with a plain one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_decoders import plain_fastestdet, same_candidates

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.errors import UserError
from regionmask_ros.network.dense import GraphFacts


def generate(seed: int, input_wh: tuple[int, int], classes: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, cols = input_wh[1] // 16, input_wh[0] // 16
    powers = np.exp(rng.normal(0, 3, (classes, rows, cols)))
    parts = [rng.beta(0.3, 3, (1, rows, cols)), rng.normal(0, 2, (4, rows, cols)), powers / powers.sum(axis=0)]
    return np.concatenate(parts)[None].astype(np.float32)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 12), st.integers(1, 90),
       st.sampled_from([0.0, 0.02, 0.4]))
def test_it_agrees_with_the_plain_decoder(seed, across, down, classes, lowest):
    input_wh = (32 * across, 32 * down)
    output = generate(seed, input_wh, classes)
    trained = generate(seed, (352, 320), classes)
    spec = find_head({"out": trained}, GraphFacts({}, {}, (352, 320)))
    assert (spec.family, spec.num_classes, spec.strides) == ("fastestdet", classes, (16,))
    same_candidates(HEADS["fastestdet"].decode([output], spec, input_wh, lowest),
                    plain_fastestdet(output[0], input_wh, (352, 320), lowest), lowest)


def test_a_map_whose_scores_are_no_shares_is_of_no_known_head():
    output = generate(1, (64, 64), 3)
    output[:, 5:] *= 0.5
    with pytest.raises(UserError, match="fit no known head"):
        find_head({"out": output}, GraphFacts({}, {}, (64, 64)))


def test_another_shape_is_refused():
    output = generate(1, (64, 64), 3)
    spec = find_head({"out": output}, GraphFacts({}, {}, (64, 64)))
    for wrong in (output[:, 1:], output[0]):
        with pytest.raises(ValueError, match="FastestDet: outputs of shape"):
            HEADS["fastestdet"].decode([wrong], spec, (64, 64), 0.1)
