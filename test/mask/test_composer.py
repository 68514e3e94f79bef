"""Proposals of mask sources, united: refresh frames, budgets, and what a planner asks for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_detections import detections_of

from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.budget import RegionBudget, nearest_regions
from regionmask_ros.mask.composer import MaskComposer
from regionmask_ros.mask.schedule import is_refresh
from regionmask_ros.mask.source import NO_BOXES, MaskContext
from regionmask_ros.mask.static import StaticSource
from regionmask_ros.mask.tracking import TrackingSource

GRID, IMAGE_WH = RegionGrid(4, 6), (96, 64)
NO_OBJECTS = detections_of()


def masks(static=None, dynamic=False, period=8, regions=None) -> MaskComposer:
    sources = [] if static is None else [StaticSource(static)]
    budget = None if regions is None else RegionBudget(regions, sources[0] if sources else None)
    return MaskComposer(GRID, IMAGE_WH, [*sources, *[TrackingSource()] * dynamic], period, budget)


def context(frame=1, last=NO_OBJECTS, asked=NO_BOXES) -> MaskContext:
    return MaskContext(last, GRID, IMAGE_WH, frame, since_refresh=frame, attention=asked)


def test_without_sources_all_regions_are_kept():
    for frame in range(20):
        mask = masks().compose(context(frame))
        assert mask.keep.all() and mask.masked_share == 0.0 and mask.refresh == (frame == 0)


@pytest.mark.parametrize("period, expected", [(0, [0]), (1, list(range(9))), (4, [0, 4, 8])])
def test_refresh_frames_follow_the_period(period, expected):
    assert [t for t in range(9) if is_refresh(t, period)] == expected


def test_tracking_attends_boxes_and_one_region_around():
    keep = TrackingSource().propose(context(last=detections_of([34, 34, 46, 46])))
    assert np.argwhere(keep).tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3)]
    assert not TrackingSource().propose(context()).any()


def test_a_mask_that_attends_nothing_masks_everything():
    assert not masks(np.zeros(GRID.shape, bool)).compose(context()).keep.any()


class OddFrames:
    """A source that proposes one region in odd frames, and notes what it receives."""

    name = "odd"

    def __init__(self) -> None:
        self.told = []

    def propose(self, context):
        return GRID.cover(np.array([[0, 0, 16, 16]]), IMAGE_WH) if context.frame % 2 else None

    def observe(self, result):
        self.told.append(result)

    def reset(self):
        self.told.append("reset")


def test_a_new_source_is_one_class():
    source = OddFrames()
    composer = MaskComposer(GRID, IMAGE_WH, [source, TrackingSource()])
    odd, even = composer.compose(context(1)), composer.compose(context(2))
    assert np.argwhere(odd.keep).tolist() == [[0, 0]] and set(odd.sources) == {"odd", "dynamic"}
    assert not even.keep.any() and set(even.sources) == {"dynamic"}, "a source may have nothing to say"
    composer.reset()
    assert source.told == ["reset"]


def test_regions_that_a_planner_requests_are_kept_besides_the_masks():
    static = np.zeros(GRID.shape, bool)
    static[0, 0] = True
    asked = np.array([[40.0, 20.0, 60.0, 30.0]])
    mask = masks(static).compose(context(asked=asked))
    assert np.argwhere(mask.keep).tolist() == [[0, 0], [1, 2], [1, 3]]
    assert np.argwhere(mask.sources["attention"]).tolist() == [[1, 2], [1, 3]]
    assert "attention" not in masks(static).compose(context()).sources
    assert masks().compose(context(asked=asked)).keep.all(), "without a mask nothing is to be added"


@st.composite
def situations(draw):
    """Arguments of random masks, and of a context with random objects and boxes of a planner."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def some(most: int) -> np.ndarray:
        corner = rng.uniform(-10, 90, (rng.integers(0, most + 1), 2))
        return np.hstack([corner, corner + rng.uniform(1, 50, corner.shape)])

    static = rng.random(GRID.shape) < rng.random() if draw(st.booleans()) else None
    dynamic = static is None or draw(st.booleans())
    period = draw(st.integers(0, 6))
    return (static, dynamic, period), (draw(st.integers(0, 12)), detections_of(*some(4))), some(2)


