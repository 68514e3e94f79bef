"""What is seen in whole frames, how it fades, and the static mask that follows it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.errors import UserError
from regionmask_ros.mask.adaptive import NO_DECAY, Adaptive, OccupancyStats, mask_of, update_adaptive, update_occupancy
from regionmask_ros.mask.budget import rank_by_heat
from regionmask_ros.mask.policy import MaskComposer, MaskState, compose

GRID, PICTURE = RegionGrid(4, 6), (96, 64)
LEFT, RIGHT, NONE = np.array([[2, 18, 14, 30]]), np.array([[82, 18, 94, 30]]), np.zeros((0, 4))


def seen_after(*frames: np.ndarray, ring: int = 0, half_life: float = NO_DECAY, first: OccupancyStats | None = None) -> OccupancyStats:
    seen = first or OccupancyStats.nothing(GRID)
    for boxes in frames:
        seen = update_occupancy(seen, boxes, GRID, PICTURE, ring, half_life)
    return seen


def test_without_a_half_life_it_is_the_share_of_the_frames():
    seen = seen_after(LEFT, NONE, LEFT, RIGHT)
    assert seen.share[1, 0] == pytest.approx(0.5) and seen.share[1, 5] == pytest.approx(0.25)
    assert seen.frames == 4 and np.count_nonzero(seen.share) == 2
    assert np.argwhere(seen.mask()).tolist() == [[1, 0], [1, 5]]
    assert np.count_nonzero(seen_after(LEFT, ring=1).share) == 6
    with pytest.raises(UserError, match="no object was seen yet .in 2 whole frames"):
        seen_after(NONE, NONE).mask()


@given(st.floats(0.5, 50), st.integers(1, 60))
def test_after_a_half_life_what_was_seen_counts_half(half_life, frames):
    settled = OccupancyStats(seen_after(LEFT).share, frames=1000)
    later = seen_after(*[RIGHT] * frames, half_life=half_life, first=settled)
    assert later.share[1, 0] == pytest.approx(0.5 ** (frames / half_life))
    assert later.share[1, 5] == pytest.approx(1 - 0.5 ** (frames / half_life))


def test_the_first_frames_count_the_same_until_there_are_many():
    early = seen_after(LEFT, RIGHT, half_life=8.0)
    assert early.share[1, 0] == early.share[1, 5] == pytest.approx(0.5)


def test_a_supposed_mask_weighs_one_frame():
    keep = GRID.full(False)
    keep[0] = True
    first = OccupancyStats.from_mask(keep)
    assert np.array_equal(mask_of(Adaptive(cover=1.0), first), keep) and first.frames == 0
    later = update_adaptive(Adaptive(ring=0), first, LEFT, GRID, PICTURE)
    assert later.share[0, 0] == later.share[1, 0] == pytest.approx(0.5) and later.frames == 1


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.floats(0.5, 20))
def test_shares_stay_shares(seed, ring, half_life):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, 100, (6, 3, 2))
    frames = [np.hstack([c, c + rng.uniform(1, 40, c.shape)]) for c in corners]
    seen = seen_after(*frames, ring=ring, half_life=half_life, first=OccupancyStats.from_mask(rng.random(GRID.shape) < 0.3))
    assert 0.0 <= seen.share.min() and seen.share.max() <= 1.0


def test_nothing_is_masked_before_an_object_was_seen():
    assert mask_of(Adaptive(), OccupancyStats.nothing(GRID)).all()
    policy = MaskComposer(GRID, PICTURE, None, None, 8, adaptive=Adaptive(), regions=3).with_static_mask(OccupancyStats.nothing(GRID))
    assert compose(policy, MaskState(1, Detections.empty())).keep.all(), "nothing is known to choose three regions by"


def test_a_view_that_is_moved_is_learned_anew_and_the_old_one_fades():
    policy, seen = MaskComposer(GRID, PICTURE, None, None, 8, adaptive=Adaptive(4.0, 0.9, 0)), OccupancyStats.nothing(GRID)
    for _ in range(30):
        policy, seen = policy.after(seen, LEFT)
    assert np.argwhere(policy.static).tolist() == [[1, 0]]
    masks = []
    for _ in range(20):
        policy, seen = policy.after(seen, RIGHT)
        masks.append((bool(policy.static[1, 0]), bool(policy.static[1, 5])))
    assert masks[0] == (True, True) and masks[-1] == (False, True)
    assert compose(policy, MaskState(1, Detections.empty())).keep.tolist() == policy.static.tolist()


def test_a_static_mask_does_not_learn():
    keep = GRID.full(False)
    keep[3] = True
    policy, seen = MaskComposer(GRID, PICTURE, keep, None, 8), OccupancyStats.nothing(GRID)
    policy, seen = policy.after(seen, LEFT)
    assert np.array_equal(policy.static, keep) and policy.with_static_mask(seen) is policy
    assert np.count_nonzero(seen.share) == 6, "what was seen is noted all the same, for save_static_mask"


def test_a_budget_takes_the_hottest():
    seen = OccupancyStats(np.arange(24.0).reshape(4, 6) / 24, frames=9)
    policy = MaskComposer(GRID, PICTURE, None, None, 8, adaptive=Adaptive(), regions=5).with_static_mask(seen)
    mask = compose(policy, MaskState(1, Detections.empty()))
    assert np.flatnonzero(mask.keep).tolist() == [19, 20, 21, 22, 23]
    assert np.array_equal(policy.static_region_mask, mask.keep) and np.array_equal(mask.sources["static"], mask.keep)
    assert np.array_equal(policy.hot, rank_by_heat(seen.share))


@pytest.mark.parametrize("wrong, said", [
    ({"half_life": 0.0}, "half-life 0"), ({"half_life": float("nan")}, "half-life nan"), ({"cover": 0.0}, "cover 0"),
    ({"cover": 1.1}, "cover 1.1"), ({"ring": -1}, "ring -1"),
])
def test_values_that_make_no_sense(wrong, said):
    with pytest.raises(UserError, match=said):
        Adaptive(**wrong)
