"""The reference implementation of branched networks: the integers of the kernels in plain NumPy, slowly.

Nodes are computed in their order, all in the same time step. A convolution is a ``ReferenceLayer`` of a chain. Messages
of wiring are moved, and added where they meet. A pool holds what it has received, and sends changes of the maximum:

    sigma     = sigma + message                       at 2**10, int32
    activation = max of sigma over the window         the part of it that is inside the image
    delta     = activation - reference
    fires     = |delta| >= threshold                  2**6 of the threshold become 2**10
    snap      : fires, too, when activation is 0 and 2 * reference >= threshold
    reference = reference + delta, message = delta    where it fires

A pool has no weights, so its message loses no bits, and ``lava`` and ``carry`` are the same for it.

Before frame 0, all neurons take one step without input, in the order of the nodes: biases fire, and what they cause
arrives. No neuron would fire in a second such step, because every residual is below the threshold afterwards. This
differs from a chain, whose layers take as many steps as in Lava's pipeline (see ``engine.reference``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.arithmetic import RULES, SPIKE_EXP, wrap
from ..reference import ReferenceLayer, correlate
from .operators import MaxPool, Wiring

LOWEST = -(1 << 31)


class ReferencePool:
    """A pool with its neurons.

    Args:
        spec: The pool.
        in_shape: Height, width and channels of the input.
        arithmetic: A name in ``RULES``.

    Attributes:
        sigma: int64 [h, w, c] at 2**10, within int32: the sum of all messages.
        reference: int64 [rows, cols, c] at 2**10.
    """

    def __init__(self, spec: MaxPool, in_shape: tuple[int, int, int], arithmetic: str) -> None:
        self.spec, self.rule = spec, RULES[arithmetic]
        self.sigma = np.zeros(in_shape, np.int64)
        self.reference = np.zeros(spec.output_shape([in_shape], {}), np.int64)

    def step(self, message: np.ndarray) -> np.ndarray:
        """Computes one time step.

        Args:
            message: Integers [h, w, c] at 2**10.

        Returns:
            Messages, int64 [rows, cols, c] at 2**10.
        """
        spec = self.spec
        self.sigma = wrap(self.sigma + message, 32)
        border = ((spec.padding, spec.padding), (spec.padding, spec.padding), (0, 0))
        padded, axes = np.pad(self.sigma, border, constant_values=LOWEST), (0, 1)
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, (spec.size, spec.size), axis=axes)  # type: ignore[call-overload]  # NumPy's types know one axis only
        activation = windows[::spec.stride, ::spec.stride].max(axis=(3, 4))
        delta = wrap(activation - self.reference, 32)
        threshold = spec.threshold << SPIKE_EXP
        fires = np.abs(delta) >= threshold
        if self.rule.snap:
            fires |= (activation == 0) & (2 * self.reference >= threshold)
        sent: np.ndarray = np.where(fires, delta, 0)
        self.reference = wrap(self.reference + sent, 32)
        return sent


class ReferenceBranches:
    """A branched network in its initial state.

    Args:
        graph: A ``network.graph.Graph`` of ``network.chain.ConvSpec`` and the classes of ``operators``.
        input_wh: Width and height of the input.
        arithmetic: A name in ``RULES``.

    Attributes:
        layers: What has neurons, by the name of its node.
        messages: After ``step``: the messages of every tensor but the heads, int64 [rows, cols, channels].
        events: After ``step``: how many messages each layer that fires has sent, by name.
        synops: After ``step``: synaptic operations of each convolution, by name: messages that arrive, times outputs
            that they reach. A message that comes on two ways counts twice.
    """

    def __init__(self, graph: Any, input_wh: tuple[int, int], arithmetic: str) -> None:
        self.graph, self._shapes = graph, graph.shapes(input_wh)
        self.layers: dict[str, ReferenceLayer | ReferencePool] = {}
        for node in graph.nodes:
            shape = self._shapes[node.inputs[0]]
            if isinstance(node.operator, MaxPool):
                self.layers[node.name] = ReferencePool(node.operator, shape, arithmetic)
            elif not isinstance(node.operator, Wiring):
                self.layers[node.name] = ReferenceLayer(node.operator, shape, arithmetic)
        self.messages: dict[str, np.ndarray] = {}
        self.events: dict[str, int] = {}
        self.synops: dict[str, int] = {}
        self.step(np.zeros(self._shapes[graph.input], np.int64))

    def step(self, message: np.ndarray) -> tuple[np.ndarray, ...]:
        """Computes one frame.

        Args:
            message: The encoder's messages, integers [h, w, c] at 2**10.

        Returns:
            Sigma of each head, int64 [rows, cols, channels] at 2**(10 + e), in the order of ``graph.outputs``.
        """
        self.messages, self.events, self.synops = {self.graph.input: message.astype(np.int64)}, {}, {}
        counts = {self.graph.input: (message != 0).astype(np.int64)}
        heads: dict[str, np.ndarray] = {}
        for node in self.graph.nodes:
            arrived, spec = [self.messages[name] for name in node.inputs], node.operator
            if isinstance(spec, Wiring):
                self.messages[node.name] = wrap(spec.move(arrived), 32)
                counts[node.name] = spec.move([counts[name] for name in node.inputs])
                continue
            sent = self.layers[node.name].step(arrived[0])
            if not isinstance(spec, MaxPool):
                ones = np.ones_like(spec.weight)
                reached = correlate(counts[node.inputs[0]], ones, spec.stride, spec.padding, spec.groups)
                self.synops[node.name] = int(reached.sum())
                if spec.bias is None:
                    heads[node.name] = sent
                    continue
            self.messages[node.name], counts[node.name] = sent, (sent != 0).astype(np.int64)
            self.events[node.name] = int(counts[node.name].sum())
        return tuple(heads[name] for name in self.graph.outputs)
