"""Makes a network for the event engine, with the largest thresholds that hardly change what it finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ..core.arithmetic import CARRY
from ..core.detections import Detections
from ..core.frame import resize_frame
from ..core.grid import RegionGrid
from ..detection.events import decode_head
from ..encoder.encoder import Encoder
from ..engine.branched.engine import BranchedEngine, PackedBranches
from ..errors import UserError
from ..files.paths import display_path
from ..metrics.agreement import LOWEST_SCORE, NMS_IOU, measure_agreement
from ..network.branched import BranchedNetwork, LevelsHead
from ..network.dense import DenseNetwork
from ..sources import open_source
from ..tiles.operators.quantized import Quantization
from ..tiles.quantization.sensitivity import NOISE_STEPS
from .branching import Sizes, check_branching, make_branched, measure_sizes
from .calibration import Follow, detect_in_float, find_factors, read_pictures
from .lowering.lowering import Lowered, lower_network

SHARES = (0.08, 0.06, 0.04, 0.03, 0.02)
"""Thresholds that are tried, relative to the size of a layer's values, before its factor."""

NOISE = 0.1
"""Largest deviation of the noise with which factors are found, relative to the size of a layer's values."""

ALLOWED_POINTS = 1.0
"""How much agreement the chosen thresholds may lose against the smallest ones."""

WATCHED = 16
"""Pictures in a row on which thresholds are compared; the first one, in which everything is new, does not count."""

MEASURED = 16


@dataclass(frozen=True, eq=False)
class Branched:
    """What became of a network.

    Attributes:
        network: For the event engine.
        share: Of its thresholds, one of ``SHARES``.
        agreement: Average precision of its detections with those of the fp32 network as objects, 0 to 100; nan if that
            finds nothing.
        compared_on: Number of pictures that it was measured on.
        synop_share: Synaptic operations there, as a share of the multiplications of the dense network.
    """

    network: BranchedNetwork
    share: float
    agreement: float
    compared_on: int
    synop_share: float


def branch_network(network: DenseNetwork, name: str, source: str, follow: Follow) -> Branched:
    """Makes a network for the event engine.

    Args:
        network: A network with rectifiers.
        name: Of the new one.
        source: A video, a folder of images or a bag: sizes are measured on pictures of the first two thirds, thresholds
            on pictures in a row of the last third.
        follow: Shows progress.

    Returns:
        The network, and how well it agrees with the original.

    Raises:
        UserError: The event engine lacks an operator, or the source cannot be used.
    """
    lowered = lower_network(network)
    check_branching(network, lowered)
    pictures, _ = read_pictures(network, source, follow)
    sizes = measure_sizes(lowered, follow(pictures[:MEASURED], "measuring"))
    factors = _find_factors(network, lowered, sizes, pictures, follow)
    wh = pictures[0].shape[1], pictures[0].shape[0]
    watched = _read_row(source, wh)
    tail = lowered.tail.prepare(lowered.graph.shapes(wh), wh)
    expected = [detect_in_float(network, lowered, tail, picture) for picture in follow(watched, "fp32")]
    tried = []
    for share in follow(SHARES, "thresholds"):
        made = make_branched(network, lowered, sizes, name, share, factors)
        found, synops = _watch(made, wh, watched)
        tried.append(Branched(made, share, measure_agreement(expected[1:], found[1:]), len(watched) - 1,
                              synops / sum(made.dense_macs(wh))))
    least = tried[-1].agreement
    return tried[-1] if math.isnan(least) else next(one for one in tried if one.agreement >= least - ALLOWED_POINTS)


def _find_factors(network: DenseNetwork, lowered: Lowered, sizes: Sizes, pictures: Sequence[np.ndarray],
                  follow: Follow) -> dict[str, float]:
    """Factors of the thresholds, from how much each layer matters to the detections."""
    wh = pictures[0].shape[1], pictures[0].shape[0]
    shapes = lowered.graph.shapes(wh)
    noise = {name: Quantization(np.full(shapes[name][2], NOISE * rms / NOISE_STEPS, np.float32),
                                np.zeros(shapes[name][2], np.uint8)) for name, rms in sizes.rms.items()}
    return find_factors(network, lowered, noise, pictures, follow)


def _read_row(path: str, wh: tuple[int, int]) -> list[np.ndarray]:
    """Pictures in a row, from the beginning of the last third."""
    with open_source(path) as source:
        count = source.count_frames()
    first = max(0, min(count * 2 // 3, count - WATCHED))
    with open_source(path) as source:
        found = [resize_frame(frame, wh) for frame in islice(source.frames(), first, first + WATCHED)]
    if len(found) < 2:
        raise UserError(f"{display_path(path)}: {len(found)} pictures in its last third, at least 2 are needed")
    return found


def _watch(network: BranchedNetwork, wh: tuple[int, int], pictures: Sequence[np.ndarray]
           ) -> tuple[list[Detections], float]:
    """What is found with events, and the mean of the synops of all pictures but the first."""
    assert isinstance(network.head, LevelsHead), "it was made with one"
    engine = BranchedEngine(PackedBranches(network.graph), wh, CARRY)
    encoder, grid = Encoder(network.input_table, network.encoder_threshold, wh), RegionGrid.of_input(wh)
    found, synops = [], []
    for picture in pictures:
        result = engine.step_changes(encoder.step(picture, grid.full(True)).changes)
        found.append(decode_head(result.heads, network.head, wh, LOWEST_SCORE, NMS_IOU))
        synops.append(sum(result.synops))
    return found, float(np.mean(synops[1:]))
