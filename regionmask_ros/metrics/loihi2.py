"""Cost of a frame on Loihi 2: a model, which uses synaptic operations by output row, and a table of costs.

Results of the model are named *modeled* and have columns of their own, never next to measured or counted ones.

The layers are placed on neuro-cores and work as a pipeline: a time step advances every layer by one frame. The slowest
core determines the duration of a step::

    step = fixed + max(slowest core's synops * SYNOP_NS, fullest core's neurons * 2 * NEURON_NS, SHORTEST_STEP_US)
    latency = steps from input to output * step        (one per layer, and one for the input)
    energy  = chips * CHIP_W * step + synops * energy of a synop
    EDP     = mean energy * mean latency               over the frames of a run but the first

The model leaves out spikes between chips (their number depends on a placement that is not public), input and output,
and the host.

It has two placements. ``even``: a layer's synops are spread evenly over its cores, the best that a compiler could do.
``rows``: a layer's output rows lie contiguously on its cores, so that one busy part of the image makes one core slow.

A table of costs (`modelled_table`, `measured_table`) has the same keys for both; ``kind`` says which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.events import Events
from ..network.branched import BranchedNetwork
from ..network.chain import ConvSpec, Network

LayerState = Callable[[int], "tuple[np.ndarray, np.ndarray | None]"]
"""From a layer's number to (sigma, reference), as ``EventEngine.state``."""


