"""When everything is sent, whatever the masks say."""

from __future__ import annotations


def frames_to_refresh(frame: int, period: int) -> int | None:
    """How many frames after that one (counted from 0 since the last reset) the next refresh frame comes; 0: it is one.

    Frame 0 is a refresh frame. With ``period`` n > 0 so is every n-th frame after it; with 0 no other frame is, and
    then the answer is None. Everything is sent in one burst: spread over the frames, the seams between fresh and held
    regions fire the deep layers.
    """
    if frame == 0:
        return 0
    return -frame % period if period > 0 else None


def is_refresh(frame: int, period: int) -> bool:
    """True when that frame attends every region."""
    return frames_to_refresh(frame, period) == 0
