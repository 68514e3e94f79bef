"""When is it cheaper to multiply a whole window than to gather its events?

Both ways give the same integers, so the choice may depend on the machine, and it is measured there: once for each
layer, when the first camera starts, in some hundredths of a second. An output whose window holds ``n`` list entries
costs about

    gathered: a + b * n        dense: c

and before the dense way a layer's lists are written to a map, at a cost for each pixel and each entry. Both ways run on
a few outputs with the layer's own weights and random windows of few and of many entries. The crossover is the ``n`` at
which the lines meet.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...core.arithmetic import Rule
from .layer import EventLists, Scratch, SimdLayer
from .packing import SimdWeights

_PRODUCTS = 1 << 17
"""Vector products that are timed together: about 0.1 ms."""

_SLOTS = 1 << 15
"""Words of the lists that are written to a map: more than a processor's branch prediction can learn."""

_RUNS = 6
"""Runs, of which the fastest counts; the first also warms the caches."""

_OTHER = np.empty(1 << 21, np.uint8)


@dataclass(frozen=True)
class Crossover:
    """When a layer computes outputs densely. Costs are in the time that it takes to gather one list entry.

    Attributes:
        entries: List entries in an output's window from which on the dense way is cheaper.
        visit: Cost to visit a pixel's list when a map is written.
        spread: Cost to write an entry to the map.
        always_dense: All outputs are computed from a map, and lists are not even written.
    """

    entries: int
    visit: float
    spread: float
    always_dense: bool

    @classmethod
    def of(cls, gathered: Line, dense: float, spread: Line, most: int, taps: int, windows: float) -> Crossover:
        """Finds the crossover from measured times.

        Lists are of no use if the dense way is cheaper from one entry for each tap on. Where an entry is gathered in no
        more time than it is written to a map, a map is never made of lists: then either the layer before writes a map,
        or there is no dense way. The map is the better choice if it is cheaper for more than half of what a window may
        hold.

        Args:
            gathered: Time of a window by its list entries, seconds.
            dense: Time of a window, seconds.
            spread: Time to write a pixel's list to a map, by its entries, seconds.
            most: Entries that a window may hold.
            taps: Pixels of a window.
            windows: Windows that hold an entry.

        Returns:
            The crossover.
        """
        per_entry = max(gathered.slope, 1e-12)
        entries = max(math.ceil(min((dense - gathered.start) / per_entry, NEVER)), 1)
        never_spread = spread.slope >= per_entry * windows and 2 * entries <= most
        return cls(entries, max(spread.start, 0.0) / per_entry, max(spread.slope, 0.0) / per_entry,
                   entries <= taps or never_spread)

    def is_worthwhile(self, outputs: int, entries: int, pixels: int, all_entries: Callable[[], int]) -> bool:
        """Returns whether it pays to write a map.

        Args:
            outputs: Outputs that would be computed from it.
            entries: List entries in their windows.
            pixels: Pixels of the map.
            all_entries: Counts the entries of all lists; called only when the rest pays.
        """
        gain = entries - self.entries * outputs - self.visit * pixels
        return gain > 0 and gain > self.spread * all_entries()


@dataclass(frozen=True)
class Line:
    """``start + slope * n``."""

    start: float
    slope: float

    @classmethod
    def through(cls, one: tuple[float, float], other: tuple[float, float]) -> Line:
        """Returns the line through two points (n, value)."""
        slope = float((other[1] - one[1]) / (other[0] - one[0]))
        return cls(float(one[1] - slope * one[0]), slope)


NEVER = (1 << 31) - 1

_measured: weakref.WeakKeyDictionary[SimdWeights, Crossover] = weakref.WeakKeyDictionary()


def measure_crossover(packed: SimdWeights, rule: Rule) -> Crossover:
    """Returns a layer's crossover on this machine, measured at the first call with a kernel that ``rule`` needs."""
    if packed not in _measured:
        _measured[packed] = _measure(packed, rule)
    return _measured[packed]


def _measure(packed: SimdWeights, rule: Rule) -> Crossover:
    conv, together = packed.conv, packed.together[1]
    products = conv.size ** 2 * packed.slots * packed.vectors * packed.groups * together
    outputs = together * max(2, _PRODUCTS // products)
    layer = SimdLayer(packed, 1, outputs, None if conv.is_head else packed, rule)
    lists = EventLists(conv.size, (outputs - 1) * conv.stride + conv.size, packed.stored, 0, packed.lanes)
    others = EventLists(max(1, _SLOTS // packed.slots), 1, packed.stored, 0, packed.lanes)
    scratch, word = Scratch([layer], 0), np.zeros_like(others.word)
    place = np.arange(outputs, dtype=np.int32)
    source = tuple(lists.source(np.zeros_like(lists.word)))
    taps = conv.size ** 2
    gathered: list[tuple[float, float]] = []
    spread: list[tuple[float, float]] = []

    def run(dense: int) -> float:
        """Seconds for an output."""
        return _min_duration(lambda: layer.run(place, dense, outputs, source, False, scratch)) / outputs

    def write_and_clear() -> None:
        others.write_map(word)
        others.clear_map(word)

    for density in (1 / 8, 1 / 2):
        _fill(lists, density)
        gathered.append((float(lists.count.mean()) * taps, run(0)))
        _fill(others, density)
        seconds = _min_duration(write_and_clear, _replace_caches)
        spread.append((float(others.count.mean()), seconds / others.pixels))
    return Crossover.of(Line.through(*gathered), run(outputs), Line.through(*spread), taps * packed.slots, taps,
                        taps / conv.stride ** 2)


def _fill(lists: EventLists, density: float) -> None:
    """Fills lists with that share of all words, from none to twice as many a pixel, and messages of 1.

    Lengths are as uneven as in an image, because processors are slow where they cannot predict the length of a list.
    """
    rng = np.random.default_rng(0)
    filled = rng.random((lists.pixels, lists.slots)) < 2 * density * rng.random((lists.pixels, 1))
    lists.count[:] = filled.sum(axis=1)
    lists.index[:] = np.argsort(~filled, axis=1, kind="stable").ravel()
    lists.pair[:] = 1


def _min_duration(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """The shortest time of several runs in seconds, each after ``before``."""
    times = []
    for _ in range(_RUNS):
        before()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _replace_caches() -> None:
    """Moves other data into the caches: a map is made mostly of what another layer wrote some time ago."""
    _OTHER[:] = 1
