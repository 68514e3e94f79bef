"""Time stamps of frames, from those in the container."""

from __future__ import annotations

from fractions import Fraction

_NS = 1_000_000_000

JUMP_NS = 2 * _NS
"""Frames that are out of order are less than this apart."""


class Stamps:
    """Turns presentation times into stamps that count from 0 at the first frame and always grow.

    A time that is missing, or a little earlier than the one before, becomes one period after the stamp before. Where
    time jumps back by more, as where two recordings were joined, it goes on from there.

    Args:
        time_base: Unit of the times in seconds.
        fps: Frames per second, which gives the period.
    """

    def __init__(self, time_base: Fraction, fps: float) -> None:
        self._ns, self._units = (time_base * _NS).as_integer_ratio()
        self._period_ns = max(1, round(_NS / fps))
        self._last_ns: int | None = None
        self._offset_ns = 0

    def next(self, time: int | None) -> int:
        """Stamps the next frame.

        Args:
            time: Its presentation time; None where the container has none.

        Returns:
            Its stamp in nanoseconds.
        """
        real_ns = None if time is None else (2 * time * self._ns + self._units) // (2 * self._units)
        if self._last_ns is None:
            self._last_ns, self._offset_ns = 0, -(real_ns or 0)
            return 0
        expected_ns = self._last_ns + self._period_ns
        if real_ns is None:
            self._last_ns = expected_ns
            return expected_ns
        stamp_ns = real_ns + self._offset_ns
        if stamp_ns <= self._last_ns:
            if self._last_ns - stamp_ns > JUMP_NS:
                self._offset_ns = expected_ns - real_ns
            stamp_ns = expected_ns
        self._last_ns = stamp_ns
        return stamp_ns
