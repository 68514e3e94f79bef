"""What becomes of a backend that fails: started once more, then given up, and forgiven after a good while."""

from __future__ import annotations

import pytest

from regionmask_ros.pipeline.backend_manager import (
    NOTICE_LIFETIME_S,
    STABLE_AFTER_S,
    FailureAction,
    Supervision,
    Supervisor,
    decide_recovery,
)


def test_once_more_then_another_backend():
    supervisor = Supervisor()
    assert supervisor.failed("lava_sim", "it hangs", "cpu", 100.0) is FailureAction.RESTART
    told = supervisor.state.notice
    assert told.line == "backend lava_sim failed and is started again: it hangs" and not told.error
    assert told.at(1e9) == told, "until it is up again"
    supervisor.works(100.5)
    told = supervisor.state.notice
    assert told.line and told.at(100.4 + NOTICE_LIFETIME_S) == told and not told.at(100.5 + NOTICE_LIFETIME_S).line
    assert supervisor.failed("lava_sim", "it hangs", "cpu", 101.0) is FailureAction.FALL_BACK
    told = supervisor.state.notice
    assert "cpu goes on: it hangs" in told.line and not told.error and told.at(1e9) == told
    assert supervisor.state.restarts == 1 and not supervisor.state.rests(101.0)


def test_without_another_one_it_rests_and_is_tried_again():
    supervisor = Supervisor()
    supervisor.failed("loihi2", "no board", "", 0.0)
    assert supervisor.failed("loihi2", "no board", "", 10.0) is FailureAction.GIVE_UP
    state = supervisor.state
    assert state.notice.error and state.reason == "no board"
    assert state.rests(10.0) and state.rests(10.0 + STABLE_AFTER_S - 1) and not state.rests(10.0 + STABLE_AFTER_S)
    assert supervisor.failed("loihi2", "no board", "", 10.0 + STABLE_AFTER_S) is FailureAction.RESTART


@pytest.mark.parametrize("later_s, verdict", [
    (STABLE_AFTER_S - 0.1, FailureAction.FALL_BACK), (STABLE_AFTER_S, FailureAction.RESTART)])
def test_a_failure_after_a_good_while_counts_as_a_first_one(later_s, verdict):
    first, _ = decide_recovery(Supervision(), "lava_sim", "it hangs", "cpu", 5.0)
    assert decide_recovery(first, "lava_sim", "it hangs", "cpu", 5.0 + later_s)[1] is verdict


def test_the_forgiven_have_no_past_but_a_number():
    supervisor = Supervisor()
    supervisor.failed("lava_sim", "it hangs", "", 0.0)
    supervisor.failed("lava_sim", "it hangs", "", 1.0)
    supervisor.works(2.0)
    assert supervisor.state == Supervision(restarts=1)
