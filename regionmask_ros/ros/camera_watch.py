"""What the headers of images say about the camera: its rate, images that are missing, pauses, and mixed cameras.

Whether the middleware lost an image is not always known. A gap between stamps shows it, but only as an estimate: a
camera may also have skipped the image. Imports nothing of ROS.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

WINDOW = 32
"""Number of intervals that the rate is taken from."""

MIN_INTERVALS = 8
"""With fewer ones, the rate is unknown."""

SINGLE = 1.5
"""An interval up to this multiple of a short one has no image missing in it."""

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

    The rate is that of the shorter intervals: gaps double an interval, and do not change the rate of the others.
    """

    def __init__(self) -> None:
        self._last_ns = 0
        self._intervals_s: deque[float] = deque(maxlen=WINDOW)

    @property
    def period_s(self) -> float | None:
        """Seconds between two images as the camera takes them; None as long as that is unknown."""
        if len(self._intervals_s) < MIN_INTERVALS:
            return None
        intervals = sorted(self._intervals_s)
        limit = SINGLE * intervals[len(intervals) // 10]
        single = intervals[:bisect_right(intervals, limit)]
        return single[len(single) // 2]

    def add(self, stamp_ns: int) -> Gap:
        """Takes the next image's stamp in nanoseconds. One of 0, and one that does not follow the last, say nothing."""
        last_ns, self._last_ns = self._last_ns, stamp_ns
        interval_s = (stamp_ns - last_ns) / 1e9
        if not (stamp_ns and last_ns) or interval_s <= 0.0:
            return Gap()
        period_s = self.period_s
        is_pause = period_s is not None and interval_s > max(PAUSE_S, PAUSE_PERIODS * period_s)
        if not is_pause:
            self._intervals_s.append(interval_s)
        if period_s is None:
            return Gap()
        return Gap(True, 0 if is_pause else max(round(interval_s / period_s) - 1, 0), is_pause)

    def restart(self) -> None:
        """Forgets the rate: the images of another camera follow."""
        self._last_ns = 0
        self._intervals_s.clear()


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