@given(situations())
def test_the_mask_is_the_union_of_its_sources(situation):
    (static, dynamic, period), (frame, last), asked = situation
    composer, now = masks(static, dynamic, period), context(frame, last, asked)
    mask, more = composer.compose(context(frame, last)), composer.compose(now)
    sources = list(more.sources.values())
    assert more.refresh == is_refresh(frame, period) and more.masked_share == pytest.approx(1 - more.keep.mean())
    assert static is None or (more.sources["static"] == static).all()
    assert not dynamic or (more.sources["dynamic"] == GRID.cover(last.boxes, IMAGE_WH, ring=1)).all()
    assert more.keep.all() or not more.refresh
    assert more.keep[mask.keep].all(), "asking for more never masks anything"
    assert more.keep[GRID.cover(asked, IMAGE_WH)].all()
    assert all(more.keep[source].all() for source in sources)
    if not more.refresh:
        np.testing.assert_array_equal(more.keep, np.logical_or.reduce(sources), "and nothing else is observed")
        again = masks(more.keep, dynamic, period).compose(now)
        np.testing.assert_array_equal(again.keep, more.keep, "a union with what is in it already adds nothing")
    doubled = detections_of(*last.boxes, *last.boxes)
    np.testing.assert_array_equal(composer.compose(context(frame, doubled, asked)).keep, more.keep)
    assert more.masked_share <= mask.masked_share


@given(situations(), st.integers(0, 24))
def test_a_budget_is_kept_by_every_mask_and_cuts_nothing_that_a_planner_requests(situation, regions):
    (static, dynamic, period), (frame, last), asked = situation
    now = context(frame, last, asked)
    own = masks(static, dynamic, period).compose(now)
    mask = masks(static, dynamic, period, regions).compose(now)
    assert mask.refresh == own.refresh
    if mask.refresh:
        assert mask.keep.all()
        between = masks(static, dynamic, 0, regions).compose(context(1, last, asked))
        for name, source in between.sources.items():
            np.testing.assert_array_equal(mask.sources[name], source, "a refresh changes nothing of what masks say")
        return
    wanted = GRID.cover(asked, IMAGE_WH)
    assert mask.keep[wanted].all()
    np.testing.assert_array_equal(mask.keep, np.logical_or.reduce(list(mask.sources.values())))
    chosen = np.logical_or.reduce([own.sources[name] for name in own.sources if name != "attention"])
    for name in set(mask.sources) - {"attention"}:
        assert not (mask.sources[name] & wanted & ~chosen).any(), "what only a planner asks for is listed as attention"
    if static is None and not GRID.cover(last.boxes, IMAGE_WH).any():
        assert mask.keep.sum() == wanted.sum(), "without a box and a static mask nothing is known to observe"
    else:
        assert mask.keep.sum() == max(regions, wanted.sum())
    if own.keep.sum() <= regions:
        assert mask.keep[own.keep].all(), "grown around what the masks observe"
    elif not len(asked):
        assert own.keep[mask.keep].all(), "cut down inside it"
    if static is None and not len(asked):
        np.testing.assert_array_equal(mask.keep, nearest_regions(last.boxes, last.scores, GRID, IMAGE_WH, regions))


def test_regions_of_objects_come_before_the_static_mask():
    static = GRID.full(False)
    static[:, 0] = True
    mask = masks(static, True, regions=10).compose(context(last=detections_of([66, 18, 78, 30])))
    followed = GRID.cover(np.array([[66, 18, 78, 30]]), IMAGE_WH, ring=1)
    assert mask.keep[followed].all() and (mask.keep & static).sum() == 1
    np.testing.assert_array_equal(mask.sources["static"], mask.keep & static)
    np.testing.assert_array_equal(mask.sources["dynamic"], followed)


def test_shares_are_reported_by_cause():
    static = GRID.full(False)
    static[0] = True
    mask = masks(static, True).compose(
        context(last=detections_of([34, 34, 46, 46]), asked=np.array([[0.0, 0.0, 16.0, 16.0]])))
    assert mask.attended_shares == pytest.approx({"static": 6 / 24, "dynamic": 9 / 24, "attention": 1 / 24})
    assert masks(static).compose(context(0)).attended_shares == {"refresh": 1.0}
