"""Segments of clips: of one shot each, and the same ones for the same seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.errors import UserError
from regionmask_ros.lab.tuning.trial import read_segments, segment_starts


@given(st.integers(0, 300), st.lists(st.integers(0, 320), max_size=6), st.integers(1, 60))
def test_no_segment_crosses_a_cut_or_another_segment(frames, cuts, length):
    cuts = sorted(cuts)
    starts = segment_starts(frames, cuts, length)
    for start in starts:
        assert 0 <= start and start + length <= frames
        assert not any(start < cut < start + length for cut in cuts)
    assert all(later - start >= length for start, later in pairwise(starts))
    if not cuts:
        assert len(starts) == frames // length


def test_segments_of_a_video_are_drawn_by_the_seed(make_clip):
    path, ticks = make_clip(20, 4), []
    drawn = read_segments(path, (7,), 4, 3, 307_200, np.random.default_rng(1), lambda: ticks.append(1))
    assert len(drawn) == 3 and len(ticks) == 20
    assert all(s.first in (0, 7, 11, 15) and len(s.frames) == 4 for s in drawn)
    assert drawn[0].frames[0].size_wh == (160, 96) and drawn[0].frames[0].order == "rgb"
    again = read_segments(path, (7,), 4, 3, 307_200, np.random.default_rng(1))
    assert [s.first for s in again] == [s.first for s in drawn]
    assert len(read_segments(path, (7,), 4, 99, 307_200, np.random.default_rng(1))) == 4
    with pytest.raises(UserError, match="no shot of 30 frames"):
        read_segments(path, (7,), 30, 1, 307_200, np.random.default_rng(1))
