"""One frame on its way through the pipeline, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

import numpy as np

from .detection.detections import Detections
from .encoder import Events
from .frames import Frame
from .mask.region_mask import RegionMask
from .metrics.counts import StepCounts


@dataclass(frozen=True)
class StepResult:
    """What became of one frame.

    index: 0 for the pipeline's first frame. frame: the input, its header included. head: int32 [rows, cols, channels].
    What arrays it holds are to be read only: results of frames in which nothing was sent may share them.
    age: uint16 [rows, cols], frames since a region was last sent; 0: in this one.
    events: uint8 [height, width] of the network's input, 255 where a pixel sent events; None unless asked for.
    mask_text: what decided about this frame, for people, such as "tracking, refresh in 4".
    ms: wall time of each stage in ``metrics.run_summary.STAGES``; ``total`` is all the pipeline did for this frame.
    """

    index: int
    frame: Frame
    detections: Detections
    mask: RegionMask
    mask_text: str
    age: np.ndarray
    events: np.ndarray | None
    head: np.ndarray
    counts: StepCounts
    ms: Mapping[str, float]


@dataclass
class Pending:
    """A frame on its way through the backend. number: since the last fresh start, as the mask's state counts.

    coarse: its picture for ``detection.flow``; None where no schedule decides.
    """

    index: int
    number: int
    frame: Frame
    mask: RegionMask
    mask_text: str
    age: np.ndarray
    events: np.ndarray | None
    encoder_events: int
    coarse: np.ndarray | None
    ms: dict[str, float]


def events_picture(events: Events) -> np.ndarray:
    """``StepResult.events``: where these arose."""
    height, width, channels = events.shape
    picture = np.zeros(height * width, np.uint8)
    picture[events.index // channels] = 255
    return picture.reshape(height, width)
