"""Clips by name, and another clip to calibrate on."""

from __future__ import annotations

import doctest
import os
import shutil
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.lab.bench import clip, page, scaling
from regionmask_ros.sources.spread import spread_indices


@pytest.mark.parametrize("module", [clip, page, scaling])
def test_examples_in_the_documentation_hold(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0 and failed == 0


@given(st.integers(1, 3000), st.integers(1, 100))
def test_spread_indices_reach_from_end_to_end(length, count):
    indices = spread_indices(length, count)
    assert len(indices) == min(length, count) and indices[0] == 0
    assert indices[-1] == length - 1 or count == 1
    gaps = [late - early for early, late in pairwise(indices)]
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("name, other", [("bikes.mp4", "vtest.avi"), ("vtest.avi", "bikes.mp4")])
def test_integer_baselines_are_calibrated_on_another_clip(name, other, real_video, tmp_path):
    path, _ = real_video(name), real_video(other)
    copied, linked = str(tmp_path / "copy.mp4"), str(tmp_path / "link.mp4")
    shutil.copy(path, copied)
    os.symlink(path, linked)
    for same in (path, copied, linked):
        assert os.path.basename(clip.calibration_clip(same)) == other


def test_any_other_sequence_is_calibrated_on_a_standard_one(make_clip, real_video, tmp_path):
    real_video("bikes.mp4")
    for path in (make_clip(3, 2), str(tmp_path)):
        assert os.path.basename(clip.calibration_clip(path)) == "bikes.mp4"


def test_calibration_frames_come_from_the_whole_clip(real_video):
    images = clip.spread_images(real_video("bikes.mp4"), (96, 64), 10)
    assert len(images) == 10
    # Ten frames of five shots: no two are alike.
    assert all((one != other).mean() > 0.3 for one, other in pairwise(images))
