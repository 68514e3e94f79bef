"""Synaptic operations by output row: which part of the picture makes work.

The engine counts synops a layer. Where they fall follows from where events arose: an event at input row r reaches the
output rows whose kernel covers r, and in each of them as many outputs as its column allows.

What a frame would cost on Loihi 2: a model, not a measurement.

Figures of this model stand in columns of their own, named *modelled*, never beside measured or counted ones.

A network is laid over neuro-cores, one layer after the other, and works as a pipeline: a time step advances every layer
by one frame. The slowest core decides how long a step takes::

    step = fixed + max(slowest core's synops * SYNOP_NS, fullest core's neurons * 2 * NEURON_NS, SHORTEST_STEP_US)
    latency = steps from input to output * step        (one a layer, and one for the input)
    energy  = chips * CHIP_W * step + synops * energy of a synop
    EDP     = mean energy * mean latency               over the frames of a run but the first

What is left out: spikes between chips (their number depends on a placement that is not public, so they cannot be
charged), input and output, and the host.

Two placements. ``even``: a layer's synops are spread evenly over its cores, the best that a compiler could do.
``rows``: a layer's output rows lie contiguously over its cores, so that one busy place in the picture makes one core
slow.

What frames cost on Loihi 2, as one table: with the same keys whether it was modelled or measured, never both in one.

A measured table can so take the place of a modelled one. ``kind`` says which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.events import Events
from ..network.graph import ConvSpec, Network

LayerState = Callable[[int], "tuple[np.ndarray, np.ndarray | None]"]
"""From a layer's number to (sigma, reference), as ``EventEngine.state``."""


