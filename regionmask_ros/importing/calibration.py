"""Makes the quantized network of the tile engine, from a network and pictures without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np

from ..core.detections import Detections
from ..core.frame import choose_input_size, resize_frame
from ..core.look import Look, LookOutput
from ..detection.heads import HEADS, decode_looks
from ..errors import UserError
from ..files.paths import display_path
from ..installed import installed_file
from ..metrics.agreement import LOWEST_SCORE, NMS_IOU, measure_agreement
from ..network.dense import DenseNetwork
from ..sources import open_source
from ..sources.spread import spread_indices
from ..tiles.engine import TileEngine
from ..tiles.evaluation import evaluate_graph
from ..tiles.network import TileNetwork
from ..tiles.operators.quantized import Quantization
from ..tiles.quantization.calibration import quantize_network
from ..tiles.quantization.files import StoredTiles, pack_tiles
from ..tiles.quantization.ranges import measure_statistics
from ..tiles.quantization.rounding import fit_weights
from ..tiles.quantization.sensitivity import Reading, choose_factors, measure_sensitivities
from ..tiles.quantization.variants import make_far, make_variants
from ..tiles.tail import PreparedTail
from .lowering.lowering import Lowered, lower_network
from .lowering.values import CannotLower

STANDARD = "bikes.mp4"
"""What the set-up installs, for users who give no pictures."""

MAX_PIXELS = 416 * 416
"""Of the pictures that are measured, where the input size is free."""
MAX_SENSITIVITY_PIXELS = 320 * 320
CALIBRATION_PICTURES, COMPARED_PICTURES, SENSITIVITY_PICTURES, FITTED_PICTURES = 32, 20, 3, 12
VARIED_EVERY = 4
"""Of the pictures, so many have their variants measured, too."""
FEWEST_PICTURES = 2

SEEN_SCORE = 0.05
"""Cells of this score or more count for sensitivities."""
SCORE_WEIGHT = 10.0
"""Of a change of the score, against a change of a box by its size."""

LEVELS = (2.0, 3.0, 4.0)
"""Thresholds of the presets, from careful to fast, in steps of the channel, times the factor of the tensor. Chosen for
YOLOX-nano on training clips, see docs/NETWORKS.md; ``tune_thresholds`` finds those of other networks and clips."""

T = TypeVar("T")
Follow = Callable[[Sequence[T], str], Iterable[T]]
"""Shows progress: called with what is iterated, and what is done."""


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What became of a calibration.

    Attributes:
        tiles: For ``DenseNetwork.tiles``; empty: none.
        reason: For ``DenseNetwork.tiles_reason``; empty if there are tiles.
        calibrated_on: Number of pictures that ranges were measured on.
        compared_on: Number of other pictures that the agreement was measured on.
        agreement: Average precision of its detections with those of the fp32 network as objects, 0 to 100; nan if the
            fp32 network finds nothing.
    """

    tiles: bytes
    reason: str
    calibrated_on: int = 0
    compared_on: int = 0
    agreement: float = float("nan")


def standard_source() -> str:
    """The video of the set-up; empty if it is not there."""
    path = installed_file(STANDARD)
    return str(path) if path.is_file() else ""


def calibrate(network: DenseNetwork, source: str, follow: Follow) -> Calibrated:
    """Quantizes a network for the tile engine.

    Args:
        network: The network.
        source: A video, a folder of images or a bag.
        follow: Shows progress.

    Returns:
        The quantized network; or the reason, where the engine cannot run the network.

    Raises:
        UserError: The source cannot be used.
    """
    try:
        lowered = lower_network(network)
    except CannotLower as error:
        return Calibrated(b"", str(error))
    return calibrate_on(network, lowered, *read_pictures(network, source, follow), follow)


def calibrate_on(network: DenseNetwork, lowered: Lowered, calibration: Sequence[np.ndarray],
                 compared: Sequence[np.ndarray], follow: Follow) -> Calibrated:
    """Quantizes a network for the tile engine.

    Args:
        network: The network.
        lowered: The same.
        calibration: Pictures on which ranges and sensitivities are measured: uint8 [rows, cols, 3], RGB, all of one
            size that the network's input can have.
        compared: Other pictures of that size, on which the agreement is measured.
        follow: Shows progress.

    Returns:
        The quantized network.
    """
    wh = calibration[0].shape[1], calibration[0].shape[0]
    varied = [*calibration, *(variant for picture in calibration[::VARIED_EVERY] for variant in make_variants(picture))]
    pixels = lowered.pixels
    measured = measure_statistics(lowered.graph, map(pixels.dequantize, follow(varied, "calibrating")))
    chosen = [varied[place] for place in spread_indices(len(varied), FITTED_PICTURES)]
    made = fit_weights(lowered.graph, quantize_network(lowered.graph, pixels, measured), chosen)
    factors = find_factors(network, lowered, made.quantizations, calibration, follow)
    made = replace(made, factors=factors, levels=LEVELS)
    agreement = _measure_agreement(network, lowered, made, wh, follow(compared, "comparing"))
    return Calibrated(pack_tiles(StoredTiles(made, lowered.tail)), "", len(calibration), len(compared), agreement)


