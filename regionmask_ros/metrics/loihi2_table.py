"""What frames cost on Loihi 2, as one table: with the same keys whether it was modelled or measured, never both in one.

A measured table can so take the place of a modelled one. ``kind`` says which it is.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import numpy as np

from .loihi2_model import CORES_A_CHIP, SYNOP_PJ, UPDATES_A_NEURON, Allocation, even_cost

MODELLED, MEASURED = "modelled", "measured"

Core = Mapping[str, float]
"""chip, core: its place. synops, neuron_updates: a step."""


def modelled_table(
    allocation: Allocation, synops: Sequence[Sequence[int]], synop_pj: float = SYNOP_PJ.value
) -> dict[str, Any]:
    """Of frames whose synops were counted, whoever counted them; spread evenly over each layer's cores.

    synops: of each layer, for each frame (``StepCounts.synops``). The first frame counts only if it is the only one.
    """
    steady = synops[1:] or synops
    costs = [even_cost(allocation, frame, synop_pj) for frame in steady]
    step_s = float(np.mean([cost.latency_s for cost in costs])) / allocation.latency_steps
    power_w = float(np.mean([cost.energy_j for cost in costs])) / step_s
    # What a chip takes besides synops does not depend on the load in this model.
    idle_w = float(np.mean([even_cost(allocation, frame, 0.0).energy_j for frame in steady])) / step_s
    cores = _even_cores(allocation, np.mean(np.array(steady, np.float64), axis=0))
    return _table(MODELLED, len(steady), step_s, allocation.latency_steps, power_w, idle_w, cores)


def measured_table(profile: Mapping[str, Any], latency_steps: int) -> dict[str, Any]:
    """Of what Lava's profilers told, see ``lava_child.profile``. Raises KeyError where it lacks something."""
    return _table(
        MEASURED, profile["steps"], profile["step_s"], latency_steps, profile["power_w"], profile["static_power_w"],
        profile["cores"],
    )


def _table(
    kind: str, steps: int, step_s: float, latency_steps: int, power_w: float, static_power_w: float,
    cores: Sequence[Core],
) -> dict[str, Any]:
    """Means over the steps, one a frame: times in seconds, powers in W, energies a frame in J."""
    latency_s, energy_j = step_s * latency_steps, power_w * step_s
    return {
        "kind": kind, "steps": steps, "step_s": step_s, "latency_s": latency_s, "power_w": power_w,
        "static_power_w": static_power_w, "energy_j": energy_j, "dynamic_energy_j": (power_w - static_power_w) * step_s,
        "energy_delay_js": energy_j * latency_s,
        "busiest_core_synops": max((core["synops"] for core in cores), default=0.0), "cores": [*map(dict, cores)],
    }


def _even_cores(allocation: Allocation, layer_synops: np.ndarray) -> list[Core]:
    """Layer after layer, chip after chip."""
    loads = [
        (float(synops) / layer.cores, UPDATES_A_NEURON * layer.neurons / layer.cores)
        for layer, synops in zip(allocation.layers, layer_synops, strict=True) for _ in range(layer.cores)
    ]
    return [
        {"chip": place // CORES_A_CHIP, "core": place % CORES_A_CHIP, "synops": synops, "neuron_updates": updates}
        for place, (synops, updates) in enumerate(loads)
    ]
