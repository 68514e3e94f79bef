"""The camera's rate, missing images, pauses and mixed cameras, from headers alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.ros.camera_watch import MAX_FRAME_IDS, MIN_INTERVALS, FrameIdWatch, RateWatch

START_NS = 10**18


def total(watch: RateWatch, stamps_s) -> tuple[int, int, int]:
    """Judged intervals, missing images and pauses of these stamps."""
    gaps = [watch.add(START_NS + round(stamp * 1e9)) for stamp in stamps_s]
    return sum(g.is_judged for g in gaps), sum(g.missing for g in gaps), sum(g.is_pause for g in gaps)


def test_rate_is_unknown_at_first_and_nothing_is_claimed():
    watch = RateWatch()
    assert total(watch, np.arange(MIN_INTERVALS) * 0.04) == (0, 0, 0) and watch.period_s is None
    assert total(watch, [(MIN_INTERVALS + 2) * 0.04]) == (0, 0, 0), "the interval that makes the rate known"
    assert watch.period_s == pytest.approx(0.04)


@pytest.mark.parametrize("fps", [0.5, 5.0, 30.0, 200.0])
@pytest.mark.parametrize("lost", [0.0, 0.1, 0.5])
def test_images_that_are_missing_are_estimated(fps, lost):
    rng = np.random.default_rng(7)
    came = rng.random(2000) >= lost
    came[:40] = came[-1] = True
    stamps = np.arange(2000) / fps + rng.normal(0.0, 0.03 / fps, 2000)
    judged, missing, pauses = total(RateWatch(), stamps[came])
    assert judged == np.count_nonzero(came) - 1 - MIN_INTERVALS
    assert missing + pauses >= 0.97 * np.count_nonzero(~came) and missing <= 1.03 * np.count_nonzero(~came)


@pytest.mark.parametrize(("stalls", "known"), [(0.01, (0.98, 1.0)), (0.05, (0.85, 1.0)), (0.6, (0.0, 0.2))])
@pytest.mark.parametrize("lost", [0.0, 0.2])
def test_a_sender_that_hurries_after_delays_loses_nothing_by_that(stalls, known, lost):
    """Each image is due after the period, but delays of up to four periods hold up all that follow.

    Where that happens at most images, the rate is unknown at most of them.
    """
    rng = np.random.default_rng(3)
    stamps, free_s = [], 0.0
    for number in range(3000):
        free_s = max(free_s, number / 70.0) + (rng.uniform(0.0, 4.0 / 70.0) if rng.random() < stalls else 0.0005)
        stamps.append(free_s)
    came = rng.random(3000) >= lost
    judged, missing, pauses = total(RateWatch(), np.array(stamps)[came])
    share = judged / np.count_nonzero(came)
    assert known[0] <= share <= known[1] and not pauses
    assert abs(missing - share * np.count_nonzero(~came)) <= 0.04 * 3000


def test_many_images_lost_in_a_row_are_estimated():
    came = [*range(40), *range(70, 110)]
    assert total(RateWatch(), np.array(came) / 30.0) == (79 - MIN_INTERVALS, 30, 0)


@pytest.mark.parametrize("fps", [5.0, 30.0])
def test_pause_is_no_loss(fps):
    stamps = np.arange(60) / fps
    stamps[40:] += 7.0
    assert total(RateWatch(), stamps) == (59 - MIN_INTERVALS, 0, 1)


def test_stamps_that_are_zero_repeat_or_jump_back_say_nothing():
    watch = RateWatch()
    total(watch, np.arange(20) * 0.04)
    for stamp_ns in (0, START_NS, START_NS, START_NS - 10**9):
        gap = watch.add(stamp_ns)
        assert not gap.is_judged and not gap.missing
    watch.restart()
    assert watch.period_s is None


@given(st.lists(st.integers(0, 2**63), max_size=60))
def test_any_stamps_give_an_estimate_or_none(stamps):
    watch = RateWatch()
    for stamp in stamps:
        assert watch.add(stamp).missing >= 0
    assert watch.period_s is None or watch.period_s > 0.0


def test_cameras_that_alternate_are_mixed_and_one_that_replaces_another_is_not():
    watch = FrameIdWatch()
    assert [watch.add(name, 0.0) for name in ("left", "left", "right", "right")] == [False, False, True, False]
    assert watch.mixed(0.0) == ()
    assert watch.add("left", 1.0)
    assert watch.mixed(2.0) == ("left", "right")
    assert watch.mixed(5.5) == (), "the last change alone is recent"


def test_sender_of_ever_new_frame_ids_is_limited():
    watch = FrameIdWatch()
    for index in range(10_000):
        watch.add(str(index), 0.0)
    assert 2 <= len(watch.mixed(0.0)) <= MAX_FRAME_IDS + 1
