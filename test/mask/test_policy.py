from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.errors import UserError
from regionmask_ros.mask.budget import nearest_regions, rank_by_heat
from regionmask_ros.mask.dynamic import DynamicChoice, tracking
from regionmask_ros.mask.policy import MaskComposer, MaskState, compose
from regionmask_ros.mask.scheduling import is_refresh
from regionmask_ros.mask.source import MaskContext

GRID, PICTURE = RegionGrid(4, 6), (96, 64)


def policy(static=None, dynamic=None, period=8) -> MaskComposer:
    return MaskComposer(GRID, PICTURE, static, dynamic, period)


def objects(*boxes) -> Detections:
    n = len(boxes)
    return Detections(np.array(boxes, np.float32).reshape(n, 4), np.ones(n, np.float32), np.zeros(n, np.int32))


def test_without_sources_everything_is_always_attended():
    for frame in range(20):
        mask = compose(policy(), MaskState(frame, Detections.empty()))
        assert mask.keep.all() and mask.masked_share == 0.0 and mask.refresh == (frame == 0)


@pytest.mark.parametrize("period, expected", [(0, [0]), (1, list(range(9))), (4, [0, 4, 8])])
def test_refresh_frames(period, expected):
    assert [t for t in range(9) if is_refresh(t, period)] == expected


def test_tracking_attends_boxes_and_one_region_around():
    keep = tracking(MaskContext(objects([34, 34, 46, 46]), GRID, PICTURE))
    assert np.argwhere(keep).tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3)]
    assert not tracking(MaskContext(Detections.empty(), GRID, PICTURE)).any()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(0, 9))
def test_the_union_attends_what_either_source_attends(seed, frame, period):
    rng = np.random.default_rng(seed)
    static = rng.random(GRID.shape) < 0.3
    corner = rng.uniform(0, 80, 2)
    state = MaskState(frame, objects([*corner, *(corner + 20)]))
    both = compose(policy(static, tracking, period), state)
    if is_refresh(frame, period):
        assert both.refresh and both.keep.all()
    else:
        single = [compose(policy(s, d, period), state).keep for s, d in ((static, None), (None, tracking))]
        np.testing.assert_array_equal(both.keep, single[0] | single[1])
    np.testing.assert_array_equal(both.sources["static"], static)
    assert both.masked_share == pytest.approx(1 - both.keep.mean())


def test_deciding_changes_nothing():
    static = np.zeros(GRID.shape, bool)
    mask = compose(policy(static), MaskState(1, Detections.empty()))
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
    mask = compose(policy(static), MaskState(1, Detections.empty()), asked)
    assert np.argwhere(mask.keep).tolist() == [[0, 0], [1, 2], [1, 3]]
    assert np.argwhere(mask.sources["attention"]).tolist() == [[1, 2], [1, 3]]
    assert "attention" not in compose(policy(static), MaskState(1, Detections.empty())).sources
    assert compose(policy(), MaskState(1, Detections.empty()), asked).keep.all(), "without a mask nothing is to be added"


@st.composite
def situations(draw):
    """A policy of random masks, a state with random objects, and boxes of a planner."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def some(most: int) -> np.ndarray:
        corner = rng.uniform(-10, 90, (rng.integers(0, most + 1), 2))
        return np.hstack([corner, corner + rng.uniform(1, 50, corner.shape)])

    static = rng.random(GRID.shape) < rng.random() if draw(st.booleans()) else None
    dynamic = tracking if static is None or draw(st.booleans()) else None
    period = draw(st.integers(0, 6))
    state = MaskState(draw(st.integers(0, 12)), objects(*some(4)))
    return policy(static, dynamic, period), state, some(2)


@given(situations())
def test_union_laws(sequence_context):
    deciding, state, asked = sequence_context
    mask, more = compose(deciding, state), compose(deciding, state, asked)
    sources = list(more.sources.values())
    assert more.keep[mask.keep].all(), "asking for more never masks anything"
    assert more.keep[GRID.cover(asked, PICTURE)].all()
    assert all(more.keep[source].all() for source in sources)
    if not more.refresh:
        np.testing.assert_array_equal(more.keep, np.logical_or.reduce(sources), "and nothing else is attended")
        again = compose(replace(deciding, static=more.keep), state, asked)
        np.testing.assert_array_equal(again.keep, more.keep, "a union with what is in it already adds nothing")
    doubled = objects(*state.last.boxes, *state.last.boxes)
    np.testing.assert_array_equal(compose(deciding, replace(state, last=doubled), asked).keep, more.keep)
    assert more.masked_share <= mask.masked_share


@given(situations(), st.integers(0, 24))
def test_a_budget_is_kept_by_every_mask_and_cuts_nothing_that_a_planner_asks_for(sequence_context, regions):
    free, state, asked = sequence_context
    hot = None if free.static is None else rank_by_heat(free.static)
    tight = replace(free, regions=regions, hot=hot)
    own, mask = compose(free, state, asked), compose(tight, state, asked)
    assert mask.refresh == own.refresh
    if mask.refresh:
        assert mask.keep.all()
        between = compose(replace(tight, refresh_period=0), replace(state, frame=1), asked)
        for name, source in between.sources.items():
            np.testing.assert_array_equal(mask.sources[name], source, "a refresh changes nothing of what masks say")
        return
    wanted = GRID.cover(asked, PICTURE)
    assert mask.keep[wanted].all()
    np.testing.assert_array_equal(mask.keep, np.logical_or.reduce(list(mask.sources.values())))
    chosen = np.logical_or.reduce([own.sources[name] for name in own.sources if name != "attention"])
    for name in set(mask.sources) - {"attention"}:
        assert not (mask.sources[name] & wanted & ~chosen).any(), "what only a planner asks for is told as attention"
    if free.static is None and not GRID.cover(state.last.boxes, PICTURE).any():
        assert mask.keep.sum() == wanted.sum(), "without a box and a static mask nothing is known to attend"
    else:
        assert mask.keep.sum() == max(regions, wanted.sum())
    if own.keep.sum() <= regions:
        assert mask.keep[own.keep].all(), "grown around what the masks attend"
    elif not len(asked):
        assert own.keep[mask.keep].all(), "cut down inside it"
    if free.static is None and not len(asked):
        np.testing.assert_array_equal(
            mask.keep, nearest_regions(state.last.boxes, state.last.scores, GRID, PICTURE, regions))


def test_what_follows_objects_comes_before_the_static_mask():
    static = GRID.full(False)
    static[:, 0] = True
    tight = replace(policy(static, tracking), regions=10, hot=rank_by_heat(static))
    mask = compose(tight, MaskState(1, objects([66, 18, 78, 30])))
    followed = GRID.cover(np.array([[66, 18, 78, 30]]), PICTURE, ring=1)
    assert mask.keep[followed].all() and (mask.keep & static).sum() == 1
    np.testing.assert_array_equal(mask.sources["static"], mask.keep & static)
    np.testing.assert_array_equal(mask.sources["dynamic"], followed)


def test_shares_by_cause():
    static = GRID.full(False)
    static[0] = True
    mask = compose(policy(static, tracking), MaskState(1, objects([34, 34, 46, 46])), np.array([[0.0, 0.0, 16.0, 16.0]]))
    assert mask.attended_shares == pytest.approx({"static": 6 / 24, "dynamic": 9 / 24, "attention": 1 / 24})
    assert compose(policy(static), MaskState(0, Detections.empty())).attended_shares == {"refresh": 1.0}
