"""Time stamps of frames, from any times that a container can hold."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.sources.video.stamps import Stamps

TIMES = st.one_of(st.none(), st.integers(-(2**62), 2**62))
BASES = st.sampled_from([Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 12_800), Fraction(1001, 24_000)])


@given(st.lists(TIMES, max_size=20), BASES, st.floats(0.1, 1000))
def test_stamps_begin_at_zero_and_always_grow(times, base, fps):
    stamps = Stamps(base, fps)
    found = [stamps.next(time) for time in times]
    assert found[:1] in ([], [0])
    assert all(later > earlier for earlier, later in pairwise(found))


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=20, unique=True), BASES)
def test_times_that_grow_are_kept(times, base):
    times = sorted(times)
    stamps = Stamps(base, 25.0)
    for time in times:
        assert abs(stamps.next(time) - (time - times[0]) * base * 10**9) <= 1


def test_frames_out_of_order_do_not_stretch_time_and_a_jump_back_goes_on():
    stamps = Stamps(Fraction(1, 25), 25.0)
    assert [stamps.next(time) // 40_000_000 for time in (1, 3, 2, 4, 5)] == [0, 2, 3, 4, 5]
    assert [stamps.next(time) // 40_000_000 for time in (6, 7, None, 9)] == [6, 7, 8, 9]
    stamps.next(1000)
    assert stamps.next(0) == (999 + 1) * 40_000_000 and stamps.next(5) == (1000 + 5) * 40_000_000
