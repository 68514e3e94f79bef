"""What Lava's Loihi 2 profilers measure; ``metrics.loihi2_table`` makes the table of it."""

from __future__ import annotations

from typing import Any

import numpy as np

MICRO = 1e-6


class Profilers:
    """Lava's profilers for one run of ``steps`` time steps. ``callbacks``: to be given to the run configuration."""

    def __init__(self, steps: int) -> None:
        from lava.utils import loihi2_profiler

        self._steps = steps
        self._power = loihi2_profiler.Loihi2Power(num_steps=steps)
        self._time = loihi2_profiler.Loihi2ExecutionTime()
        self._activity = loihi2_profiler.Loihi2Activity()
        self.callbacks = [self._power, self._time, self._activity]

    def figures(self) -> dict[str, Any]:
        """After the run, means over the steps: seconds, W, and counts a step of each core that was used."""
        return {
            "steps": self._steps, "step_s": float(self._time.avg_time_per_step) * MICRO,
            "power_w": float(np.mean(self._power.total_power)),
            "static_power_w": float(self._power.static_total_power), "cores": self._cores(),
        }

    def _cores(self) -> list[dict[str, float]]:
        activity = self._activity
        columns = (activity.chip_idx, activity.core_idx, activity.syn_ops, activity.dendrite_updates)
        return [
            {"chip": int(chip), "core": int(core), "synops": float(synops) / self._steps,
             "neuron_updates": float(updates) / self._steps}
            for chip, core, synops, updates in zip(*(np.ravel(column) for column in columns))
        ]
