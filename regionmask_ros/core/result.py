"""Exact operation counts of one frame.

The decision for one frame: which regions are sent.

One frame on its way through the pipeline, and what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..encoder.encoder import Events
from .detections import Detections
from .frame import Frame


@dataclass(frozen=True)
class StepCounts:
    """encoder_events: events that the encoder sent.

    layer_events: events that each layer but the head sent. synops: synaptic operations of each layer, head included: an
    event times the output neurons that it reaches (zero weights included, taps on the padding excluded).
    """

    encoder_events: int
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]

    @property
    def events(self) -> int:
        """Events of the encoder and of all layers."""
        return self.encoder_events + sum(self.layer_events)

    @property
    def total_synops(self) -> int:
        return sum(self.synops)


REFRESH = "refresh"
"""The cause of a frame that is sent as a whole."""


@dataclass(frozen=True)
class RegionMask:
    """keep: bool [rows, cols], True = attended: changes in it are sent as events in this frame.

    sources: the masks that were united, by name, each bool [rows, cols].
    refresh: everything is attended because this is a refresh frame (the first frame is one).
    """

    keep: np.ndarray
    sources: Mapping[str, np.ndarray]
    refresh: bool

    @property
    def attended_shares(self) -> dict[str, float]:
        """Share of the regions that each cause attends, 0 to 1; causes may overlap. On a refresh frame the refresh is
        the only cause.
        """
        if self.refresh:
            return {REFRESH: 1.0}
        return {cause: np.count_nonzero(keep) / keep.size for cause, keep in self.sources.items()}

    @property
    def masked_share(self) -> float:
        """Share of the regions that are not sent, 0 to 1."""
        return 1.0 - float(np.count_nonzero(self.keep)) / self.keep.size


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


def events_image(events: Events) -> np.ndarray:
    """``StepResult.events``: where these arose."""
    height, width, channels = events.shape
    image = np.zeros(height * width, np.uint8)
    image[events.index // channels] = 255
    return image.reshape(height, width)
