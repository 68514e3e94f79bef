"""Our engine as a contestant: encoder and engine, the default path or a forced one."""

from __future__ import annotations

from typing import Callable

import numpy as np

from ..backends.cpu import open_engine
from ..encoder import Encoder, Events
from ..engine.arithmetic import CARRY, head_values
from ..engine.event_engine import PackedNetwork
from ..grid import RegionGrid
from ..mask.schedule import is_refresh
from ..metrics.counts import StepCounts
from ..network.spec import Network
from .memory import array_bytes

EVENT = "event"


class EventContestant:
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
        self._lap: Callable[[str], None] | None = None
        self.setting, self.path = setting, self._engine.path
        self.engine = f"{EVENT}:{forced}" if forced else EVENT
        self.last_events: Events | None = None
        self._last_counts: StepCounts | None = None

    def step(self, image: np.ndarray) -> np.ndarray:
        """The head's sigma, int32 [rows, cols, channels] at 2**16."""
        keep = self._full if is_refresh(self._frame, self._refresh_period) else self._keep
        events = self._encoder.step(image, keep)
        if self._lap:
            self._lap("encoder")
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

    def watch(self, lap: Callable[[str], None] | None) -> None:
        """From now on calls ``lap`` with ``"encoder"`` after the encoder, then as ``EventEngine.lap`` says; None ends
        it."""
        self._lap = self._engine.lap = lap

    def counts(self) -> StepCounts | None:
        return self._last_counts

    def real_head(self, raw: np.ndarray) -> np.ndarray:
        return head_values(raw)

    def state_bytes(self) -> int:
        """What this camera's arrays take; shared weights are left out."""
        return array_bytes([self._encoder, self._engine], shared=[self._engine.packed])
