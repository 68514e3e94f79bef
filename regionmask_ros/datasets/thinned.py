"""A labeled sequence of which every N-th frame is left, to see what a lower frame rate costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..core.frame import Frame
from ..sources import Source
from .labels import LabelledSequence, Labels


class ThinnedSource(Source):
    """A source of frames 0, N, 2 N and so on, with their own time stamps.

    Args:
        inner: The source of all frames. It is closed with this one.
        every: N, 1 or more.
    """

    def __init__(self, inner: Source, every: int) -> None:
        super().__init__(inner.reading)
        self._inner, self._every = inner, every
        self.name, self.size_wh, self.fps = inner.name, inner.size_wh, inner.fps / every
        self.frame_count = None if inner.frame_count is None else -(-inner.frame_count // every)

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        return (frame for _, frame in self.numbered())

    def numbered(self) -> Iterator[tuple[int, Frame]]:
        """See ``Source``."""
        return ((number // self._every, frame) for number, frame in self._inner.numbered() if number % self._every == 0)

    def close(self) -> None:
        """See ``Source``."""
        self._inner.close()


def thin_out(sequence: LabelledSequence, every: int) -> LabelledSequence:
    """Leaves every N-th frame of a sequence, with its labels. All classes stay scored.

    Args:
        sequence: The whole sequence.
        every: N, 1 or more. 1: the sequence itself.

    Returns:
        The sequence of frames 0, N, 2 N and so on, which are numbered anew.
    """
    if every == 1:
        return sequence
    frames = {number // every: one for number, one in sequence.labels.frames.items() if number % every == 0}
    return replace(sequence, labels=Labels(frames, sequence.labels.counted_class),
                   open=lambda: ThinnedSource(sequence.open(), every))