def find_factors(network: DenseNetwork, lowered: Lowered, quantizations: Mapping[str, Quantization],
                 pictures: Sequence[np.ndarray], follow: Follow) -> dict[str, float]:
    """Distributes thresholds over the tensors by their sensitivity.

    Args:
        network: The network.
        lowered: The same.
        quantizations: Of its tensors, for the steps that the noise is measured in.
        pictures: uint8 [rows, cols, 3], RGB.
        follow: Shows progress.

    Returns:
        Factors by name of the tensor.
    """
    image_wh = pictures[0].shape[1], pictures[0].shape[0]
    wh = network.fixed_wh or choose_input_size(image_wh, max(MAX_SENSITIVITY_PIXELS, network.alignment ** 2),
                                               network.alignment)
    tail = lowered.tail.prepare(lowered.graph.shapes(wh), wh)
    chosen = [pictures[place] for place in spread_indices(len(pictures), SENSITIVITY_PICTURES)]
    # Small objects, too: a level of the head that finds nothing in the pictures would get the largest thresholds.
    small = [_resize(picture, wh) for picture in chosen]
    real = [lowered.pixels.dequantize(picture) for one in small for picture in (one, make_far(one))]
    found = measure_sensitivities(lowered.graph, quantizations, real,
                                  lambda heads: _make_reading(network, tail, wh, heads),
                                  lambda names: follow(names, "sensitivity"))
    return choose_factors(lowered.graph, wh, found)


def _make_reading(network: DenseNetwork, tail: PreparedTail, wh: tuple[int, int], known: Mapping[str, np.ndarray]
                  ) -> Reading:
    """What reads boxes, in shares of their size, and scores of the cells that show something in known heads."""
    def decode(heads: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        outputs = tail.compute(heads)
        shown = HEADS[network.head.family].decode([outputs[name] for name in network.head.outputs], network.head, wh,
                                                  0.0)
        return shown.boxes.astype(np.float64), shown.scores.astype(np.float64)

    boxes, scores = decode(known)
    seen = np.flatnonzero((scores >= SEEN_SCORE) & np.isfinite(boxes).all(axis=1))
    sides = np.sqrt(np.maximum(np.prod(boxes[seen, 2:] - boxes[seen, :2], axis=1), 1.0))[:, None]

    def read(heads: Mapping[str, np.ndarray]) -> np.ndarray:
        now, sure = decode(heads)
        if len(now) != len(boxes):
            return np.zeros((0, 5))
        values: np.ndarray = np.concatenate([now[seen] / sides, SCORE_WEIGHT * sure[seen, None]], axis=1)
        return np.nan_to_num(values)

    return read


def _measure_agreement(network: DenseNetwork, lowered: Lowered, made: TileNetwork, wh: tuple[int, int],
                       pictures: Iterable[np.ndarray]) -> float:
    engine = TileEngine(made, wh)
    tail = lowered.tail.prepare(lowered.graph.shapes(wh), wh)
    expected, found = [], []

    for picture in pictures:
        expected.append(detect_in_float(network, lowered, tail, picture))
        found.append(_decode_heads(network, tail, engine.step(picture, is_dense=True).heads, wh))
    return measure_agreement(expected, found)


def detect_in_float(network: DenseNetwork, lowered: Lowered, tail: PreparedTail, picture: np.ndarray) -> Detections:
    """Finds what the fp32 network shows in a picture.

    Args:
        network: The network.
        lowered: The same.
        tail: That of ``lowered``, prepared for the size of the picture.
        picture: uint8 [rows, cols, 3], RGB.

    Returns:
        The detections, down to the scores that count in an agreement.
    """
    heads = evaluate_graph(lowered.graph, lowered.pixels.dequantize(picture), ())
    return _decode_heads(network, tail, heads, (picture.shape[1], picture.shape[0]))


def _decode_heads(network: DenseNetwork, tail: PreparedTail, heads: Mapping[str, np.ndarray], wh: tuple[int, int]
                  ) -> Detections:
    outputs = tail.compute(heads)
    return decode_outputs(network, [outputs[name] for name in network.head.outputs], wh)


def decode_outputs(network: DenseNetwork, outputs: Sequence[np.ndarray], wh: tuple[int, int]) -> Detections:
    """Decodes what a network has found in a picture, down to the scores that count in an agreement.

    Args:
        network: The network.
        outputs: Its outputs, in the order of ``HeadSpec.outputs``.
        wh: Width and height of the picture.

    Returns:
        The detections.
    """
    look = Look((0.0, 0.0, float(wh[0]), float(wh[1])), wh)
    return decode_looks([LookOutput(look, tuple(outputs))], network.head, wh, LOWEST_SCORE, NMS_IOU).found


def read_pictures(network: DenseNetwork, path: str, follow: Follow) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Reads pictures that lie far apart.

    Args:
        network: The network, for the size of its input.
        path: A video, a folder of images or a bag.
        follow: Shows progress.

    Returns:
        Pictures to calibrate with, of the first two thirds, and others to compare with, of the last third: uint8 [rows,
        cols, 3], RGB, all of one size.

    Raises:
        UserError: The source cannot be used.
    """
    with open_source(path) as source:
        count = source.count_frames()
        if count < FEWEST_PICTURES:
            raise UserError(f"{display_path(path)}: {count} pictures, at least {FEWEST_PICTURES} are needed")
        wh = network.fixed_wh or choose_input_size(
            source.size_wh, max(MAX_PIXELS, network.alignment ** 2), network.alignment)
        border = max(1, count * 2 // 3)
        wanted = (spread_indices(border, CALIBRATION_PICTURES),
                  [border + place for place in spread_indices(count - border, COMPARED_PICTURES)])
        needed = {place for places in wanted for place in places}
        numbers, frames = follow(range(count), "reading"), source.numbered()
        pictures = {place: resize_frame(frame, wh) for _, (place, frame) in zip(numbers, frames) if place in needed}
        found = [[pictures[place] for place in places if place in pictures] for places in wanted]
    if not all(found):
        raise UserError(f"{display_path(path)}: it ends before its {count} announced pictures")
    return found[0], found[1]


def _resize(picture: np.ndarray, wh: tuple[int, int]) -> np.ndarray:
    small: np.ndarray = cv2.resize(picture, wh, interpolation=cv2.INTER_AREA)
    return small
