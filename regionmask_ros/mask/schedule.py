"""When everything is sent, whatever the masks say."""

from __future__ import annotations


def is_refresh(frame: int, period: int) -> bool:
    """True when that frame (counted from 0 since the last reset) attends every region.

    Frame 0 always does. With ``period`` n > 0 so does every n-th frame after it; with 0 no other frame does. Everything
    is sent in one burst: spread over the frames, the seams between fresh and held regions fire the deep layers.
    """
    return frame == 0 or (period > 0 and frame % period == 0)
