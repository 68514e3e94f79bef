"""The student ``chain`` on pictures: dense, as it is trained, or with events in integers. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby, islice

import cv2
import numpy as np
import torch

from ...backends import open_backend
from ...core.arithmetic import CARRY, HEAD_EXP
from ...core.detections import Detections
from ...core.frame import MAX_PIXELS, choose_input_size
from ...core.grid import RegionGrid
from ...detection.yolo import decode
from ...encoder.encoder import Encoder
from ...metrics.agreement import LOWEST_SCORE, NMS_IOU, measure_agreement
from ...network.chain import Network, YoloHead
from ...network.dense import Preprocessing
from ...sources.spread import spread_indices
from .chain import STRIDE
from .graph_model import GraphModel
from .inputs import to_input
from .pictures import Picture

SHARES = (0.15, 0.1, 0.07, 0.05, 0.03)
"""Thresholds that are tried, relative to the size of a layer's values."""

ALLOWED_POINTS = 1.0
"""How much agreement the chosen thresholds may lose against the smallest ones."""

MEASURED, WATCHED = 32, 12
"""Pictures on which sizes are measured, and pictures in a row that are watched of each source."""


class ChainFinder:
    """The dense student.

    Args:
        model: Without normalizations.
        head: What the output means.
        preprocessing: What the input expects.
    """

    def __init__(self, model: GraphModel, head: YoloHead, preprocessing: Preprocessing) -> None:
        self._model, self._head, self._preprocessing = model, head, preprocessing

    def detect(self, image: np.ndarray, image_wh: tuple[int, int]) -> Detections:
        """See ``lab.quantization.detecting.Detector``."""
        with torch.no_grad():
            output = self._model(to_input(image[None], self._preprocessing))[0][0].numpy()
        rows, cols = (side // STRIDE for side in image.shape[:2])
        sigma = np.rint(output.reshape(rows, cols, -1) * (1 << HEAD_EXP)).astype(np.int32)
        return decode(sigma, self._head, image_wh, LOWEST_SCORE, NMS_IOU)

    def close(self) -> None:
        """Holds nothing."""


def measure_sizes(model: GraphModel, pictures: Sequence[Picture], preprocessing: Preprocessing) -> dict[str, float]:
    """Root mean square of the values behind each rectifier, by the layer's name."""
    names = tuple(step.name for step in model.steps if step.operator == "Relu")
    squares = []
    with torch.no_grad():
        for place in spread_indices(len(pictures), MEASURED):
            pixels = pictures[place].pixels()
            size = choose_input_size((pixels.shape[1], pixels.shape[0]), MAX_PIXELS, STRIDE)
            values = model(to_input(cv2.resize(pixels, size)[None], preprocessing), names)[1]
            squares.append([float(value.square().mean()) for value in values])
    return dict(zip(names, np.sqrt(np.mean(squares, axis=0)).tolist()))


def choose_thresholds(make: Callable[[float], Network], pictures: Sequence[Picture]
                      ) -> tuple[Network, dict[str, float | None]]:
    """Chooses the largest thresholds that lose hardly any agreement with the labels.

    Args:
        make: Makes the network with thresholds of this share of the size of each layer's values.
        pictures: Held-out ones with labels, in their order: those of one source are watched one after the other.

    Returns:
        The network, and the facts: the chosen share, the agreement with it and with the smallest thresholds, and the
        synaptic operations relative to those of the smallest.
    """
    tried, clips = [], _choose_watched(pictures)
    for share in SHARES:
        network = make(share)
        tried.append((share, network, *_watch(network, clips)))
    least, most_synops = tried[-1][2], tried[-1][3]
    share, network, agreement, synops = next(
        (one for one in tried if one[2] >= least - ALLOWED_POINTS), tried[-1])
    return network, {"threshold_share": share, "agreement_with_events": _or_none(agreement),
                     "agreement_with_smallest_thresholds": _or_none(least),
                     "synops_relative": round(synops / max(1, most_synops), 3)}


def _or_none(agreement: float) -> float | None:
    return None if math.isnan(agreement) else round(agreement, 1)


_Clip = list[tuple[np.ndarray, np.ndarray]]
"""Pixels and labels of pictures of one source and size, in their order."""


def _choose_watched(pictures: Sequence[Picture]) -> list[_Clip]:
    clips = []
    for _, group in groupby(pictures, lambda picture: picture.source):
        shown = [(picture.pixels(), picture.labels) for picture in islice(group, WATCHED)]
        clips += [list(clip) for _, clip in groupby(shown, lambda one: one[0].shape)]
    return clips


def _watch(network: Network, clips: Sequence[_Clip]) -> tuple[float, int]:
    """Agreement with the labels, and all synops but those of first pictures, with events on the event engine."""
    assert isinstance(network.head, YoloHead), "a chain"
    expected, found, synops = [], [], 0
    for clip in clips:
        high, wide = clip[0][0].shape[:2]
        wh = wide, high
        size = choose_input_size(wh, MAX_PIXELS, STRIDE)
        encoder, grid = Encoder(network.input_table, network.encoder_threshold, size), RegionGrid.of_input(size)
        backend = open_backend("cpu", network, size, CARRY)
        for number, (pixels, rows) in enumerate(clip):
            image = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
            backend.submit(encoder.step(image, grid.full(True)), None)
            result = backend.poll(0.0)
            assert result is not None
            if number:
                found.append(decode(result.head, network.head, wh, LOWEST_SCORE, NMS_IOU))
                expected.append(Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int32)))
                synops += sum(result.synops)
        backend.close()
    return measure_agreement(expected, found), synops
