"""The event engine of branched networks, with the kernels for any processor.

A node's events are a list, which all its readers read. Nodes that only move messages write lists, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...core.arithmetic import CARRY, RULES, SPIKE_EXP, Rule
from ...core.events import ChangeMap
from ..generic import GenericLayer, accumulate, fire, integrate
from ..layer import MAX_IMAGE_PIXELS, MAX_VALUES, CheckedConv, LayerState
from .kernels import fire_maxima, hold, route
from .operators import MaxPool, Wiring

KERNEL_SET = "portable"
"""Of the event engine's kernel sets, the one that these kernels belong to."""


@dataclass(frozen=True)
class BranchedResult:
    """The outcome of one frame.

    Attributes:
        heads: For each head, in the order of the graph's outputs: its sigma, int32 [rows, cols, channels] at
            2**(10 + its exponent), to be read only.
        layer_events: Events of each layer that fires, in the order of the nodes; empty when counting is off.
        synops: Synaptic operations of each convolution, in the order of the nodes; empty when counting is off.
    """

    heads: tuple[np.ndarray, ...]
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]


class PackedBranches:
    """The weights of a branched network for the engine. Safe to share between cameras and threads.

    Args:
        graph: As for ``reference.ReferenceBranches``.

    Raises:
        ValueError: A layer's integers do not fit the kernels, see ``CheckedConv.of``.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.convs = {node.name: CheckedConv.of(node.operator) for node in graph.nodes
                      if not isinstance(node.operator, (MaxPool, Wiring))}
        self._initial: tuple[tuple[tuple[int, int], Rule], list[np.ndarray]] | None = None
        self._lock = threading.Lock()

    def initial_state(self, input_wh: tuple[int, int], rule: Rule, make: Callable[[], list[np.ndarray]]
                      ) -> list[np.ndarray]:
        """The state of all layers before the first frame; the last one is kept.

        Args:
            input_wh: Width and height of the input.
            rule: When neurons send.
            make: Computes it.

        Returns:
            Arrays, in the order of ``make``.
        """
        with self._lock:
            if self._initial is None or self._initial[0] != (input_wh, rule):
                self._initial = (input_wh, rule), make()
            return self._initial[1]


@dataclass
class _Events:
    """The events of a tensor.

    Attributes:
        index: int32, filled from the front.
        message: int32, likewise.
        shape: Rows, columns and channels of the tensor.
        count: How many there are.
    """

    index: np.ndarray
    message: np.ndarray
    shape: tuple[int, int, int]
    count: int = 0

    @classmethod
    def of(cls, shape: tuple[int, int, int], most: int) -> _Events:
        """An empty list for up to ``most`` events."""
        return cls(np.empty(most, np.int32), np.empty(most, np.int32), shape)

    @property
    def listed(self) -> tuple[np.ndarray, np.ndarray, int]:
        """As kernels take it."""
        return self.index, self.message, self.count


class _Step(Protocol):
    """The work of one node."""

    @property
    def synops(self) -> int | None:
        """Of the last step; None for nodes without weights."""

    @property
    def output(self) -> _Events | None:
        """The events that it sends; None for a head."""

    @property
    def fires(self) -> bool:
        """Whether its events are those of neurons of its own."""

    def run(self, everywhere: bool) -> None:
        """Takes what has arrived. everywhere: updates all neurons."""

    def clear(self) -> None:
        """Removes what an interrupted step leaves behind."""

    def arrays(self) -> list[np.ndarray]:
        """The state."""


class _Wires:
    """Moves messages."""

    synops = None
    fires = False

    def __init__(self, operator: Wiring, inputs: list[_Events], shape: tuple[int, int, int]) -> None:
        routes = operator.routes([events.shape[2] for events in inputs])
        most = sum(len(events.index) * way.factor ** 2 for events, way in zip(inputs, routes))
        self.output = _Events.of(shape, most)
        self._ways = [(events, (way.first, way.last, way.target, way.factor)) for events, way in zip(inputs, routes)]

    def run(self, everywhere: bool) -> None:
        output, count = self.output, 0
        for events, way in self._ways:
            if events.count:
                count = route(events.listed, events.shape[1:], output.shape[1:], way, output.index, output.message,
                              count)
        output.count = count

    def clear(self) -> None:
        self.output.count = 0

    def arrays(self) -> list[np.ndarray]:
        return []


class _Pool:
    """A pool with its neurons."""

    synops = None
    fires = True

    def __init__(self, spec: MaxPool, source: _Events, shape: tuple[int, int, int], rule: Rule) -> None:
        self._source, self._window = source, (spec.size, spec.stride, spec.padding)
        threshold = spec.threshold << SPIKE_EXP
        self._rule = threshold, rule.release(threshold)
        self.sigma, self.reference = np.zeros(source.shape, np.int32), np.zeros(shape, np.int32)
        self._touched, self._largest = np.zeros(shape[0] * shape[1], np.bool_), np.zeros(shape[2], np.int32)
        self.output = _Events.of(shape, self.reference.size)

    def run(self, everywhere: bool) -> None:
        source, output = self._source, self.output
        output.count = 0
        if not (source.count or everywhere):
            return
        state = self.sigma.reshape(-1), self.reference.reshape(-1)
        hold(source.listed, source.shape[1:], self._window, output.shape[:2], state[0], self._touched)
        output.count = fire_maxima(source.shape, self._window, output.shape[1], everywhere, self._rule, state,
                                   self._largest, self._touched, output.index, output.message)

    def clear(self) -> None:
        self._touched[:], self.output.count = False, 0

    def arrays(self) -> list[np.ndarray]:
        return [self.sigma, self.reference]


class _Neurons:
    """A convolution with its neurons, or a head."""

    def __init__(self, conv: CheckedConv, source: _Events, rule: Rule, total: np.ndarray) -> None:
        self.layer = GenericLayer(conv, *source.shape[:2], rule)
        self._source, self._total = source, total[:self.layer.neurons]
        self._sent = np.zeros(conv.out_channels, np.int32)
        self.synops: int | None = 0
        self.fires = not conv.is_head
        self.output = None if conv.is_head else _Events.of(self.layer.shape, self.layer.neurons)

    def run(self, everywhere: bool) -> None:
        layer, conv, source, output = self.layer, self.layer.conv, self._source, self.output
        self.synops = 0
        if output is not None:
            output.count = 0
        if not (source.count or everywhere):
            return
        self.synops = accumulate(source.listed, layer.source, conv.tap_major_weights, layer.window, layer.shape,
                                 self._total, layer.touched)
        if output is None or conv.bias is None:
            integrate(self._total, layer.touched, conv.out_channels, layer.sigma)
            return
        # In deep networks with small thresholds, a fifth of the neurons fires.
        output.count = fire(self._total, layer.touched, everywhere, True, conv.bias, layer.rule,
                            (layer.sigma, layer.reference), self._sent, output.index, output.message)

    def clear(self) -> None:
        self._total[:] = 0
        self.layer.touched[:] = False
        if self.output is not None:
            self.output.count = 0

    def arrays(self) -> list[np.ndarray]:
        return [self.layer.sigma, self.layer.reference]


class BranchedEngine:
    """A branched network with the state of one camera. Not for use by two threads at a time.

    Args:
        packed: Shared weights.
        input_wh: Width and height of the input.
        arithmetic: A name in ``RULES``.

    Attributes:
        counting: Whether results have counts. Events and synops are counted all the same.
        profile_hook: Called in each step with ``"input"`` after the events have been read, and with a node's name
            after that node; None for no calls.

    Raises:
        ValueError: The arithmetic is unknown, or the input is too small or too large.
    """

    counting: bool = True
    kernel_set = KERNEL_SET
    profile_hook: Callable[[str], None] | None = None

    def __init__(self, packed: PackedBranches, input_wh: tuple[int, int], arithmetic: str = CARRY) -> None:
        if arithmetic not in RULES:
            raise ValueError(f"arithmetic {arithmetic!r}: expected one of {', '.join(RULES)}")
        self.packed, self.input_wh, self.arithmetic = packed, input_wh, arithmetic
        rule, graph = RULES[arithmetic], packed.graph
        shapes = graph.shapes(input_wh)
        for name, (rows, cols, channels) in shapes.items():
            if max(rows, cols) > MAX_IMAGE_PIXELS or rows * cols * channels > MAX_VALUES:
                raise ValueError(f"{name or 'input'}: {cols}x{rows} pixels with {channels} channels are too large")
        total = np.zeros(max(int(np.prod(shapes[name])) for name in packed.convs), np.int32)
        # An encoder sends a value once.
        self._input = _Events.of(shapes[graph.input], int(np.prod(shapes[graph.input])))
        tensors, self._steps = {graph.input: self._input}, dict[str, _Step]()
        for node in graph.nodes:
            inputs, shape = [tensors[name] for name in node.inputs], shapes[node.name]
            made: _Step
            if isinstance(node.operator, Wiring):
                made = _Wires(node.operator, inputs, shape)
            elif isinstance(node.operator, MaxPool):
                made = _Pool(node.operator, inputs[0], shape, rule)
            else:
                made = _Neurons(packed.convs[node.name], inputs[0], rule, total)
            self._steps[node.name] = made
            if made.output is not None:
                tensors[node.name] = made.output
        self._heads: tuple[np.ndarray, ...] | None = None
        self.reset()

    def reset(self) -> None:
        """Returns to the initial state, as before the first frame."""
        for step in self._steps.values():
            step.clear()
        self._heads = None
        initial = self.packed.initial_state(self.input_wh, RULES[self.arithmetic], self._rest)
        for array, value in zip(self._arrays(), initial):
            array[...] = value

    def step(self, index: np.ndarray, message: np.ndarray) -> BranchedResult:
        """Computes one frame from a list of events.

        Args:
            index: int32 [n], strictly ascending positions in the input (y, x, channel), flat.
            message: int32 [n] at 2**10.

        Returns:
            The heads and the counts.
        """
        source = self._input
        source.count = len(index)
        source.index[:source.count], source.message[:source.count] = index, message
        self._run(False)
        return self._result()

    def step_changes(self, changes: ChangeMap) -> BranchedResult:
        """Computes one frame from the encoder's map.

        Args:
            changes: The map, of the size of the input.

        Returns:
            The heads and the counts.

        Raises:
            ValueError: The map has another size.
        """
        rows, cols, channels = self._input.shape
        if (changes.rows, changes.cols, changes.channels) != (rows, cols, channels):
            raise ValueError(f"a map of {changes.cols}x{changes.rows}x{changes.channels}, the engine's input is "
                             f"{cols}x{rows}x{channels}")
        return self.step(*changes.list_changes())

    def state(self, name: str) -> LayerState:
        """Returns sigma and reference of a layer, to be read only; a head has no reference.

        Args:
            name: Of a node with neurons.

        Returns:
            int32 [rows, cols, channels] each; sigma of a pool has the size of its input.
        """
        step = self._steps[name]
        if isinstance(step, _Pool):
            return step.sigma, step.reference
        assert isinstance(step, _Neurons), "wiring has no state"
        shape = step.layer.shape
        return step.layer.sigma.reshape(shape), step.layer.reference.reshape(shape) if step.fires else None

    def _rest(self) -> list[np.ndarray]:
        """The state after one step without input in which all neurons are updated, see ``reference``."""
        for array in self._arrays():
            array[...] = 0
        self._input.count = 0
        self._run(True)
        return [array.copy() for array in self._arrays()]

    def _run(self, everywhere: bool) -> None:
        hook = self.profile_hook
        if hook is not None:
            hook("input")
        for name, step in self._steps.items():
            step.run(everywhere)
            if hook is not None:
                hook(name)

    def _result(self) -> BranchedResult:
        if self._heads is None or self._input.count:
            self._heads = tuple(self.state(name)[0].copy() for name in self.packed.graph.outputs)
        if not self.counting:
            return BranchedResult(self._heads, (), ())
        events = [step.output.count for step in self._steps.values() if step.fires and step.output is not None]
        synops = [step.synops for step in self._steps.values() if step.synops is not None]
        return BranchedResult(self._heads, tuple(events), tuple(synops))

    def _arrays(self) -> list[np.ndarray]:
        return [array for step in self._steps.values() for array in step.arrays()]
