"""What Lava's Loihi 2 profilers measure, as one table: *measured* figures, to be set beside the modelled ones."""

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

    def table(self, latency_steps: int) -> dict[str, Any]:
        """After the run: times in seconds, power in W, energies in J, all means over the steps; counts a step, of each
        core that was used."""
        step_s = float(self._time.avg_time_per_step) * MICRO
        power_w = float(np.mean(self._power.total_power))
        static_w, cores = float(self._power.static_total_power), self._cores()
        return {
            "measured": "Loihi 2", "steps": self._steps, "step_s": step_s, "latency_s": step_s * latency_steps,
            "power_w": power_w, "static_power_w": static_w, "energy_j": power_w * step_s,
            "dynamic_energy_j": (power_w - static_w) * step_s,
            "energy_delay_js": power_w * step_s * step_s * latency_steps,
            "busiest_core_synops": max((core["synops"] for core in cores), default=0.0), "cores": cores,
        }

    def _cores(self) -> list[dict[str, float]]:
        activity = self._activity
        columns = (activity.chip_idx, activity.core_idx, activity.syn_ops, activity.dendrite_updates)
        return [
            {"chip": int(chip), "core": int(core), "synops": float(synops) / self._steps,
             "neuron_updates": float(updates) / self._steps}
            for chip, core, synops, updates in zip(*(np.ravel(column) for column in columns))
        ]
