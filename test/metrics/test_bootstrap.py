from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.metrics.bootstrap import block_length, confidence_interval, frame_weights


def test_blocks_are_a_second_long_or_a_fifth_of_the_sequence():
    assert [block_length(n) for n in (1, 4, 5, 48, 125, 800)] == [1, 1, 1, 9, 25, 25]


@given(st.integers(1, 300), st.text(max_size=9))
def test_each_resample_has_as_many_frames_as_the_sequence(frames, text):
    weights = frame_weights(frames, text, resamples=7)
    assert weights.shape == (7, frames) and (weights.sum(axis=1) == frames).all()


def test_equal_texts_draw_equal_frames_and_neighbours_come_together():
    one, same, other = (frame_weights(200, text) for text in ("street", "street", "square"))
    assert (one == same).all() and (one != other).any()
    assert one.mean() == 1.0 and np.abs(one.mean(axis=0) - 1.0).max() < 0.5, "no frame is favoured"
    alike = np.mean([np.corrcoef(w[:-1], w[1:])[0, 1] for w in one])
    assert alike > 0.8, "frames are drawn in blocks"


def test_the_interval_of_a_mean_has_its_usual_width():
    values = np.random.default_rng(3).normal(10.0, 2.0, 400)
    means = frame_weights(400, "x", 2000) @ values / 400
    low, high = confidence_interval(means)
    assert (high - low) == pytest.approx(2 * 1.645 * 2.0 / 20, rel=0.25) and low < 10 < high
    assert confidence_interval([float("nan"), 3.0]) == (3.0, 3.0) and np.isnan(confidence_interval([])).all()
