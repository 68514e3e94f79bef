"""Our engine as a contestant: encoder and engine, the default path or a forced one.

The dense evaluation of the integer network in plain NumPy: what every contestant's head is compared with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...backends.cpu import open_engine
from ...core.arithmetic import CARRY, head_values
from ...core.events import Events
from ...core.grid import RegionGrid
from ...core.result import StepCounts
from ...encoder.encoder import Encoder
from ...engine.engine import PackedNetwork
from ...mask.schedule import is_refresh
from ...metrics.machine import array_bytes
from ...network.graph import Network

EVENT = "event"


class EventCandidate:
    """One camera. The first frame is attended as a whole, all others in the regions of ``keep``.

    keep: bool [rows, cols]. forced: a path's name; "" for the default. packed: weights to share with other cameras;
    without them it has its own, so that none warms the caches for another.
    """

    threads = 1
    calibration = ""
    counting = True

    def __init__(self, network: Network, input_wh: tuple[int, int], setting: str, keep: np.ndarray,
                 forced: str = "", packed: PackedNetwork | None = None) -> None:
        self._encoder = Encoder(network.input_table, network.encoder_threshold, input_wh)
        self._engine = open_engine(packed or PackedNetwork(network), input_wh, CARRY, forced)
        self._full, self._keep = RegionGrid.of_input(input_wh).full(True), keep
        self._frame, self._refresh_period = 0, 0
        self._profile_hook: Callable[[str], None] | None = None
        self.setting, self.path = setting, self._engine.kernel_set
        self.engine = f"{EVENT}:{forced}" if forced else EVENT
        self.last_events: Events | None = None
        self._last_counts: StepCounts | None = None

    def step(self, image: np.ndarray) -> np.ndarray:
        """The head's sigma, int32 [rows, cols, channels] at 2**16."""
        keep = self._full if is_refresh(self._frame, self._refresh_period) else self._keep
        events = self._encoder.step(image, keep)
        if self._profile_hook:
            self._profile_hook("encoder")
        self._engine.counting = self.counting
        result = self._engine.step_changes(events.changes)
        self._frame += 1
        self.last_events = events
        self._last_counts = StepCounts(len(events), result.layer_events, result.synops)
        return result.head

    def reset(self, refresh_period: int = 0) -> None:
        self._encoder.reset()
        self._engine.reset()
        self._frame, self._refresh_period = 0, refresh_period

    def watch(self, profile_hook: Callable[[str], None] | None) -> None:
        """From now on calls ``profile_hook`` with ``"encoder"`` after the encoder, then as ``EventEngine.profile_hook`` says; None ends
        it.
        """
        self._profile_hook = self._engine.profile_hook = profile_hook

    def counts(self) -> StepCounts | None:
        return self._last_counts

    def real_head(self, raw: np.ndarray) -> np.ndarray:
        return head_values(raw)

    def state_bytes(self) -> int:
        """What this camera's arrays take; shared weights are left out."""
        return array_bytes([self._encoder, self._engine], shared=[self._engine.packed])


UNIT = 64.0


def encode_exactly(network: Network, image: np.ndarray) -> np.ndarray:
    """float64 [height, width, channels]: a uint8 picture as the encoder's integers mean it, rounded to 1/64."""
    return network.input_table[image, np.arange(image.shape[2])] / UNIT


def dense_head(network: Network, value: np.ndarray) -> np.ndarray:
    """float64 [rows, cols, channels]: one input through the network, without events, clipping or thresholds.

    value: float64 [height, width, channels], normalised. ``y = relu(correlate(x, weight / 64) + bias / 64)`` for each
    layer; the last one is linear.
    """
    for layer in network.layers:
        value = _correlate(value, layer.weight / UNIT, layer.stride, layer.padding)
        if layer.bias is not None:
            value = np.maximum(value + layer.bias / UNIT, 0.0)
    return value


def _correlate(value: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """value: float64 [y, x, in]; weight: float64 [out, in, k, k]. Returns float64 [oy, ox, out]."""
    size = weight.shape[2]
    padded = np.pad(value, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))[::stride, ::stride]
    return np.tensordot(windows, weight, axes=((2, 3, 4), (1, 2, 3)))


def rms(one: np.ndarray, other: np.ndarray) -> float:
    """Root of the mean squared difference."""
    return float(np.sqrt(np.mean(np.square(one - other))))
