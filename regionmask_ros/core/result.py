"""What became of one frame: the observed regions, the exact counts of operations, and the result as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .detections import Detections
from .events import Events
from .frame import Frame


@dataclass(frozen=True)
class StepCounts:
    """Exact counts of one frame.

    Attributes:
        encoder_events: Events that the encoder sent.
        layer_events: Events that each layer but the head sent.
        synops: Synaptic operations of each layer, head included: an event times the output neurons that it reaches
            (zero weights included, taps on the padding excluded).
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
        """Synaptic operations of all layers."""
        return sum(self.synops)


REFRESH = "refresh"
"""The cause of a frame that is observed as a whole."""


@dataclass(frozen=True)
class RegionMask:
    """The observed regions of one frame.

    Attributes:
        keep: bool [rows, cols], True = observed: changes in it are sent as events in this frame.
        sources: What each mask source proposed, by name, bool [rows, cols] each.
        refresh: Whether everything is observed because this is a refresh frame. The first frame is one.
    """

    keep: np.ndarray
    sources: Mapping[str, np.ndarray]
    refresh: bool

    @property
    def attended_shares(self) -> dict[str, float]:
        """Share of the regions that each cause observes, 0 to 1; causes may overlap.

        On a refresh frame the refresh is the only cause.
        """
        if self.refresh:
            return {REFRESH: 1.0}
        return {cause: np.count_nonzero(keep) / keep.size for cause, keep in self.sources.items()}

    @property
    def masked_share(self) -> float:
        """Share of the regions that are masked, 0 to 1."""
        return 1.0 - float(np.count_nonzero(self.keep)) / self.keep.size


@dataclass(frozen=True)
class StepResult:
    """What became of one frame. Its arrays must not be changed: frames in which nothing was sent may share them.

    Attributes:
        index: Number of the frame; 0 for the pipeline's first one.
        frame: The input, its header included.
        detections: The objects that are reported.
        mask: The observed regions.
        mask_text: What decided about this frame, for people, such as "tracking, refresh in 4".
        age: uint16 [rows, cols], frames since a region was last observed; 0: in this one.
        events: uint8 [height, width] of the network's input, 255 where a pixel sent events. None unless asked for.
        head: The network's output, see ``backends.base.BackendResult``.
        counts: Counts of operations; None for a dense network, which sends no events.
        ms: Wall time of each stage in ``report.run_page.STAGES``; ``total`` is all that the pipeline did for this
            frame.
    """

    index: int
    frame: Frame
    detections: Detections
    mask: RegionMask
    mask_text: str
    age: np.ndarray
    events: np.ndarray | None
    head: Any
    counts: StepCounts | None
    ms: Mapping[str, float]


def make_events_image(events: Events) -> np.ndarray:
    """Makes the image of ``StepResult.events``."""
    height, width, channels = events.shape
    image = np.zeros(height * width, np.uint8)
    image[events.index // channels] = 255
    return image.reshape(height, width)
