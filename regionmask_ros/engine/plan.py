"""When is it cheaper to work off a whole window than to gather its spikes?

Both ways give the same integers, so the answer is free to depend on the machine, and it is measured there: once for each
layer, when the first camera starts, in some milliseconds. An output whose window holds ``n`` spikes (list entries) costs
about

    gathered: a + b * n        dense: c

and before the dense way, a layer's lists are spread to a map, which costs ``s`` a spike. Both ways run on a few outputs
with the layer's own weights, windows of few and of many spikes; the crossover is the ``n`` at which the lines meet.
"""

from __future__ import annotations

import math
import time
import weakref
from dataclasses import dataclass
from typing import Callable

import numpy as np

from .arithmetic import Rule
from .vector_layer import Layer, Lists, Scratch
from .vector_packing import PackedConvolution

_PRODUCTS = 1 << 17
"""Vector products that are timed together: some 0.1 ms."""

_RUNS = 6
"""The quickest of so many counts; the first also warms the caches."""


@dataclass(frozen=True)
class Crossover:
    """spikes: in an output's window, from which the dense way is cheaper. spread: what it costs to spread a spike, in
    gathered spikes. always_dense: all outputs are worked off from a map, and lists are not even written.
    """

    spikes: int
    spread: float
    always_dense: bool

    @classmethod
    def of(cls, few: tuple[int, float], many: tuple[int, float], dense: float, spread: float, most: int,
           taps: int, windows: float) -> Crossover:
        """few, many: spikes in a window and the time to gather them. dense: a window's time. spread: a spike's. most:
        spikes that a window may hold. windows: that hold a spike.

        Lists are of no use if the dense way is cheaper from a spike for each tap on. And where a spike is gathered in no
        more time than it is spread, lists never become a map: the layer before must write a map, or the dense way is not
        to be had. It then is the better choice if it is cheaper for more than half of what a window may hold.
        """
        per_spike = max((many[1] - few[1]) / (many[0] - few[0]), 1e-12)
        meeting = few[0] + (dense - few[1]) / per_spike
        spikes = max(math.ceil(min(meeting, NEVER)), 1)
        never_spread = spread >= per_spike * windows and 2 * spikes <= most
        return cls(spikes, spread / per_spike, spikes <= taps or never_spread)

    def pays(self, outputs: int, spikes: int, all_spikes: Callable[[], int]) -> bool:
        """Whether so many outputs, with so many spikes in their windows, are worth a map of the layer's spikes."""
        gain = spikes - self.spikes * outputs
        return gain > 0 and gain > self.spread * all_spikes()


NEVER = (1 << 31) - 1
ALL_GATHERED = Crossover(NEVER, 0.0, False)
ALL_DENSE = Crossover(1, 0.0, True)

_measured: weakref.WeakKeyDictionary[PackedConvolution, Crossover] = weakref.WeakKeyDictionary()


def crossover_of(packed: PackedConvolution, rule: Rule, listed: bool) -> Crossover:
    """This layer's crossover on this machine. Measured at the first call.

    listed: whether the layer writes lists, and with ``rule`` the kernel that is timed: one that is needed anyway.
    """
    if packed not in _measured:
        _measured[packed] = _measure(packed, rule, listed)
    return _measured[packed]


def _measure(packed: PackedConvolution, rule: Rule, listed: bool) -> Crossover:
    spec, together = packed.spec, packed.together[1]
    of_a_turn = spec.size ** 2 * packed.slots * packed.vectors * packed.groups * together
    outputs = together * max(2, _PRODUCTS // of_a_turn)
    layer = Layer(packed, 1, outputs, None if spec.is_head else packed)
    layer.listed = listed
    lists = Lists(spec.size, (outputs - 1) * spec.stride + spec.size, packed.stored, 0, packed.lanes)
    scratch, word = Scratch([layer], 0), np.zeros_like(lists.word)
    place, source = np.arange(outputs, dtype=np.int32), lists.source(word)
    taps, gathered, spread = spec.size ** 2, [], 0.0

    def run(dense: int) -> float:
        """Seconds for an output."""
        return _quickest(lambda: layer.run(place, dense, outputs, source, rule, 0, scratch)) / outputs

    for spikes in (max(1, packed.slots // 8), max(2, packed.slots // 2)):
        _fill(lists, spikes, packed.slots)
        gathered.append((spikes * taps, run(0)))
        spread = _quickest(lambda: (lists.spread(word), lists.sweep(word))) / (spikes * lists.pixels)
    return Crossover.of(*gathered, run(outputs), spread, taps * packed.slots, taps, taps / spec.stride ** 2)


def _fill(lists: Lists, spikes: int, slots: int) -> None:
    """So many spikes in every pixel, evenly spread over its channels; their messages are 1."""
    lists.count[:] = spikes
    lists.index.reshape(lists.pixels, -1)[:, :spikes] = np.arange(spikes) * slots // spikes
    lists.pair.reshape(lists.pixels, -1)[:, :spikes] = 1


def _quickest(work: Callable[[], object]) -> float:
    """Seconds that it takes when nothing else disturbs it."""
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
