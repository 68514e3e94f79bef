"""What stamps give away, one by one."""

from __future__ import annotations

from regionmask_ros.ros.camera import NOTHING, REPEATED_STAMP, ZERO, StampMonitor


def test_time_that_goes_on_is_no_news():
    watch = StampMonitor()
    assert [watch.look(stamp) for stamp in (5, 6, 100)] == [NOTHING] * 3


def test_no_stamp_is_told_once_and_is_no_repetition():
    watch = StampMonitor()
    news = [watch.look(0) for _ in range(3)]
    assert [n.warning for n in news] == [ZERO, "", ""] and not any(n.repeated for n in news)
    assert watch.look(7) is NOTHING, "after none, any stamp goes on"


def test_each_repetition_is_marked_and_the_first_is_told():
    watch = StampMonitor()
    news = [watch.look(stamp) for stamp in (7, 7, 7, 8, 8)]
    assert [n.repeated for n in news] == [False, True, True, False, True]
    assert [n.warning for n in news] == ["", REPEATED_STAMP, "", "", ""]


def test_each_jump_back_is_told_with_its_size():
    watch = StampMonitor()
    told = [watch.look(stamp).warning for stamp in (5_000_000_000, 2_500_000_000, 3_000_000_000, 1_000_000_000)]
    assert "2.500 s" in told[1] and "2.000 s" in told[3] and not told[0] and not told[2]
