"""Our engine as a contestant: encoder and engine, the default path or a forced one."""

from __future__ import annotations

import numpy as np

from ..encoder import Encoder, Events
from ..engine.arithmetic import CARRY, head_values
from ..engine.event_engine import EventEngine, PackedNetwork
from ..grid import RegionGrid
from ..metrics.counts import StepCounts
from ..network.spec import Network

EVENT = "event"


class EventContestant:
    """One camera. The first frame is attended as a whole, all others in the regions of ``keep``.

    Weights are its own, too, so that none warms the caches for another.
    keep: bool [rows, cols]. forced: a path's name; "" for the default.
    """

    threads = 1
    calibration = ""

    def __init__(self, network: Network, input_wh: tuple[int, int], setting: str, keep: np.ndarray,
                 forced: str = "") -> None:
        self._encoder = Encoder(network.input_table, network.encoder_threshold, input_wh)
        self._engine = EventEngine(PackedNetwork(network), input_wh, CARRY, forced)
        self._first, self._later = RegionGrid.of_input(input_wh).full(True), keep
        self._keep = self._first
        self.setting, self.path = setting, self._engine.path
        self.engine = f"{EVENT}:{forced}" if forced else EVENT
        self.last_events: Events | None = None
        self._last_counts: StepCounts | None = None

    def step(self, image: np.ndarray) -> np.ndarray:
        """The head's sigma, int32 [rows, cols, channels] at 2**16."""
        events = self._encoder.step(image, self._keep)
        result = self._engine.step_changes(events.changes)
        self._keep = self._later
        self.last_events = events
        self._last_counts = StepCounts(len(events), result.layer_events, result.synops)
        return result.head

    def counts(self) -> StepCounts | None:
        return self._last_counts

    def real_head(self, raw: np.ndarray) -> np.ndarray:
        return head_values(raw)
