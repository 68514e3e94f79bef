"""Ranges of the channels of every tensor, measured with the float network, and quantizations made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ...network.graph import Graph
from ..evaluation import evaluate_graph
from ..operators.activations import Activation, Kind
from ..operators.quantized import LEVELS, Quantization

MARGIN = 0.5
"""Share by which a measured range is widened on both sides of 0. A camera shows what the pictures did not, and values
outside of the range cost more than coarser steps do. Checked on training clips that were not calibrated on: 0 loses up
to 4 points of agreement with fp32, 0.25 to 0.75 differ by less than the clips do."""

LOCAL_STRIDE = 4
"""Tensors up to this stride have no margin: they show edges and spots, of which all pictures have strong ones, and
most of their values are far smaller. Clipping them costs much more."""

FINEST = 2.0 ** -12
"""Smallest step, as a share of the largest one of the tensor: a channel that is always 0 in the pictures need not be so
at the camera."""

_LOWEST = {Kind.RELU: 0.0, Kind.RELU6: 0.0, Kind.SIGMOID: 0.0, Kind.SILU: -0.2785, Kind.HARD_SIGMOID: 0.0,
           Kind.HARD_SWISH: -0.375}
_HIGHEST = {Kind.RELU6: 6.0, Kind.SIGMOID: 1.0, Kind.HARD_SIGMOID: 1.0}


@dataclass(frozen=True, eq=False)
class Statistics:
    """Values of a tensor's channels over pictures.

    Attributes:
        low: float64 [channels], the smallest value.
        high: float64 [channels], the largest.
    """

    low: np.ndarray
    high: np.ndarray


def measure_statistics(graph: Graph, pictures: Iterable[np.ndarray]) -> dict[str, Statistics]:
    """Computes the float network on pictures.

    Args:
        graph: With float parameters.
        pictures: float32 [rows, cols, channels], real values; at least one.

    Returns:
        Statistics of every tensor by name, the input among them.
    """
    low: dict[str, np.ndarray] = {}
    high: dict[str, np.ndarray] = {}
    for picture in pictures:
        for name, values in evaluate_graph(graph, picture).items():
            rows = values.reshape(-1, values.shape[-1])
            least, most = rows.min(0).astype(np.float64), rows.max(0).astype(np.float64)
            low[name] = np.minimum(low.get(name, least), least)
            high[name] = np.maximum(high.get(name, most), most)
    return {name: Statistics(low[name], high[name]) for name in low}


def choose_margin(stride: int) -> float:
    """Chooses by which share the range of a tensor is widened.

    Args:
        stride: Pixels of the picture between its pixels.

    Returns:
        ``MARGIN``, or 0.
    """
    return MARGIN if stride > LOCAL_STRIDE else 0.0


def choose_quantization(measured: Statistics, activation: Activation, margin: float) -> Quantization:
    """Chooses steps for a tensor, one for each channel.

    Args:
        measured: Its values.
        activation: What it was computed with, beyond whose values no margin reaches.
        margin: Share by which the range is widened.

    Returns:
        The quantization; its range holds 0.
    """
    low = np.maximum(np.minimum(measured.low, 0.0) * (1.0 + margin), _LOWEST.get(activation.kind, -np.inf))
    high = np.minimum(np.maximum(measured.high, 0.0) * (1.0 + margin), _HIGHEST.get(activation.kind, np.inf))
    least = max(float((high - low).max()) * FINEST, LEVELS * 1e-6)
    return Quantization.of_range(low, np.maximum(high, low + least))
