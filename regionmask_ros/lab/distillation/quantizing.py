"""The form of a student for the tile engine, from the pictures of the training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np

from ...core.frame import choose_input_size
from ...importing.calibration import CALIBRATION_PICTURES, COMPARED_PICTURES, MAX_PIXELS, calibrate_on
from ...importing.lowering.lowering import lower_network
from ...importing.lowering.values import CannotLower
from ...network.dense import DenseNetwork
from ...progress import Progress
from ...sources.spread import spread_indices
from .pictures import Collection, Picture

_SHAPE_WH = 640, 480
"""Of which shape the pictures are, about: they are reduced to one size."""

T = TypeVar("T")


def quantize(network: DenseNetwork, collection: Collection) -> DenseNetwork:
    """Adds the quantized form, or why the tile engine cannot run the network.

    Args:
        network: The student.
        collection: Ranges are measured on pictures that it has learned from, the agreement on held-out ones.

    Returns:
        The network, with ``tiles`` and ``tiles_agreement``, or with ``tiles_reason``.
    """
    try:
        lowered = lower_network(network)
    except CannotLower as error:
        return replace(network, tiles_reason=str(error))
    wh = network.fixed_wh or choose_input_size(_SHAPE_WH, max(MAX_PIXELS, network.alignment ** 2), network.alignment)
    calibration = _take(collection.learned, 2 * CALIBRATION_PICTURES, wh)
    made = calibrate_on(network, lowered, calibration, _take(collection.held_out, COMPARED_PICTURES, wh), _follow)
    measured = made.agreement if math.isfinite(made.agreement) else None
    return replace(network, tiles=made.tiles, tiles_agreement=measured)


def _take(pictures: Sequence[Picture], most: int, wh: tuple[int, int]) -> list[np.ndarray]:
    return [cv2.resize(pictures[place].pixels(), wh, interpolation=cv2.INTER_AREA)
            for place in spread_indices(len(pictures), most)]


def _follow(items: Sequence[T], what: str) -> Iterable[T]:
    shown: Iterable[T] = Progress(items, unit="step", desc=what, leave=False)
    return shown
