"""A labeled sequence whose camera view moves once, to test masks that were made for the first view.

Both views are crops of the sequence's images, the first at their left edge, the second at their right edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..core.frame import Frame
from ..errors import UserError
from ..sources import Source
from .labels import FrameLabels, LabelledSequence, Labels

MAX_MOVE = 1.0
VISIBLE_SHARE = 0.5
"""An object with a smaller part in the view is ignored."""


@dataclass(frozen=True)
class ViewShift:
    """A move of the view to the right.

    Attributes:
        share: The distance as a share of the view's width, above 0 and at most 1.
        frame: Number of the first frame of the second view, from 0.

    Raises:
        UserError: The share is out of range.
    """

    share: float
    frame: int

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= MAX_MOVE:
            raise UserError(f"a view moved by {self.share:g}: the share must be above 0 and at most 1")

    def span(self, width: int, frame: int) -> tuple[int, int]:
        """Computes the columns that the view shows.

        Args:
            width: Width of the sequence's images in pixels.
            frame: Number of the frame.

        Returns:
            The first column, and the one after the last.
        """
        view_width = round(width / (1.0 + self.share))
        return (0, view_width) if frame < self.frame else (width - view_width, width)


class ShiftedView(Source):
    """A source of the views.

    Args:
        inner: The source of the whole images. It is closed with this one.
        move: The move of the view.
    """

    def __init__(self, inner: Source, move: ViewShift) -> None:
        super().__init__(inner.reading)
        self._inner, self._move = inner, move
        self.name, self.fps, self.frame_count = inner.name, inner.fps, inner.frame_count
        low, high = move.span(inner.size_wh[0], 0)
        self.size_wh = high - low, inner.size_wh[1]

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        return (frame for _, frame in self.numbered())

    def numbered(self) -> Iterator[tuple[int, Frame]]:
        """See ``Source``."""
        for number, frame in self._inner.numbered():
            low, high = self._move.span(frame.size_wh[0], number)
            yield number, replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, low:high]))

    def close(self) -> None:
        """See ``Source``."""
        self._inner.close()


def shift_view(sequence: LabelledSequence, move: ViewShift) -> LabelledSequence:
    """Moves the view of a sequence.

    Args:
        sequence: The sequence of the whole images.
        move: The move of the view.

    Returns:
        The sequence of the views, with the labels in pixels of the view.
    """
    with sequence.open() as source:
        width = source.size_wh[0]
    frames = {number: _crop_labels(one, *move.span(width, number)) for number, one in sequence.labels.frames.items()}
    return replace(
        sequence, labels=Labels(frames, sequence.labels.counted_class), open=lambda: ShiftedView(sequence.open(), move))


def _crop_labels(labels: FrameLabels, low: int, high: int) -> FrameLabels:
    """Labels in pixels of the view, clipped at its edges; objects that are mostly outside are ignored."""
    boxes = labels.boxes.copy()
    boxes[:, 0::2] = np.clip(boxes[:, 0::2], low, high) - low
    widths, visible = labels.boxes[:, 2] - labels.boxes[:, 0], boxes[:, 2] - boxes[:, 0]
    selected = np.flatnonzero(visible > 0.0)
    ignore = labels.ignore | (visible < VISIBLE_SHARE * widths)
    return FrameLabels(
        boxes[selected], tuple(labels.names[i] for i in selected), ignore[selected], labels.tracks[selected])
