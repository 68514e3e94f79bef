"""Counts that add up, and figures of the last seconds."""

from __future__ import annotations

import pytest

from regionmask_ros.ros.diagnostics import DROPS
from regionmask_ros.ros.frame_stats import (
    DropKind,
    DropReason,
    FrameCounts,
    FrameOutcome,
    FrameStats,
    plausible_latency_ms,
)


def outcome(time_s: float, masked_share: float | None = 0.5, node_ms: float = 10.0, mac_share: float | None = None,
            tiles: int | None = None) -> FrameOutcome:
    return FrameOutcome(time_s, node_ms, None, masked_share, 100, 1000, mac_share, tiles, pipeline_ms=node_ms - 1.0)


def test_frames_in_flight_are_neither_answered_nor_dropped():
    assert FrameCounts(received=10, answered=5, overwritten=2, refused=1, lost=7).in_flight == 2


def test_counts_add_up():
    frame_stats = FrameStats(0.0)
    frame_stats.count(received=1)
    frame_stats.count(received=1, overwritten=1)
    frame_stats.add(outcome(1.0))
    assert frame_stats.counts == FrameCounts(received=2, answered=1, overwritten=1)
    assert frame_stats.counts.in_flight == 0


@pytest.mark.parametrize("kind", DropKind)
def test_every_kind_of_drop_counts_once_and_is_in_the_diagnostics(kind):
    frame_stats = FrameStats(0.0)
    frame_stats.count(received=3)
    frame_stats.drop(DropReason("why", kind))
    counts = frame_stats.counts
    assert (counts.broken, counts.in_flight, counts.failed) == (1, 2, int(kind is not DropKind.UNREADABLE))
    assert [getattr(counts, other.value) for other in DROPS] == [int(other is kind) for other in DropKind]


def test_figures_are_those_of_the_last_five_seconds():
    frame_stats = FrameStats(0.0)
    for second in range(11):
        frame_stats.add(outcome(float(second), masked_share=second / 10, node_ms=float(second)))
    figures = frame_stats.figures(10.0)
    assert figures.fps == pytest.approx(6 / 5)
    assert figures.masked_share == pytest.approx((0.5 + 0.6 + 0.7 + 0.8 + 0.9 + 1.0) / 6)
    assert figures.node_ms[0] == pytest.approx(7.5) and figures.pipeline_ms[0] == pytest.approx(6.5)
    assert (figures.events, figures.synops) == (100.0, 1000.0)


def test_work_of_the_tile_engine_is_a_mean_over_the_frames_that_have_it():
    frame_stats = FrameStats(0.0)
    frame_stats.add(outcome(1.0))
    assert (frame_stats.figures(1.0).mac_share, frame_stats.figures(1.0).tiles) == (None, None)
    for share, tiles in ((0.25, 100), (0.0, 0)):
        frame_stats.add(outcome(1.0, mac_share=share, tiles=tiles))
    figures = frame_stats.figures(1.0)
    assert (figures.mac_share, figures.tiles) == (0.125, 50.0)


def test_rate_is_zero_and_figures_are_unknown_when_images_stop():
    frame_stats = FrameStats(0.0)
    frame_stats.add(outcome(1.0))
    figures = frame_stats.figures(7.0)
    assert figures.fps == 0.0
    assert figures.node_ms[0] is None and figures.masked_share is None and figures.events is None


def test_first_frame_does_not_count_towards_the_masked_share():
    frame_stats = FrameStats(0.0)
    frame_stats.add(outcome(1.0, masked_share=None))
    frame_stats.add(outcome(1.1, masked_share=0.6))
    assert frame_stats.figures(1.2).masked_share == pytest.approx(0.6)


@pytest.mark.parametrize(("stamp_ns", "expected_ms"), [
    (0, None),
    (90_000_000_000, 10_000.0),
    (100_000_000_000, 0.0),
    (100_000_000_001, None),
    (39_999_000_000, None),
    (40_000_000_000, 60_000.0),
])
def test_only_plausible_stamps_give_a_latency(stamp_ns, expected_ms):
    assert plausible_latency_ms(stamp_ns, 100_000_000_000) == expected_ms
