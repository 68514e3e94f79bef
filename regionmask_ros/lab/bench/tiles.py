"""The tile engine's turn in a benchmark: dense, by its thresholds alone, and with today's tracking mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...core.detections import Detections
from ...core.grid import RegionGrid
from ...mask.composer import MaskComposer
from ...mask.source import MaskContext
from ...mask.tracking import TRACKING, TrackingSource
from ...tiles.frame import StepOutput
from ...tiles.network import TileNetwork
from .candidates import DENSE, SCORE_THRESHOLD, TILES, UNMASKED
from .clip import Clip

TILE_SETTINGS = (DENSE, UNMASKED, TRACKING)
REFRESH_PERIOD = 8
"""Frames from one refresh frame of ``TRACKING`` to the next."""

_COMPUTED_PIXELS = 1
"""Column of ``StepOutput.counts``."""


class TileStepper(Protocol):
    """The state of one camera, as ``tiles.reference.TileReference`` has it.

    Attributes:
        kernel_set: What computes.
        network: The quantized network.
    """

    kernel_set: str
    network: TileNetwork

    def step(self, image: np.ndarray | None, attended: np.ndarray | None = None, level: float = 0.0,
             input_threshold: float = 0.0, *, is_dense: bool = False) -> StepOutput:
        """Computes a frame; see ``TileReference.step``."""

    def reset(self) -> None:
        """Forgets all frames."""


class Decoder(Protocol):
    """Makes detections of heads."""

    def __call__(self, heads: Mapping[str, np.ndarray], image_wh: tuple[int, int], lowest: float) -> Detections:
        """Decodes.

        Args:
            heads: float32 [rows, cols, channels] of every output of the graph by name.
            image_wh: Width and height of the image.
            lowest: Lowest score.

        Returns:
            The detections.
        """


@dataclass(frozen=True)
class TileModel:
    """A network as the tile engine runs it.

    Attributes:
        name: Of the network.
        decode: Makes detections of its heads.
        level: Of the thresholds.
        input_threshold: Of the image, of 255.
        calibration: Sequence that it was quantized on.
    """

    name: str
    decode: Decoder
    level: float
    input_threshold: float
    calibration: str


class TileCandidate:
    """One camera of the tile engine. Its first frame is always dense.

    The tracking mask is made of the engine's own detections, between the timed steps.

    Args:
        model: The network.
        engine: A state of its own.
        clip: The frames, for their sizes.
        setting: One of ``TILE_SETTINGS``.
    """

    backend = "cpu"
    engine = TILES
    threads = 1
    counting = True

    def __init__(self, model: TileModel, engine: TileStepper, clip: Clip, setting: str) -> None:
        self.network, self.setting, self.path = model.name, setting, engine.kernel_set
        self.calibration = model.calibration
        self._model, self._engine, self._image_wh = model, engine, clip.image_wh
        graph = engine.network.graph
        shapes, macs = graph.shapes(clip.input_wh), graph.macs(clip.input_wh)
        self._macs_per_pixel = np.array([macs[node.name] / np.prod(shapes[node.name][:2]) for node in graph.nodes])
        self._all_macs = sum(macs.values())
        self._grid = RegionGrid.of_input(clip.input_wh)
        self.mac_share: float | None = None
        self.reset()

    def step(self, image: np.ndarray) -> StepOutput:
        """Computes one frame.

        Args:
            image: uint8 [height, width, 3], RGB.

        Returns:
            The heads; valid until the next step.
        """
        if self.setting == DENSE:
            return self._engine.step(image, is_dense=True)
        return self._engine.step(image, self._attended, self._model.level, self._model.input_threshold)

    def follow(self, raw: StepOutput) -> None:
        """Counts, and makes the mask of the next frame; see `Candidate`."""
        self.mac_share = float(raw.counts[1:, _COMPUTED_PIXELS] @ self._macs_per_pixel) / self._all_macs
        self._frame += 1
        if self.setting == TRACKING:
            last = self.detect(raw, self._image_wh, SCORE_THRESHOLD)
            context = MaskContext(last, self._grid, self._image_wh, self._frame, since_refresh=self._frame)
            self._attended = self._composer.compose(context).keep

    def reset(self, refresh_period: int = 0) -> None:
        """Returns to the state before the first frame; a refresh period of 0 is that of ``REFRESH_PERIOD``."""
        self._engine.reset()
        self._composer = MaskComposer(
            self._grid, self._image_wh, [TrackingSource()], refresh_period or REFRESH_PERIOD)
        self._frame, self._attended = 0, self._grid.full(True)

    def counts(self) -> None:
        """Returns None: multiplications are counted, not synaptic operations."""

    def detect(self, raw: StepOutput, image_wh: tuple[int, int], lowest: float) -> Detections:
        """Decodes the heads; see `Candidate`."""
        return self._model.decode(raw.heads, image_wh, lowest)


def open_candidates(model: TileModel, engines: Mapping[str, TileStepper], clip: Clip) -> list[TileCandidate]:
    """Makes a candidate for each setting.

    Args:
        model: The network.
        engines: A state by setting, of ``TILE_SETTINGS``.
        clip: The frames.

    Returns:
        The candidates, in the order of ``TILE_SETTINGS``.
    """
    return [TileCandidate(model, engines[setting], clip, setting) for setting in TILE_SETTINGS if setting in engines]
