"""Checks of time stamps, one image after the other."""

from __future__ import annotations

from regionmask_ros.ros.camera import REPEATED_STAMP, ZERO_STAMP, StampCheck, StampMonitor


def check_all(*stamps_ns: int) -> list[StampCheck]:
    monitor = StampMonitor()
    return [monitor.check(stamp_ns) for stamp_ns in stamps_ns]


def test_growing_stamps_give_no_warning():
    assert check_all(5, 6, 100) == [StampCheck()] * 3


def test_missing_stamps_give_one_warning_and_are_no_repetition():
    checks = check_all(0, 0, 0, 7)
    assert [check.warning for check in checks] == [ZERO_STAMP, "", "", ""]
    assert not any(check.is_repeated for check in checks)


def test_each_repetition_is_marked_and_the_first_gives_a_warning():
    checks = check_all(7, 7, 7, 8, 8)
    assert [check.is_repeated for check in checks] == [False, True, True, False, True]
    assert [check.warning for check in checks] == ["", REPEATED_STAMP, "", "", ""]


def test_each_jump_back_gives_a_warning_with_its_size():
    warnings = [check.warning for check in check_all(5_000_000_000, 2_500_000_000, 3_000_000_000, 1_000_000_000)]
    assert "2.500 s" in warnings[1] and "2.000 s" in warnings[3] and not warnings[0] and not warnings[2]
