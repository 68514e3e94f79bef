"""The tile engine's turn in a benchmark: dense, by its thresholds alone, and with today's tracking mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...backends.tiles import read_tiles
from ...core.detections import Detections
from ...core.grid import RegionGrid
from ...core.look import Look, LookOutput
from ...core.result import TileCounts
from ...detection.heads import decode_looks
from ...errors import UserError
from ...mask.composer import MaskComposer
from ...mask.source import MaskContext
from ...mask.tracking import TRACKING, TrackingSource
from ...network.dense import DenseNetwork
from ...tiles.runner import RunOutput, TileRunner
from .candidates import DENSE, NMS_IOU, SCORE_THRESHOLD, TILES, UNMASKED
from .clip import Clip

TILE_SETTINGS = (DENSE, UNMASKED, TRACKING)
REFRESH_PERIOD = 8
"""Frames from one refresh frame of ``TRACKING`` to the next."""

LEVEL = 1
"""Of the thresholds: that of the preset balanced."""


class TileCandidate:
    """One camera of the tile engine. Its first frame is always dense.

    The tracking mask is made of the engine's own detections, between the timed steps.

    Args:
        network: The network, with its quantized form.
        clip: The frames, for their sizes.
        setting: One of ``TILE_SETTINGS``.
        kernel_set: As for ``TileEngine``.

    Attributes:
        graph: The quantized graph.
    """

    backend = "cpu"
    engine = TILES
    threads = 1
    counting = True
    calibration = ""

    def __init__(self, network: DenseNetwork, clip: Clip, setting: str, kernel_set: str = "") -> None:
        stored = read_tiles(network)
        self._runner = TileRunner(stored.network, stored.tail, clip.input_wh, kernel_set)
        self.network, self.setting, self.path = network.name, setting, self._runner.engine.kernel_set
        self._head, self._image_wh = network.head, clip.image_wh
        self._look = Look((0.0, 0.0, float(clip.image_wh[0]), float(clip.image_wh[1])), clip.input_wh)
        self._level = stored.network.levels[LEVEL]
        self.graph = stored.network.graph
        self._grid = RegionGrid.near_input(clip.input_wh)
        self.mac_share: float | None = None
        self.reset()

    def step(self, image: np.ndarray) -> RunOutput:
        """Computes one frame.

        Args:
            image: uint8 [height, width, 3], RGB.

        Returns:
            The arrays of the network's outputs; valid until the next step.
        """
        if self.setting == DENSE:
            return self._runner.step(image, is_dense=True)
        return self._runner.step(image, self._attended, self._level)

    def follow(self, raw: RunOutput) -> None:
        """Counts, and makes the mask of the next frame; see `Candidate`."""
        self.mac_share = self.count_nodes(raw).totals.mac_share
        self._frame += 1
        if self.setting == TRACKING:
            last = self.detect(raw, self._image_wh, SCORE_THRESHOLD)
            context = MaskContext(last, self._grid, self._image_wh, self._frame, since_refresh=self._frame)
            self._attended = self._composer.compose(context).keep

    def reset(self, refresh_period: int = 0) -> None:
        """Returns to the state before the first frame; a refresh period of 0 is that of ``REFRESH_PERIOD``."""
        self._runner.reset()
        self._composer = MaskComposer(
            self._grid, self._image_wh, [TrackingSource()], refresh_period or REFRESH_PERIOD)
        self._frame, self._attended = 0, self._grid.full(True)

    def counts(self) -> None:
        """Returns None: multiplications are counted, not synaptic operations."""

    def count_nodes(self, raw: RunOutput) -> TileCounts:
        """Exact counts of the last step, by node."""
        return self._runner.meter.measure(raw.step.counts)

    def detect(self, raw: RunOutput, image_wh: tuple[int, int], lowest: float) -> Detections:
        """Decodes the outputs; see `Candidate`."""
        return decode_looks((LookOutput(self._look, raw.outputs),), self._head, image_wh, lowest, NMS_IOU).found


def open_tiles(network: DenseNetwork, settings: Sequence[str], clip: Clip, report: Callable[[str], None]
               ) -> list[TileCandidate]:
    """Makes a candidate for each setting.

    Args:
        network: The network.
        settings: Some of ``TILE_SETTINGS``.
        clip: The frames.
        report: Called with a line if the engine cannot run the network.

    Returns:
        The candidates; none if the engine cannot run the network.
    """
    try:
        return [TileCandidate(network, clip, setting) for setting in settings]
    except UserError as error:
        report(f"{TILES} is left out: {error}")
        return []
