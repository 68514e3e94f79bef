"""When is it cheaper to work off a whole window than to gather its spikes?

Both ways give the same integers, so the answer is free to depend on the machine, and it is measured there: once for
each layer, when the first camera starts, in some hundredths of a second. An output whose window holds ``n`` spikes
(list entries) costs about

    gathered: a + b * n        dense: c

and before the dense way, a layer's lists are spread to a map, at a cost for each pixel and each spike. Both ways run
on a few outputs with the layer's own weights, windows of few and of many spikes at random; the crossover is the ``n``
at which the lines meet.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...core.arithmetic import Rule
from .layer import Layer, Scratch, SpikeLists
from .packing import PackedConvolution

_PRODUCTS = 1 << 17
"""Vector products that are timed together: some 0.1 ms."""

_SLOTS = 1 << 15
"""Of the lists that are spread: more than a processor learns by heart."""

_RUNS = 6
"""The quickest of so many counts; the first also warms the caches."""


_OTHER = np.empty(1 << 21, np.uint8)


@dataclass(frozen=True)
class Crossover:
    """spikes: in an output's window, from which the dense way is cheaper. visit, spread: what it costs to look at a
    pixel's list and to spread a spike of it, in gathered spikes. always_dense: all outputs are worked off from a map,
    and lists are not even written.
    """

    spikes: int
    visit: float
    spread: float
    always_dense: bool

    @classmethod
    def of(cls, gathered: Line, dense: float, spread: Line, most: int, taps: int, windows: float) -> Crossover:
        """gathered: time of a window by its spikes. dense: a window's time. spread: time of a pixel's list by its
        spikes. most: spikes that a window may hold. windows: that hold a spike.

        Lists are of no use if the dense way is cheaper from a spike for each tap on. And where a spike is gathered in
        no more time than it is spread, lists never become a map: the layer before must write a map, or the dense way
        is not to be had. It then is the better choice if it is cheaper for more than half of what a window may hold.
        """
        per_spike = max(gathered.slope, 1e-12)
        spikes = max(math.ceil(min((dense - gathered.start) / per_spike, NEVER)), 1)
        never_spread = spread.slope >= per_spike * windows and 2 * spikes <= most
        return cls(spikes, max(spread.start, 0.0) / per_spike, max(spread.slope, 0.0) / per_spike,
                   spikes <= taps or never_spread)

    def is_worthwhile(self, outputs: int, spikes: int, pixels: int, all_spikes: Callable[[], int]) -> bool:
        """Whether so many outputs, with so many spikes in their windows, are worth a map of the layer's spikes."""
        gain = spikes - self.spikes * outputs - self.visit * pixels
        return gain > 0 and gain > self.spread * all_spikes()


@dataclass(frozen=True)
class Line:
    """start + slope * n, through two points (n, value)."""

    start: float
    slope: float

    @classmethod
    def through(cls, one: tuple[float, float], other: tuple[float, float]) -> Line:
        slope = float((other[1] - one[1]) / (other[0] - one[0]))
        return cls(float(one[1] - slope * one[0]), slope)


NEVER = (1 << 31) - 1
ALL_GATHERED = Crossover(NEVER, 0.0, 0.0, False)
ALL_DENSE = Crossover(1, 0.0, 0.0, True)

_measured: weakref.WeakKeyDictionary[PackedConvolution, Crossover] = weakref.WeakKeyDictionary()


def measure_crossover(packed: PackedConvolution, rule: Rule) -> Crossover:
    """This layer's crossover on this machine. Measured at the first call, by a kernel that ``rule`` needs anyway."""
    if packed not in _measured:
        _measured[packed] = _measure(packed, rule)
    return _measured[packed]


def _measure(packed: PackedConvolution, rule: Rule) -> Crossover:
    spec, together = packed.spec, packed.together[1]
    of_a_turn = spec.size ** 2 * packed.slots * packed.vectors * packed.groups * together
    outputs = together * max(2, _PRODUCTS // of_a_turn)
    layer = Layer(packed, 1, outputs, None if spec.is_head else packed)
    lists = SpikeLists(spec.size, (outputs - 1) * spec.stride + spec.size, packed.stored, 0, packed.lanes)
    others = SpikeLists(max(1, _SLOTS // packed.slots), 1, packed.stored, 0, packed.lanes)
    scratch, word = Scratch([layer], 0), np.zeros_like(others.word)
    place = np.arange(outputs, dtype=np.int32)
    source = lists.source(np.zeros_like(lists.word))
    taps, gathered, spread = spec.size ** 2, [], []

    def run(dense: int) -> float:
        """Seconds for an output."""
        return _min_duration(lambda: layer.run(place, dense, outputs, source, rule, 0, scratch)) / outputs

    for share in (1 / 8, 1 / 2):
        _fill(lists, share)
        gathered.append((lists.count.mean() * taps, run(0)))
        _fill(others, share)
        seconds = _min_duration(lambda: (others.spread(word), others.sweep(word)), _forget)
        spread.append((others.count.mean(), seconds / others.pixels))
    return Crossover.of(Line.through(*gathered), run(outputs), Line.through(*spread), taps * packed.slots, taps,
                        taps / spec.stride ** 2)


def _fill(lists: SpikeLists, share: float) -> None:
    """Lists that hold that share of all spikes, from none to twice as many a pixel: as uneven as a picture, because
    processors are slow where they cannot guess how long a list is. Messages are 1.
    """
    rng = np.random.default_rng(0)
    there = rng.random((lists.pixels, lists.slots)) < 2 * share * rng.random((lists.pixels, 1))
    lists.count[:] = there.sum(axis=1)
    lists.index[:] = np.argsort(~there, axis=1, kind="stable").ravel()
    lists.pair[:] = 1


def _min_duration(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Seconds that it takes when nothing else disturbs it, after ``before``."""
    times = []
    for _ in range(_RUNS):
        before()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _forget() -> None:
    """Other data into the caches: spreading is little but reading what another layer wrote long ago."""
    _OTHER[:] = 1