class RowSynops:
    """Counts synaptic operations by output row for one camera. Create it before the first frame.

    The engine counts synops per layer. Their rows follow from the rows of the events: an event at input row r reaches
    the output rows whose kernel covers r, and in each of them as many outputs as its column allows. An event changes
    its neuron's reference, so comparing references shows where events occurred.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        state: The state of a layer.
    """

    def __init__(self, network: Network, input_wh: tuple[int, int], state: LayerState) -> None:
        self._state = state
        heights, widths = [input_wh[1]], [input_wh[0]]
        for rows, cols, _ in network.output_size(input_wh):
            heights.append(rows)
            widths.append(cols)
        self._reached = [layer.out_channels // layer.groups for layer in network.layers]
        self._row_reach = [_reach(layer, heights[i]) for i, layer in enumerate(network.layers)]
        self._col_reach = [_reach(layer, widths[i]).sum(axis=0) for i, layer in enumerate(network.layers)]
        self._references = [reference.copy() for reference in self._current_references()]

    def step(self, events: Events) -> list[np.ndarray]:
        """Counts one frame. Must be called for every frame, after the engine has computed it.

        Args:
            events: The encoder's events of the frame.

        Returns:
            Synops of each output row, int64 [rows], for each layer.
        """
        height, width, channels = events.shape
        places = np.bincount(events.index // channels, minlength=height * width).reshape(height, width)
        counts = [places]
        for before, now in zip(self._references, self._current_references()):
            counts.append(np.count_nonzero(before != now, axis=2))
            before[:] = now
        return [
            self._row_reach[i] @ (counts[i] @ self._col_reach[i]) * self._reached[i]
            for i in range(len(self._reached))]

    def _current_references(self) -> list[np.ndarray]:
        """References of all layers but the head, which has none."""
        states = (self._state(number) for number in range(len(self._reached) - 1))
        return [reference for _, reference in states if reference is not None]


def _reach(layer: ConvSpec, length: int) -> np.ndarray:
    """int64 [outputs, inputs] along one side: 1 where an output's kernel covers an input."""
    outputs = np.arange(layer.output_length(length))[:, None] * layer.stride - layer.padding
    offset = np.arange(length)[None] - outputs
    return ((offset >= 0) & (offset < layer.kernel)).astype(np.int64)


@dataclass(frozen=True)
class Constant:
    """A constant of the model.

    Attributes:
        value: What the model uses.
        low: Lower bound of what is known.
        high: Upper bound of what is known.
        unit: Unit of all three.
        source: Where they come from.
    """

    value: float
    low: float
    high: float
    unit: str
    source: str


RULE = "Value: chosen by this project so that gains can be compared; not measured on a chip."
UNCHECKED = "attributed to Davies et al., IEEE Micro 38(1), 2018, not checked against the paper."

SYNOP_NS = Constant(
    0.66, 0.66, 3.5, "ns", f"Time of a synaptic operation in a core. {RULE} Upper bound: Loihi 1's, {UNCHECKED}")
NEURON_NS = Constant(
    4.0, 4.0, 8.4, "ns", "Time of one neuron update; a sigma-delta neuron takes two. "
    f"{RULE} Upper bound: Loihi 1's, {UNCHECKED}")
SHORTEST_STEP_US = Constant(
    10.0, 0.0, 10.0, "us", f"Shortest time step of a network on several chips. {RULE} Lower bound: none assumed.")
FIXED_US = Constant(
    0.0, 0.0, 50.0, "us", f"Part of a time step that does not depend on the load. {RULE} Upper bound: for a "
    "sensitivity analysis.")
CHIP_W = Constant(
    0.25, 0.23, 0.28, "W", f"Power of a chip with a network, independent of its load. {RULE} Bounds: assumed, too; "
    "to be replaced by a profile of the board.")
SYNOP_PJ = Constant(
    0.0, 0.0, 24.0, "pJ", "Energy of a synaptic operation. This project knows no figure for Loihi 2; results are given "
    f"for both bounds. Upper bound: Loihi 1's 23.6 pJ, {UNCHECKED}")

UPDATES_PER_NEURON = 2
CORES_PER_CHIP = 120
REFERENCE_INPUT_WH = (448, 448)
REFERENCE_CORES = (224, 112, 56, 28, 56, 16, 32, 14, 32, 4)
"""Cores of YOLO-KP's ten layers for a 448x448 input, 574 on 5 chips. Chosen here, not verified on a board."""


@dataclass(frozen=True)
class LayerCores:
    """The cores of one layer.

    Attributes:
        rows: Number of its output rows.
        neurons: Number of its outputs.
        cores: Number of neuro-cores that share them.
    """

    rows: int
    neurons: int
    cores: int


@dataclass(frozen=True)
class Allocation:
    """A network on neuro-cores.

    Attributes:
        layers: The cores of each layer.
        chips: Number of chips.
    """

    layers: tuple[LayerCores, ...]
    chips: int

    @property
    def latency_steps(self) -> int:
        """Time steps from a frame's arrival to its result."""
        return len(self.layers) + 1

    @property
    def slowest_update_ns(self) -> float:
        """Nanoseconds that the core with most neurons takes to update them, which does not depend on events."""
        return max(layer.neurons / layer.cores for layer in self.layers) * UPDATES_PER_NEURON * NEURON_NS.value


@dataclass(frozen=True)
class FrameCost:
    """Modeled cost of one frame.

    Attributes:
        energy_j: Energy of one time step in joules.
        latency_s: Seconds from input to result.
    """

    energy_j: float
    latency_s: float


def allocate(network: Network, input_wh: tuple[int, int]) -> Allocation | None:
    """Allocates cores: those of `REFERENCE_CORES`, scaled by the number of outputs of each layer.

    Args:
        network: The network.
        input_wh: Width and height of its input.

    Returns:
        The cores; None for a network other than YOLO-KP, for which there is no reference.
    """
    if isinstance(network, BranchedNetwork) or len(network.layers) != len(REFERENCE_CORES):
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
    """Models the cost of a frame with each layer's synops spread evenly over its cores.

    Args:
        allocation: The cores.
        synops: Number of synops of each layer.
        synop_pj: Energy of a synop in picojoules.
        fixed_us: Fixed part of a time step in microseconds.

    Returns:
        The cost.
    """
    busiest = max(count / layer.cores for count, layer in zip(synops, allocation.layers, strict=True))
    return _cost(allocation, busiest, sum(synops), synop_pj, fixed_us)


def rows_cost(allocation: Allocation, row_synops: Sequence[np.ndarray], synop_pj: float = SYNOP_PJ.value,
              fixed_us: float = FIXED_US.value) -> FrameCost:
    """Models the cost of a frame with the output rows of each layer lying contiguously on its cores.

    Args:
        allocation: The cores.
        row_synops: For each layer the synops of each output row, int64 [rows], see `RowSynops`.
        synop_pj: Energy of a synop in picojoules.
        fixed_us: Fixed part of a time step in microseconds.

    Returns:
        The cost.
    """
    busiest = max(
        float(core_loads(rows, layer.cores).max()) for rows, layer in zip(row_synops, allocation.layers, strict=True))
    return _cost(allocation, busiest, int(sum(rows.sum() for rows in row_synops)), synop_pj, fixed_us)


def core_loads(row_synops: np.ndarray, cores: int) -> np.ndarray:
    """Distributes synops to cores on which rows lie contiguously.

    Each core has the same number of rows, which need not be whole; the synops of a row are divided in proportion.

    Args:
        row_synops: Synops of each row, int64 [rows].
        cores: Number of cores.

    Returns:
        Synops of each core, float64 [cores].
    """
    done = np.concatenate([[0.0], np.cumsum(row_synops, dtype=np.float64)])
    borders = np.linspace(0.0, len(row_synops), cores + 1)
    return np.diff(np.interp(borders, np.arange(len(row_synops) + 1), done))


def energy_delay_product(costs: Sequence[FrameCost]) -> float:
    """Computes the energy-delay product: mean energy times mean latency.

    Args:
        costs: Costs of all frames. The first one, in which everything is new, counts only if it is the only one.

    Returns:
        The product in joule seconds.
    """
    steady = costs[1:] or costs
    return float(np.mean([c.energy_j for c in steady]) * np.mean([c.latency_s for c in steady]))


def _cost(allocation: Allocation, busiest_synops: float, all_synops: int, synop_pj: float,
          fixed_us: float) -> FrameCost:
    slowest_ns = max(busiest_synops * SYNOP_NS.value, allocation.slowest_update_ns, SHORTEST_STEP_US.value * 1e3)
    step_s = fixed_us * 1e-6 + slowest_ns * 1e-9
    energy_j = allocation.chips * CHIP_W.value * step_s + synop_pj * 1e-12 * all_synops
    return FrameCost(energy_j, allocation.latency_steps * step_s)


MODELLED, MEASURED = "modelled", "measured"

Core = Mapping[str, float]
"""``chip`` and ``core``: where it is. ``synops`` and ``neuron_updates``: numbers per time step."""


def modelled_table(allocation: Allocation, synops: Sequence[Sequence[int]],
                   synop_pj: float = SYNOP_PJ.value) -> dict[str, Any]:
    """Models the costs of a run with each layer's synops spread evenly over its cores.

    Args:
        allocation: The cores.
        synops: For each frame the synops of each layer. The first frame counts only if it is the only one.
        synop_pj: Energy of a synop in picojoules.

    Returns:
        Table of costs: means per time step, times in s, powers in W, energies in J; see `_table`.
    """
    steady = synops[1:] or synops
    costs = [even_cost(allocation, frame, synop_pj) for frame in steady]
    step_s = float(np.mean([cost.latency_s for cost in costs])) / allocation.latency_steps
    power_w = float(np.mean([cost.energy_j for cost in costs])) / step_s
    # In this model, the power of a chip without its synops does not depend on the load.
    idle_w = float(np.mean([even_cost(allocation, frame, 0.0).energy_j for frame in steady])) / step_s
    cores = _even_cores(allocation, np.mean(np.array(steady, np.float64), axis=0))
    return _table(MODELLED, len(steady), step_s, allocation.latency_steps, power_w, idle_w, cores)


def measured_table(profile: Mapping[str, Any], latency_steps: int) -> dict[str, Any]:
    """The costs that Lava's profilers have measured. Raises KeyError if a figure is missing.

    Args:
        profile: As ``lava_worker.loihi_graph.Profilers.figures``.
        latency_steps: Time steps from input to result.

    Returns:
        Table of costs as of `modelled_table`.
    """
    return _table(
        MEASURED, profile["steps"], profile["step_s"], latency_steps, profile["power_w"], profile["static_power_w"],
        profile["cores"])


def _table(kind: str, steps: int, step_s: float, latency_steps: int, power_w: float, static_power_w: float,
           cores: Sequence[Core]) -> dict[str, Any]:
    """The table of costs from means per time step, of which each frame takes one."""
    latency_s, energy_j = step_s * latency_steps, power_w * step_s
    return {
        "kind": kind, "steps": steps, "step_s": step_s, "latency_s": latency_s, "power_w": power_w,
        "static_power_w": static_power_w, "energy_j": energy_j, "dynamic_energy_j": (power_w - static_power_w) * step_s,
        "energy_delay_js": energy_j * latency_s,
        "busiest_core_synops": max((core["synops"] for core in cores), default=0.0), "cores": [*map(dict, cores)],
    }


def _even_cores(allocation: Allocation, layer_synops: np.ndarray) -> list[Core]:
    """The load of each core, layer by layer and chip by chip."""
    loads = [
        (float(synops) / layer.cores, UPDATES_PER_NEURON * layer.neurons / layer.cores)
        for layer, synops in zip(allocation.layers, layer_synops, strict=True) for _ in range(layer.cores)]
    return [
        {"chip": place // CORES_PER_CHIP, "core": place % CORES_PER_CHIP, "synops": synops, "neuron_updates": updates}
        for place, (synops, updates) in enumerate(loads)]
