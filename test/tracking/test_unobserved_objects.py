"""Objects of a masked camera over frames in which nothing is sent."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.detections import Detections
from regionmask_ros.tracking.kernels import MEMORY_FRAMES
from regionmask_ros.tracking.tracker import Tracks, update_tracks

IMAGE_WH = (640, 480)
EVERYTHING, NOTHING = np.ones((15, 20), bool), np.zeros((15, 20), bool)


@st.composite
def apart(draw):
    """Boxes in cells of their own: there is only one way to assign them."""
    cells = draw(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=12, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low = np.array(cells) * 90.0 + rng.uniform(0, 10, (len(cells), 2))
    boxes = np.hstack([low, low + rng.uniform(20, 70, (len(cells), 2))])
    scores = np.sort(rng.uniform(0.3, 1.0, len(cells)))[::-1]
    return Detections(boxes.astype(np.float32), scores.astype(np.float32), rng.integers(0, 3, len(cells)))


@settings(max_examples=60)
@given(apart(), st.integers(1, MEMORY_FRAMES + 4))
def test_what_was_shown_before_needs_no_new_assignment(found, frames):
    tracks, shown = update_tracks(Tracks.none(), found, EVERYTHING, IMAGE_WH, 0, None)
    known, searched, same = tracks, tracks, shown.track_ids
    for frame in range(1, frames):
        known, one = update_tracks(known, found, NOTHING, IMAGE_WH, frame, None, same)
        searched, other = update_tracks(searched, found, NOTHING, IMAGE_WH, frame, None)
        same = one.track_ids
        np.testing.assert_array_equal(one.track_ids, other.track_ids)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        assert one.resting.all()
    for name, value in vars(known).items():
        np.testing.assert_allclose(value, getattr(searched, name), err_msg=name)


def test_objects_that_are_no_longer_detected_are_forgotten_in_idle_frames_too():
    two = detections_of([10, 10, 60, 90], [300, 10, 350, 90], scores=(0.9, 0.8))
    tracks, _ = update_tracks(Tracks.none(), two, EVERYTHING, IMAGE_WH, 0, None)
    one = two.with_min_score(0.85)
    tracks, shown = update_tracks(tracks, one, EVERYTHING, IMAGE_WH, 1, None)
    for frame in range(2, MEMORY_FRAMES + 3):
        tracks, shown = update_tracks(tracks, one, NOTHING, IMAGE_WH, frame, None, shown.track_ids)
    assert tracks.ids.tolist() == [0] and shown.track_ids.tolist() == [0]
