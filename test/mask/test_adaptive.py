"""What is seen in frames observed as a whole, how it fades, and the static mask that follows it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.core.result import RegionMask
from regionmask_ros.errors import UserError
from regionmask_ros.mask.adaptive import (
    NO_DECAY,
    Adaptive,
    AdaptiveSource,
    OccupancyLearner,
    OccupancyStats,
    update_occupancy,
)
from regionmask_ros.mask.budget import RegionBudget
from regionmask_ros.mask.composer import MaskComposer
from regionmask_ros.mask.heat import Calibration, Target, rank_by_heat
from regionmask_ros.mask.learned import LearnedMask
from regionmask_ros.mask.source import MaskContext
from regionmask_ros.mask.static import StaticSource

GRID, IMAGE_WH = RegionGrid(4, 6), (96, 64)
LEFT, RIGHT, NONE = np.array([[2, 18, 14, 30]]), np.array([[82, 18, 94, 30]]), np.zeros((0, 4))


def source(adaptive=None, initial=None, stats=None) -> AdaptiveSource:
    made = AdaptiveSource(adaptive or Adaptive(), GRID, IMAGE_WH, initial)
    made.stats = stats or made.stats
    return made


def whole_frame(boxes: np.ndarray) -> SimpleNamespace:
    """The parts of a result that sources learn from."""
    return SimpleNamespace(detections=detections_of(*boxes), mask=RegionMask(GRID.full(True), {}, refresh=True))


def between_refreshes() -> MaskContext:
    return MaskContext(Detections.empty(), GRID, IMAGE_WH, 1, since_refresh=1)


def seen_after(*frames: np.ndarray, ring: int = 0, half_life: float = NO_DECAY,
               first: OccupancyStats | None = None) -> OccupancyStats:
    seen = first or OccupancyStats.nothing(GRID)
    for boxes in frames:
        seen = update_occupancy(seen, boxes, GRID, IMAGE_WH, ring, half_life)
    return seen


def test_without_a_half_life_it_is_the_share_of_the_frames():
    seen = seen_after(LEFT, NONE, LEFT, RIGHT)
    assert seen.share[1, 0] == pytest.approx(0.5) and seen.share[1, 5] == pytest.approx(0.25)
    assert seen.frames == 4 and np.count_nonzero(seen.share) == 2
    assert np.argwhere(seen.share).tolist() == [[1, 0], [1, 5]]
    assert np.count_nonzero(seen_after(LEFT, ring=1).share) == 6


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
    start = source(Adaptive(cover=1.0, ring=0), keep)
    assert np.array_equal(start.keep, keep) and start.stats.frames == 0
    start.observe(whole_frame(LEFT))
    later = start.stats
    assert later.share[0, 0] == later.share[1, 0] == pytest.approx(0.5) and later.frames == 1


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.floats(0.5, 20))
def test_shares_stay_shares(seed, ring, half_life):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, 100, (6, 3, 2))
    frames = [np.hstack([c, c + rng.uniform(1, 40, c.shape)]) for c in corners]
    first = OccupancyStats.from_mask(rng.random(GRID.shape) < 0.3)
    seen = seen_after(*frames, ring=ring, half_life=half_life, first=first)
    assert 0.0 <= seen.share.min() and seen.share.max() <= 1.0


def test_nothing_is_masked_before_an_object_was_seen():
    blank = source()
    assert blank.keep.all()
    masks = MaskComposer(GRID, IMAGE_WH, [blank], 8, RegionBudget(3, blank))
    assert masks.compose(between_refreshes()).keep.all(), "nothing is known to choose three regions by"


def test_only_whole_frames_teach():
    learner, part = OccupancyLearner(GRID, IMAGE_WH), whole_frame(LEFT)
    part.mask = RegionMask(~GRID.cover(RIGHT, IMAGE_WH), {}, refresh=False)
    learner.observe(part)
    assert learner.stats.frames == learner.heat.frames == 0


def test_a_moved_view_is_learned_and_the_old_one_fades():
    adaptive = source(Adaptive(4.0, 0.9, 0))
    for _ in range(30):
        adaptive.observe(whole_frame(LEFT))
    assert np.argwhere(adaptive.keep).tolist() == [[1, 0]]
    shown = []
    for _ in range(20):
        adaptive.observe(whole_frame(RIGHT))
        shown.append((bool(adaptive.keep[1, 0]), bool(adaptive.keep[1, 5])))
    assert shown[0] == (True, True) and shown[-1] == (False, True)
    mask = MaskComposer(GRID, IMAGE_WH, [adaptive], 8).compose(between_refreshes())
    np.testing.assert_array_equal(mask.keep, adaptive.keep)
    adaptive.reset()
    assert adaptive.stats.frames == 50, "it is still the same place"
    adaptive.forget()
    assert adaptive.stats.frames == 0 and adaptive.keep.all()


def test_a_static_mask_does_not_learn():
    keep = GRID.full(False)
    keep[3] = True
    masks = MaskComposer(GRID, IMAGE_WH, [StaticSource(keep)], 8)
    masks.observe(whole_frame(LEFT))
    assert np.array_equal(masks.compose(between_refreshes()).keep, keep)
    learned = masks.learned_mask(0.99)
    assert np.argwhere(learned.keep).tolist() == [[1, 0]], "what was seen is noted all the same, for save_static_mask"


def test_the_learned_mask_is_what_calibrate_makes_of_the_same_objects():
    masks, calibration, rng = MaskComposer(GRID, IMAGE_WH), Calibration(GRID), np.random.default_rng(4)
    with pytest.raises(UserError, match="no object was seen yet .in 0 frames observed as a whole"):
        masks.learned_mask(0.5)
    for corner in rng.uniform(0, 60, (20, 2)):
        boxes = np.array([[*corner, *(corner + 20)]])
        masks.observe(whole_frame(boxes))
        calibration.add(boxes, ["car"], IMAGE_WH)
    for cover in (0.5, 0.9):
        learned = masks.learned_mask(cover)
        assert np.array_equal(learned.keep, Target(cover, None).mask(calibration.heat)) and learned.frames == 20
    masks.observe(whole_frame(LEFT))
    assert learned.frames == 20 and learned.heat.sum() == pytest.approx(calibration.heat.sum()), "it is a copy"


@pytest.mark.parametrize("regions, warned", [
    (19, ""), (20, "the mask observes 83% of the regions, so it saves little")])
def test_a_learned_mask_that_saves_little_says_so(regions, warned):
    keep = np.arange(24).reshape(4, 6) < regions
    learned = LearnedMask(GRID, keep, keep * 1.0, 7)
    assert learned.text == f"{regions} of 24 regions kept ({regions / 24:.0%}), from 7 frames observed as a whole"
    assert learned.warning.startswith(warned) and bool(learned.warning) == bool(warned)


def test_a_budget_takes_the_hottest():
    seen = OccupancyStats(np.arange(24.0).reshape(4, 6) / 24, frames=9)
    adaptive = source(stats=seen)
    masks = MaskComposer(GRID, IMAGE_WH, [adaptive], 8, RegionBudget(5, adaptive))
    mask = masks.compose(between_refreshes())
    assert np.flatnonzero(mask.keep).tolist() == [19, 20, 21, 22, 23]
    assert np.array_equal(masks.learned_mask(0.1).keep, mask.keep) and np.array_equal(mask.sources["static"], mask.keep)
    assert np.array_equal(adaptive.ranks, rank_by_heat(seen.share))


@pytest.mark.parametrize("wrong, said", [
    ({"half_life": 0.0}, "half_life 0"), ({"half_life": float("nan")}, "half_life nan"), ({"cover": 0.0}, "cover 0"),
    ({"cover": 1.1}, "cover 1.1"), ({"ring": -1}, "ring -1"),
])
def test_invalid_values_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        Adaptive(**wrong)
