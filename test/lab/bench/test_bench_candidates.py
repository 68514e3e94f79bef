"""Our engine as a candidate, and the fixed mask of masked60."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.engine.engine import PackedNetwork
from regionmask_ros.lab.bench.candidates import EventCandidate, busiest_regions, keep_mask
from regionmask_ros.lab.bench.clip import load_clip


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


def test_unmasked_keeps_everything(tiny_network, as_clip):
    images = [np.zeros((64, 96, 3), np.uint8)] * 2
    assert keep_mask("unmasked", tiny_network, as_clip(images)).all()


def test_masked60_of_a_hand_made_network_keeps_40_percent(tiny_network, as_clip):
    images = [np.random.default_rng(t).integers(0, 255, (64, 160, 3)).astype(np.uint8) for t in range(4)]
    keep = keep_mask("masked60", tiny_network, as_clip(images))
    assert keep.shape == RegionGrid.of_input((160, 64)).shape and keep.sum() == 16


def test_masked60_of_a_real_street_follows_what_is_detected(trained, real_video):
    clip = load_clip(real_video("bikes.mp4"), (320, 192), 12)
    keep = keep_mask("masked60", trained, clip)
    assert keep.mean() == pytest.approx(0.4, abs=0.5 / keep.size)
    # People and bicycles are not spread evenly over the image, so neither is the mask.
    assert np.ptp(keep.mean(axis=0)) > 0.3


def test_state_grows_with_the_image_and_does_not_include_shared_weights(tiny_network):
    def state(size_wh, packed=None):
        keep = np.ones((size_wh[1] // 16, size_wh[0] // 16), bool)
        return EventCandidate(tiny_network, size_wh, "unmasked", keep, packed=packed).state_bytes()

    small, large = state((96, 64)), state((384, 256))
    assert 10 * small < large < 20 * small
    assert state((96, 64), PackedNetwork(tiny_network)) == small


def test_refresh_frames_are_not_masked_and_the_rest_are(tiny_network, noise_clip):
    clip, keep = noise_clip((64, 64), 12), np.zeros((4, 4), bool)
    candidate = EventCandidate(tiny_network, (64, 64), "masked60", keep)

    def sending(refresh_period: int) -> list[int]:
        candidate.reset(refresh_period)
        events = []
        for image in clip.images:
            candidate.step(image)
            events.append(candidate.counts().encoder_events)
        return [frame for frame, count in enumerate(events) if count]

    assert sending(8) == [0, 8] and sending(0) == [0] and sending(4) == [0, 4, 8]
