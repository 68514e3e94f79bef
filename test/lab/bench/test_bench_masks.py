"""The fixed mask that the benchmark's masked60 rows use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.lab.bench.clip import Clip, load_clip
from regionmask_ros.lab.bench.masks import busiest_regions, keep_mask


@settings(max_examples=50)
@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)), st.data())
def test_busiest_keeps_the_share_and_nothing_below_what_it_drops(heat, data):
    events = data.draw(hnp.arrays(np.int64, heat.shape, elements=st.integers(0, 3)))
    keep = busiest_regions(heat, events, 0.4)
    assert keep.sum() == round(0.4 * heat.size)
    kept, dropped = ([*zip(heat[where], events[where])] for where in (keep, ~keep))
    if kept and dropped:
        assert min(kept) >= max(dropped)


def test_ties_go_by_events():
    heat, events = np.array([[0, 2, 2, 2, 0]]), np.array([[9, 1, 5, 3, 9]])
    assert busiest_regions(heat, events, 0.4).tolist() == [[False, False, True, True, False]]


def clip_of(images: list[np.ndarray]) -> Clip:
    height, width = images[0].shape[:2]
    return Clip("made by hand", tuple(images), (width, height), (width, height), 25.0)


def test_unmasked_attends_everything(tiny_network):
    images = [np.zeros((64, 96, 3), np.uint8)] * 2
    assert keep_mask("unmasked", tiny_network, clip_of(images)).all()


def test_masked60_of_a_hand_made_network_keeps_40_percent(tiny_network):
    images = [np.random.default_rng(t).integers(0, 255, (64, 160, 3)).astype(np.uint8) for t in range(4)]
    keep = keep_mask("masked60", tiny_network, clip_of(images))
    assert keep.shape == RegionGrid.of_input((160, 64)).shape and keep.sum() == 16


def test_masked60_of_a_real_street_follows_what_is_detected(trained, real_video):
    clip = load_clip(real_video("bikes.mp4"), (320, 192), 12)
    keep = keep_mask("masked60", trained, clip)
    assert keep.mean() == pytest.approx(0.4, abs=0.5 / keep.size)
    # People and bicycles are not spread evenly over the picture, so neither is the mask.
    assert np.ptp(keep.mean(axis=0)) > 0.3
