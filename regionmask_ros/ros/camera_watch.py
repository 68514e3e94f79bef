"""What the headers of images say about the camera: its rate, images that are missing, pauses, and mixed cameras.

Whether the middleware lost an image is not always known. A gap between stamps shows it, but only as an estimate: a
camera may also have skipped the image. Imports nothing of ROS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

WINDOW = 32
"""Number of intervals that the rate is taken from."""

MIN_INTERVALS = 8
"""With fewer ones, the rate is unknown."""

TOLERANCE, MAX_MULTIPLE = 0.25, 8
"""An interval fits a period if it is a multiple of it, but for this share of the period, and no larger multiple."""

SUPPORT = 0.75
"""The share of the time that must be in intervals which fit. By chance, half of it fits any shorter period. Of a longer
interval, no more than ``MAX_MULTIPLE`` periods count.
"""

CANDIDATES = (0.5, 0.3, 0.2, 0.1)
"""Which of the intervals in ascending order are tried as the period: places, as shares of their number."""

FOLLOW = 0.1
"""The share of a deviation from the expected time by which the next expected time follows."""

PAUSE_S, PAUSE_PERIODS = 3.0, 10
"""A gap longer than both is a pause of the camera; the images in it were probably never taken."""

MIX_S = 5.0
"""Frame ids of this many seconds are compared."""

MAX_FRAME_IDS = 16
"""A sender may change the frame id with each image; no more than these are kept."""


@dataclass(frozen=True)
class Gap:
    """What lies between an image and the one before it.

    Attributes:
        is_judged: Whether the camera's rate was known, so that the others mean something.
        missing: Estimated number of images between the two.
        is_pause: Whether the camera has paused.
    """

    is_judged: bool = False
    missing: int = 0
    is_pause: bool = False


class RateWatch:
    """Estimates the rate of a camera, and the images that are missing, from stamps.

    The period is the one of which most intervals are a multiple: images that are missing do not change it. Where more
    than a quarter of the time does not fit, as when a sender often hurries after a delay, the rate is unknown, and
    nothing is claimed. A late image is followed by early ones, and then none was missing: images count as missing once
    the next one comes on time.
    """

    def __init__(self) -> None:
        self._intervals_s: deque[float] = deque(maxlen=WINDOW)
        self._period_s: float | None = None
        self._last_ns, self._late_s, self._open = 0, 0.0, 0

    @property
    def period_s(self) -> float | None:
        """Seconds between two images as the camera takes them; None as long as that is unknown."""
        return self._period_s

    def add(self, stamp_ns: int) -> Gap:
        """Takes the next image's stamp in nanoseconds. One of 0, and one that does not follow the last, say nothing."""
        last_ns, self._last_ns = self._last_ns, stamp_ns
        interval_s = (stamp_ns - last_ns) / 1e9
        if not (stamp_ns and last_ns) or interval_s <= 0.0:
            return Gap()
        period_s = self._period_s
        is_pause = period_s is not None and interval_s > max(PAUSE_S, PAUSE_PERIODS * period_s)
        if not is_pause:
            self._intervals_s.append(interval_s)
            self._period_s = find_period(sorted(self._intervals_s))
        if period_s is None or is_pause:
            missing, self._late_s, self._open = self._open if is_pause else 0, 0.0, 0
            return Gap(is_pause, missing, is_pause)
        return Gap(True, self._count_missing(interval_s, period_s))

    def restart(self) -> None:
        """Forgets the rate: the images of another camera follow."""
        self._last_ns, self._late_s, self._open = 0, 0.0, 0
        self._period_s = None
        self._intervals_s.clear()

    def _count_missing(self, interval_s: float, period_s: float) -> int:
        """Images that are missing before the last one, now that this one tells whether that was only late."""
        steps = round((self._late_s + interval_s) / period_s)
        self._late_s = (1.0 - FOLLOW) * (self._late_s + interval_s - steps * period_s)
        missing = self._open if steps > 0 else 0
        self._open = max(steps - 1 if steps > 0 else self._open + steps - 1, 0)
        return missing


def find_period(intervals_s: Sequence[float]) -> float | None:
    """Finds the period of a camera.

    Args:
        intervals_s: Between images that came one after the other, in ascending order.

    Returns:
        The period in seconds; None if it is unknown.
    """
    if len(intervals_s) < MIN_INTERVALS:
        return None
    # The longest one: if a period fits, so does its half.
    for place in CANDIDATES:
        guess_s = intervals_s[int(place * len(intervals_s))]
        single = [interval_s for interval_s in intervals_s if abs(interval_s - guess_s) <= 2.0 * TOLERANCE * guess_s]
        period_s = single[len(single) // 2]
        periods = [min(interval_s / period_s, MAX_MULTIPLE + 0.5) for interval_s in intervals_s]
        if sum(filter(_fits, periods)) >= SUPPORT * sum(periods):
            return period_s
    return None


def _fits(periods: float) -> bool:
    return periods >= 1.0 - TOLERANCE and abs(periods - round(periods)) <= TOLERANCE


class FrameIdWatch:
    """Finds images of several cameras on one topic. A camera that replaces another is no mixture."""

    def __init__(self) -> None:
        self._last: str | None = None
        self._changes: deque[tuple[float, str, str]] = deque(maxlen=MAX_FRAME_IDS)

    def add(self, frame_id: str, now_s: float) -> bool:
        """Takes the next image's frame id and monotonic time; returns whether it is another camera's."""
        last, self._last = self._last, frame_id
        if last is None or last == frame_id:
            return False
        self._changes.append((now_s, last, frame_id))
        return True

    def mixed(self, now_s: float) -> tuple[str, ...]:
        """The frame ids that alternate, in order; empty when at most one camera has replaced another."""
        recent = [(before, after) for time_s, before, after in list(self._changes) if now_s - time_s <= MIX_S]
        return tuple(sorted({name for change in recent for name in change})) if len(recent) > 1 else ()