class RowSynops:
    """Follows one camera. An event changes its neuron's reference, so comparing references shows where events arose.

    Made before the first frame; ``step`` sees every frame.
    """

    def __init__(self, network: Network, input_wh: tuple[int, int], state: LayerState) -> None:
        self._state = state
        heights, widths = [input_wh[1]], [input_wh[0]]
        for rows, cols, _ in network.output_size(input_wh):
            heights.append(rows)
            widths.append(cols)
        self._channels = [layer.out_channels for layer in network.layers]
        self._row_reach = [_reach(layer, heights[i]) for i, layer in enumerate(network.layers)]
        self._col_reach = [_reach(layer, widths[i]).sum(axis=0) for i, layer in enumerate(network.layers)]
        self._references = [reference.copy() for reference in self._current()]

    def step(self, events: Events) -> list[np.ndarray]:
        """int64 [rows] for each layer, after the frame of these encoder events was computed."""
        height, width, channels = events.shape
        places = np.bincount(events.index // channels, minlength=height * width).reshape(height, width)
        counts = [places]
        for before, now in zip(self._references, self._current()):
            counts.append(np.count_nonzero(before != now, axis=2))
            before[:] = now
        return [
            self._row_reach[i] @ (counts[i] @ self._col_reach[i]) * self._channels[i]
            for i in range(len(self._channels))
        ]

    def _current(self) -> list[np.ndarray]:
        """References of all layers but the head."""
        return [self._state(number)[1] for number in range(len(self._channels) - 1)]


def _reach(layer: ConvSpec, length: int) -> np.ndarray:
    """int64 [outputs, inputs] along one side: 1 where an output's kernel covers an input."""
    outputs = np.arange(layer.output_length(length))[:, None] * layer.stride - layer.padding
    offset = np.arange(length)[None] - outputs
    return ((offset >= 0) & (offset < layer.kernel)).astype(np.int64)


@dataclass(frozen=True)
class Constant:
    """value: what is used. low, high: bounds of what is known. source: where that comes from."""

    value: float
    low: float
    high: float
    unit: str
    source: str


RULE = "Value: fixed by this project so that gains can be compared; not measured on a chip."
UNCHECKED = "attributed to Davies et al., IEEE Micro 38(1), 2018, not checked against the paper."

SYNOP_NS = Constant(
    0.66, 0.66, 3.5, "ns", f"Time of a synaptic operation in a core. {RULE} Upper bound: Loihi 1's, {UNCHECKED}")
NEURON_NS = Constant(
    4.0, 4.0, 8.4, "ns", "Time of an update of a neuron; a sigma-delta neuron takes two. "
    f"{RULE} Upper bound: Loihi 1's, {UNCHECKED}")
SHORTEST_STEP_US = Constant(
    10.0, 0.0, 10.0, "us", f"The shortest time step of a network on several chips. {RULE} Lower bound: none assumed.")
FIXED_US = Constant(
    0.0, 0.0, 50.0, "us", f"Time a step that does not depend on the load. {RULE} 50 us: a sensitivity.")
CHIP_W = Constant(
    0.25, 0.23, 0.28, "W", f"Power of a chip that holds a network, whatever its load. {RULE} Bounds: assumed likewise; "
    "to be replaced by a profile of the board.")
SYNOP_PJ = Constant(
    0.0, 0.0, 24.0, "pJ", "Energy of a synaptic operation. No figure of Loihi 2 is known to this project; results are "
    f"given for both bounds. Upper bound: Loihi 1's 23.6 pJ, {UNCHECKED}")
CONSTANTS = {
    "SYNOP_NS": SYNOP_NS, "NEURON_NS": NEURON_NS, "SHORTEST_STEP_US": SHORTEST_STEP_US, "FIXED_US": FIXED_US,
    "CHIP_W": CHIP_W, "SYNOP_PJ": SYNOP_PJ,
}

UPDATES_PER_NEURON = 2
CORES_PER_CHIP = 120
REFERENCE_INPUT_WH = (448, 448)
REFERENCE_CORES = (224, 112, 56, 28, 56, 16, 32, 14, 32, 4)
"""Cores of YOLO-KP's ten layers for a 448x448 input, 574 on 5 chips: this project's fixed allocation, not verified on a
board."""


@dataclass(frozen=True)
class LayerCores:
    """Where a layer lies. rows: its output rows. neurons: its outputs. cores: neuro-cores that share them."""

    rows: int
    neurons: int
    cores: int


@dataclass(frozen=True)
class Allocation:
    layers: tuple[LayerCores, ...]
    chips: int

    @property
    def latency_steps(self) -> int:
        """Time steps from a frame's arrival to its result."""
        return len(self.layers) + 1

    @property
    def slowest_update_ns(self) -> float:
        """How long the core with most neurons takes to update them, events or not."""
        return max(layer.neurons / layer.cores for layer in self.layers) * UPDATES_PER_NEURON * NEURON_NS.value


@dataclass(frozen=True)
class FrameCost:
    """Modelled. energy_j: of one time step. latency_s: from input to result."""

    energy_j: float
    latency_s: float


def allocate(network: Network, input_wh: tuple[int, int]) -> Allocation | None:
    """Cores for an input of that size: each layer's share of the reference grows with its outputs.

    None for a network whose layers are not YOLO-KP's: nobody has laid it over cores.
    """
    if len(network.layers) != len(REFERENCE_CORES):
        return None
    layers = []
    sizes = zip(network.output_size(input_wh), network.output_size(REFERENCE_INPUT_WH), REFERENCE_CORES)
    for (rows, cols, channels), reference, cores in sizes:
        outputs = rows * cols * channels
        needed = -(-cores * outputs // (reference[0] * reference[1] * reference[2]))
        layers.append(LayerCores(rows, outputs, needed))
    return Allocation(tuple(layers), -(-sum(layer.cores for layer in layers) // CORES_PER_CHIP))


def even_cost(allocation: Allocation, synops: Sequence[int], synop_pj: float = SYNOP_PJ.value,
              fixed_us: float = FIXED_US.value) -> FrameCost:
    """Cost of a frame with each layer's synops spread evenly. synops: of each layer (``StepCounts.synops``)."""
    busiest = max(count / layer.cores for count, layer in zip(synops, allocation.layers, strict=True))
    return _cost(allocation, busiest, sum(synops), synop_pj, fixed_us)


def rows_cost(allocation: Allocation, row_synops: Sequence[np.ndarray], synop_pj: float = SYNOP_PJ.value,
              fixed_us: float = FIXED_US.value) -> FrameCost:
    """Cost of a frame with output rows laid contiguously over cores.

    row_synops: for each layer the synops that reach each of its output rows, int64 [rows] (``metrics.row_synops``).
    """
    busiest = max(
        float(core_loads(rows, layer.cores).max()) for rows, layer in zip(row_synops, allocation.layers, strict=True)
    )
    return _cost(allocation, busiest, int(sum(rows.sum() for rows in row_synops)), synop_pj, fixed_us)


def core_loads(row_synops: np.ndarray, cores: int) -> np.ndarray:
    """float64 [cores]: synops of each core when rows lie contiguously over them.

    Every core has an equal stretch of rows, which may begin and end within one; a row's synops are shared by length.
    """
    done = np.concatenate([[0.0], np.cumsum(row_synops, dtype=np.float64)])
    borders = np.linspace(0.0, len(row_synops), cores + 1)
    return np.diff(np.interp(borders, np.arange(len(row_synops) + 1), done))


def energy_delay_product(costs: Sequence[FrameCost]) -> float:
    """Joule seconds: mean energy times mean latency over all frames but the first (a single frame counts itself)."""
    steady = costs[1:] or costs
    return float(np.mean([c.energy_j for c in steady]) * np.mean([c.latency_s for c in steady]))


def _cost(allocation: Allocation, busiest_synops: float, all_synops: int, synop_pj: float,
          fixed_us: float) -> FrameCost:
    slowest_ns = max(
        busiest_synops * SYNOP_NS.value, allocation.slowest_update_ns, SHORTEST_STEP_US.value * 1e3
    )
    step_s = fixed_us * 1e-6 + slowest_ns * 1e-9
    energy_j = allocation.chips * CHIP_W.value * step_s + synop_pj * 1e-12 * all_synops
    return FrameCost(energy_j, allocation.latency_steps * step_s)


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
    """Of what Lava's profilers told, see ``lava_worker.loihi_graph``. Raises KeyError where it lacks something."""
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
        (float(synops) / layer.cores, UPDATES_PER_NEURON * layer.neurons / layer.cores)
        for layer, synops in zip(allocation.layers, layer_synops, strict=True) for _ in range(layer.cores)
    ]
    return [
        {"chip": place // CORES_PER_CHIP, "core": place % CORES_PER_CHIP, "synops": synops, "neuron_updates": updates}
        for place, (synops, updates) in enumerate(loads)
    ]
