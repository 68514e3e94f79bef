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


@dataclass(frozen=True, eq=False)
class NodeCosts:
    """What a pixel of every node of a network on the tile engine costs. All frames of a camera share it.

    Attributes:
        macs: int64 [nodes], multiply-accumulate operations of a computed pixel; those on the padding count.
        read_bytes: int64 [nodes], bytes that a computed pixel reads from held tensors.
        written_bytes: int64 [nodes], bytes of a replaced pixel.
        dense_macs: Operations of all nodes for a whole frame.
    """

    macs: np.ndarray
    read_bytes: np.ndarray
    written_bytes: np.ndarray
    dense_macs: int


@dataclass(frozen=True)
class TileTotals:
    """Exact counts of one frame of the tile engine, over all nodes.

    Attributes:
        tiles: Tiles that were computed, the active ones.
        macs: Multiply-accumulate operations.
        moved_bytes: Bytes that were read from held tensors and written to them.
        mac_share: ``macs`` as a share of those of the dense network.
    """

    tiles: int
    macs: int
    moved_bytes: int
    mac_share: float


@dataclass(frozen=True, eq=False)
class TileCounts:
    """Exact counts of one frame of the tile engine, by node in the order of the graph.

    Only the first three arrays are kept of a frame. All else is computed when it is asked for.

    Attributes:
        tiles: int64 [nodes], tiles that were computed.
        pixels: int64 [nodes], pixels that were computed.
        replaced_pixels: int64 [nodes], pixels of the tiles whose change reached the threshold.
        costs: What a pixel of every node costs.
    """

    tiles: np.ndarray
    pixels: np.ndarray
    replaced_pixels: np.ndarray
    costs: NodeCosts

    @property
    def macs(self) -> np.ndarray:
        """Multiply-accumulate operations, int64 [nodes]; those on the padding count."""
        done: np.ndarray = self.pixels * self.costs.macs
        return done

    @property
    def moved_bytes(self) -> np.ndarray:
        """Bytes read from held tensors and written to them, int64 [nodes].

        A copy that the memory's layout saves counts, too.
        """
        moved: np.ndarray = self.pixels * self.costs.read_bytes + self.replaced_pixels * self.costs.written_bytes
        return moved

    @property
    def totals(self) -> TileTotals:
        """Over all nodes."""
        macs, dense = int(self.pixels @ self.costs.macs), max(1, self.costs.dense_macs)
        return TileTotals(int(self.tiles.sum()), macs, int(self.moved_bytes.sum()), macs / dense)


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
        counts: Counts of events and synaptic operations; None for an ONNX network, which sends no events.
        ms: Wall time of each stage in ``report.run_page.STAGES``; ``total`` is all that the pipeline did for this
            frame.
        tile_counts: Counts of the tile engine; None where another backend computes.
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
    tile_counts: TileCounts | None = None


def make_events_image(events: Events) -> np.ndarray:
    """Makes the image of ``StepResult.events``."""
    height, width, channels = events.shape
    image = np.zeros(height * width, np.uint8)
    image[events.index // channels] = 255
    return image.reshape(height, width)
