"""What follows a failure of a backend: one restart, then the fallback or no detection, and a first failure later on."""

from __future__ import annotations

import pytest

from regionmask_ros.pipeline.backend_health import NOTICE_LIFETIME_S, STABLE_AFTER_S, BackendHealth


def test_first_failure_restarts_and_second_one_falls_back():
    first = BackendHealth().fail("lava_sim", "it hangs", "cpu", 100.0)
    assert first.restarts == 1 and first.restarted_s == 100.0 and first.given_up_s is None
    assert first.notice.line == "backend lava_sim failed and is started again: it hangs" and not first.notice.is_error
    assert first.notice.at(1e9) == first.notice, "until it works again"
    working = first.recover(100.5)
    assert working.notice.at(100.4 + NOTICE_LIFETIME_S) == working.notice
    assert not working.notice.at(100.5 + NOTICE_LIFETIME_S)
    assert working.recover(101.0) is working
    second = working.fail("lava_sim", "it hangs", "cpu", 101.0)
    assert second.restarted_s is None and second.restarts == 1 and not second.refuses_frames(101.0)
    assert "cpu takes over: it hangs" in second.notice.line and not second.notice.is_error
    assert second.notice.at(1e9) == second.notice


def test_without_a_fallback_frames_are_refused_for_a_while():
    health = BackendHealth()
    for now_s in (0.0, 10.0):
        health = health.fail("loihi2", "no board", "", now_s)
    assert health.notice.is_error and health.reason == "no board" and health.given_up_s == 10.0
    assert health.refuses_frames(10.0) and health.refuses_frames(10.0 + STABLE_AFTER_S - 1)
    assert not health.refuses_frames(10.0 + STABLE_AFTER_S)
    later = health.fail("loihi2", "no board", "", 10.0 + STABLE_AFTER_S)
    assert later.restarts == 2 and later.given_up_s is None


@pytest.mark.parametrize("later_s, restarts", [(STABLE_AFTER_S - 0.1, 1), (STABLE_AFTER_S, 2)])
def test_failure_after_a_stable_period_counts_as_a_first_one(later_s, restarts):
    first = BackendHealth().fail("lava_sim", "it hangs", "cpu", 5.0)
    assert first.fail("lava_sim", "it hangs", "cpu", 5.0 + later_s).restarts == restarts


def test_backend_that_works_again_keeps_only_its_number_of_restarts():
    health = BackendHealth()
    for now_s in (0.0, 1.0):
        health = health.fail("lava_sim", "it hangs", "", now_s)
    assert health.recover(2.0) == BackendHealth(restarts=1)
