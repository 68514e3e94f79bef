"""A labelled sequence whose camera is turned once: what happens to a mask that was made for one view?

Nothing is invented: both views are cut from the pictures of the sequence, the first at their left edge, the second at
their right one. What is lost is the width beside them.
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
"""An object of which less is in the view is neither to be found nor to be missed."""


@dataclass(frozen=True)
class ViewShift:
    """The view moves to the right by that share of its own width, with the frame of that number, which counts from 0.

    Raises UserError for a share that is not above 0, or above 1.
    """

    share: float
    frame: int

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= MAX_MOVE:
            raise UserError(f"a view moved by {self.share:g}: must be above 0 and at most 1, the width of the view")

    def span(self, width: int, frame: int) -> tuple[int, int]:
        """First and end column that the view shows of a picture of that width, in the frame of that number."""
        shown = round(width / (1.0 + self.share))
        return (0, shown) if frame < self.frame else (width - shown, width)


class ShiftedView:
    """A source whose pictures are the views, see ``sources.source``."""

    def __init__(self, inner: Source, move: ViewShift) -> None:
        self._inner, self._move = inner, move
        self.name, self.fps, self.frame_count = inner.name, inner.fps, inner.frame_count
        low, high = move.span(inner.size_wh[0], 0)
        self.size_wh = high - low, inner.size_wh[1]

    def frames(self) -> Iterator[Frame]:
        for number, frame in enumerate(self._inner.frames()):
            low, high = self._move.span(frame.size_wh[0], number)
            yield replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, low:high]))

    def close(self) -> None:
        self._inner.close()

    def __enter__(self) -> ShiftedView:
        self._inner.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._inner.__exit__(*exception)


def shift_view(sequence: LabelledSequence, move: ViewShift) -> LabelledSequence:
    """The sequence as that view shows it, its labels with it."""
    with sequence.open() as source:
        width = source.size_wh[0]
    frames = {number: _crop_labels(one, *move.span(width, number)) for number, one in sequence.labels.frames.items()}
    return replace(
        sequence, labels=Labels(frames, sequence.labels.counted_class), open=lambda: ShiftedView(sequence.open(), move))


def _crop_labels(labels: FrameLabels, low: int, high: int) -> FrameLabels:
    """Labels in pixels of the view, cut at its edges; objects that are mostly beyond them are ignored."""
    boxes = labels.boxes.copy()
    boxes[:, 0::2] = np.clip(boxes[:, 0::2], low, high) - low
    whole, shown = labels.boxes[:, 2] - labels.boxes[:, 0], boxes[:, 2] - boxes[:, 0]
    kept = np.flatnonzero(shown > 0.0)
    ignore = labels.ignore | (shown < VISIBLE_SHARE * whole)
    return FrameLabels(boxes[kept], tuple(labels.names[i] for i in kept), ignore[kept], labels.tracks[kept])
