"""Levels of the tile engine's thresholds, from unlabeled video.

A network is run with one level after the other, unmasked, and compared with itself when everything is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from ...core.detections import Detections
from ...importing.calibration import decode_outputs
from ...metrics.agreement import SURE, measure_agreement
from ...network.dense import DenseNetwork
from ...tiles.network import TileNetwork
from ...tiles.quantization.files import StoredTiles
from ...tiles.runner import RunOutput, TileRunner
from ...tiles.work import WorkMeter
from .trial import MIN_OBJECTS, ClipSegment

LADDER = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0)
"""Levels that are tried."""

ALLOWED = (0.5, 0.75, 1.75)
"""Points of average precision that the levels of the presets ``careful``, ``balanced`` and ``fast`` may cost. The masks
of the last two, and the idle frames of ``fast``, cost about as much again."""


@dataclass(frozen=True)
class LevelFigures:
    """What a level saves and costs.

    Attributes:
        level: Multiplies the factors of the tensors.
        mac_share: Multiply-accumulate operations, in percent of those when everything is computed: mean over the clips.
            The first frames of segments do not count.
        agreement: Average precision with what is found when everything is computed as the objects, 0 to 100. All clips
            are counted together, so that the few objects of one of them do not decide.
    """

    level: float
    mac_share: float
    agreement: float


def choose_level(figures: Sequence[LevelFigures], allowed: float) -> LevelFigures:
    """Chooses the highest level below which, and with which, no more is lost than is allowed.

    Args:
        figures: Of levels, rising; the first one is taken whatever it costs.
        allowed: Points of average precision.

    Returns:
        The figures of the level.
    """
    good = list(takewhile(lambda one: one.agreement >= 100.0 - allowed, figures))
    return good[-1] if good else figures[0]


class LevelTrials:
    """Runs levels on segments of clips.

    Args:
        network: The network.
        stored: Its quantized form.
        segments: The segments, in the size of the network's input.
        follow: Shows progress over the segments.
    """

    def __init__(self, network: DenseNetwork, stored: StoredTiles, segments: Sequence[ClipSegment],
                 follow: Callable[[Sequence[ClipSegment]], Iterable[ClipSegment]] = iter) -> None:
        self._network, self._tail, self._segments = network, stored.tail, tuple(segments)
        self._expected = [found for segment in follow(self._segments)
                          for found in self._compute_all(stored.network, segment)]

    @property
    def can_compare(self) -> bool:
        """Whether the clips show enough objects."""
        return sum(int((found.scores >= SURE).sum()) for found in self._expected) >= MIN_OBJECTS

    def run(self, tiles: TileNetwork, level: float) -> LevelFigures:
        """Runs a level.

        Args:
            tiles: The quantized network; its factors may be other ones than those of the stored form.
            level: The level.

        Returns:
            The figures.
        """
        shares: dict[str, list[float]] = {}
        found: list[Detections] = []
        for segment in self._segments:
            wh = segment.frames[0].size_wh
            runner, meter = self._make_runner(tiles, segment), WorkMeter(tiles, wh)
            total = sum(tiles.graph.macs(wh).values())
            for number, frame in enumerate(segment.frames):
                output = runner.step(frame.pixels, level=level)
                found.append(self._decode(output, wh))
                # A first frame computes everything, whatever the level.
                if number:
                    macs = int(meter.measure(output.step.counts).macs.sum())
                    shares.setdefault(segment.name, []).append(100.0 * macs / total)
        return LevelFigures(level, float(np.mean(list(map(np.mean, shares.values())))),
                            measure_agreement(self._expected, found))

    def _compute_all(self, tiles: TileNetwork, segment: ClipSegment) -> list[Detections]:
        runner = self._make_runner(tiles, segment)
        return [self._decode(runner.step(frame.pixels, is_dense=True), frame.size_wh) for frame in segment.frames]

    def _make_runner(self, tiles: TileNetwork, segment: ClipSegment) -> TileRunner:
        return TileRunner(tiles, self._tail, segment.frames[0].size_wh)

    def _decode(self, output: RunOutput, wh: tuple[int, int]) -> Detections:
        return decode_outputs(self._network, output.outputs, wh)
