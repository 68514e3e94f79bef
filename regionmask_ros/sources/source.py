"""What every source of pictures offers."""

from __future__ import annotations

from typing import Iterator, Protocol

from ..frames import Frame

FRAME_ID = "camera"
"""The camera's coordinate frame: files do not tell one."""


class Source(Protocol):
    """A sequence of pictures with time stamps.

    name: file or folder name, without the way to it.
    fps: frames per second at which the pictures were taken, or are to be shown.
    frame_count: number of frames that the source promises, None when it cannot know.
    size_wh: width and height of the first frame in pixels.
    """

    name: str
    fps: float
    frame_count: int | None
    size_wh: tuple[int, int]

    def frames(self) -> Iterator[Frame]:
        """All frames from the first one, each time it is called; one iteration at a time.

        Raises UserError, after the last good frame, when a frame cannot be decoded or the video ends early.
        """

    def close(self) -> None:
        """Releases files. An iteration that is under way ends."""

    def __enter__(self) -> Source: ...

    def __exit__(self, *exception: object) -> None: ...


def stamp_of(index: int, fps: float) -> int:
    """Time of the frame of that index, in nanoseconds from the first one."""
    return round(index * 1e9 / fps)
