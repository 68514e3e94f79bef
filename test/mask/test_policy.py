from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.detection.detections import Detections
from regionmask_ros.errors import UserError
from regionmask_ros.grid import RegionGrid
from regionmask_ros.mask.cues import Cues
from regionmask_ros.mask.dynamic import DynamicChoice, tracking
from regionmask_ros.mask.policy import MaskPolicy, MaskState, decide
from regionmask_ros.mask.schedule import is_refresh

GRID, PICTURE = RegionGrid(4, 6), (96, 64)


def policy(static=None, dynamic=None, period=8) -> MaskPolicy:
    return MaskPolicy(GRID, PICTURE, static, dynamic, period)


def objects(*boxes) -> Detections:
    n = len(boxes)
    return Detections(np.array(boxes, np.float32).reshape(n, 4), np.ones(n, np.float32), np.zeros(n, np.int32))


def test_without_sources_everything_is_always_attended():
    for frame in range(20):
        mask = decide(policy(), MaskState(frame, Detections.empty()))
        assert mask.keep.all() and mask.masked_share == 0.0 and mask.refresh == (frame == 0)


@pytest.mark.parametrize("period, expected", [(0, [0]), (1, list(range(9))), (4, [0, 4, 8])])
def test_refresh_frames(period, expected):
    assert [t for t in range(9) if is_refresh(t, period)] == expected


def test_tracking_attends_boxes_and_one_region_around():
    keep = tracking(Cues(objects([34, 34, 46, 46]), GRID, PICTURE))
    assert np.argwhere(keep).tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3)]
    assert not tracking(Cues(Detections.empty(), GRID, PICTURE)).any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(0, 9))
def test_the_union_attends_what_either_source_attends(seed, frame, period):
    rng = np.random.default_rng(seed)
    static = rng.random(GRID.shape) < 0.3
    corner = rng.uniform(0, 80, 2)
    state = MaskState(frame, objects([*corner, *(corner + 20)]))
    both = decide(policy(static, tracking, period), state)
    if is_refresh(frame, period):
        assert both.refresh and both.keep.all()
    else:
        single = [decide(policy(s, d, period), state).keep for s, d in ((static, None), (None, tracking))]
        np.testing.assert_array_equal(both.keep, single[0] | single[1])
    np.testing.assert_array_equal(both.sources["static"], static)
    assert both.masked_share == pytest.approx(1 - both.keep.mean())


def test_deciding_changes_nothing():
    static = np.zeros(GRID.shape, bool)
    mask = decide(policy(static), MaskState(1, Detections.empty()))
    assert not mask.keep.any()
    state = MaskState.initial()
    assert replace(state, frame=state.frame + 1).frame == 1 and state.frame == 0


def test_mask_names():
    assert DynamicChoice("tracking").make(8) is tracking
    with pytest.raises(UserError, match="'magic': unknown; use tracking, mgnet"):
        DynamicChoice("magic")
    with pytest.raises(UserError, match="tracking: has neither weights nor a masked share"):
        DynamicChoice("tracking", masked_share=0.5)
    with pytest.raises(UserError, match="target masked 1.0"):
        DynamicChoice("mgnet", masked_share=1.0)
    with pytest.raises(UserError, match="at most 0.88 can be masked"):
        DynamicChoice("mgnet", masked_share=0.9).make(8)


def test_what_a_planner_asks_for_is_attended_besides_the_masks():
    static = np.zeros(GRID.shape, bool)
    static[0, 0] = True
    asked = np.array([[40.0, 20.0, 60.0, 30.0]])
    mask = decide(policy(static), MaskState(1, Detections.empty()), asked)
    assert np.argwhere(mask.keep).tolist() == [[0, 0], [1, 2], [1, 3]]
    assert np.argwhere(mask.sources["attention"]).tolist() == [[1, 2], [1, 3]]
    assert "attention" not in decide(policy(static), MaskState(1, Detections.empty())).sources
    assert decide(policy(), MaskState(1, Detections.empty()), asked).keep.all(), "without a mask nothing is to be added"
