"""The event engine: packed weights that cameras share, and the state of one camera."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..core.arithmetic import ARITHMETICS, CARRY, RULES, Rule
from ..core.events import ChangeMap
from .amx import layers as tile_path
from .amx import packing as tile_packing
from .generic import layers as portable_path
from .layer import Convolution, Layers, ProfileHook, StepTotals, no_profile_hook
from .simd import layers as vector_path
from .simd import packing as vector_packing
from .warm_state import initial_state

AMX, PORTABLE = "amx", "portable"
WARM_STATES = 4
"""Warmed-up states that are remembered: a topic whose pictures change their size must not fill the memory."""

_PROCESSORS = {
    "avx512": vector_packing.AVX512,
    "avx2": vector_packing.AVX2,
    "dotprod": vector_packing.DOTPROD,
}
_PACK = {
    AMX: tile_packing.pack,
    **{name: partial(vector_packing.pack, processor=processor) for name, processor in _PROCESSORS.items()},
    PORTABLE: portable_path.pack,
}
_LAYERS = {AMX: tile_path.AmxLayers, PORTABLE: portable_path.PortableLayers}


def available_kernel_sets() -> tuple[str, ...]:
    """Names of the ways in which this processor can compute the layers, the fastest first. All give equal integers."""
    tiles = (AMX,) if tile_path.is_supported() else ()
    return (*tiles, *(name for name, processor in _PROCESSORS.items() if processor.is_supported), PORTABLE)


@dataclass(frozen=True)
class EngineResult:
    """head: int32 [rows, cols, channels], sigma at 2**16, to be read only. Counts: see ``StepCounts``; empty when
    counting is off.
    """

    head: np.ndarray
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]


class PackedNetwork:
    """Weights of a network for the engine. Safe to share between cameras and threads.

    It also remembers the warmed-up states of the last few input sizes, arithmetics and paths; every camera starts from
    one.
    """

    def __init__(self, network) -> None:
        """Raises ValueError when a weight does not fit 16 bits, or a bias or threshold 22."""
        self.convolutions = tuple(Convolution.of(spec) for spec in network.layers)
        self.names = tuple(spec.name for spec in network.layers)
        self._packed: dict[str, tuple] = {}
        self._warm: dict[tuple, list[np.ndarray]] = {}
        self._lock = threading.Lock()

    def layers_for(self, path: str, input_wh: tuple[int, int], rule: Rule) -> Layers:
        """Fresh layers of one camera; weights are packed once for each path."""
        with self._lock:
            if path not in self._packed:
                self._packed[path] = _PACK[path](self.convolutions)
        return _LAYERS.get(path, vector_path.SimdLayers)(self._packed[path], input_wh, rule)

    def warm_state(self, path: str, input_wh: tuple[int, int], rule: Rule) -> list[np.ndarray]:
        """``Layers.state`` before the first frame."""
        key = (path, input_wh, rule)
        with self._lock:
            warm = self._warm.get(key)
        if warm is None:
            fresh = self.layers_for(path, input_wh, rule)
            fresh.load(initial_state(self.convolutions, input_wh, rule))
            # Copies in memory of their own: ``fresh`` goes, and with it the chunks that its arrays are cut from.
            warm = [array.copy() for array in fresh.state()]
        with self._lock:
            self._warm.pop(key, None)
            self._warm[key] = warm
            while len(self._warm) > WARM_STATES:
                del self._warm[next(iter(self._warm))]
        return warm


KERNEL_SET_VARIABLE = "REGIONMASK_ENGINE_PATH"
"""Environment variable that forces a path; empty or unset for the fastest."""


class KernelSetError(ValueError):
    """A path was asked for that there is not, or not on this processor, or not for this network."""


def usable_kernel_sets(packed: PackedNetwork) -> tuple[str, ...]:
    """Of ``available_kernel_sets``, those that can compute this network."""
    return tuple(name for name in available_kernel_sets() if _can_compute(name, packed.convolutions))


def _can_compute(path: str, convolutions: tuple[Convolution, ...]) -> bool:
    if path in _PROCESSORS:
        return vector_packing.can_pack(convolutions, _PROCESSORS[path])
    return path != AMX or tile_packing.can_pack(convolutions)


def description(path: str) -> str:
    """The path's name, and VNNI where its products use it."""
    return f"{path} (vnni)" if path in _PROCESSORS and _PROCESSORS[path].has_vnni else path


def choose_kernel_set(packed: PackedNetwork, kernel_set: str) -> str:
    """The path of that name; with "", the one that ``KERNEL_SET_VARIABLE`` names, or the fastest. Raises PathError."""
    usable = usable_kernel_sets(packed)
    where = "kernel set" if kernel_set else KERNEL_SET_VARIABLE
    wanted = kernel_set or os.environ.get(KERNEL_SET_VARIABLE, "") or usable[0]
    if wanted not in usable:
        raise KernelSetError(f"{where} {wanted!r}: this processor offers {', '.join(usable)} for this network")
    return wanted


class EventEngine:
    """The network's state for one camera. Not for use by two threads at a time.

    packed: shared weights. input_wh: width and height of the input. arithmetic: a name in ``RULES``. path: one of
    ``available_kernel_sets()``; "" for the one that the environment variable REGIONMASK_ENGINE_PATH names, or the fastest.
    Raises ValueError for an unknown arithmetic or an input that is too small, and PathError, which is one, for a path
    that is not to be had.

    counting: whether operations are counted. It costs little, and nothing when it is off.
    lap: where set, ``step`` calls it with ``"input"`` once the events have been taken over, and with a layer's name
    right after that layer.
    """

    counting: bool = True
    profile_hook: Callable[[str], None] | None = None

    def __init__(
        self, packed: PackedNetwork, input_wh: tuple[int, int], arithmetic: str = CARRY, kernel_set: str = ""
    ) -> None:
        if arithmetic not in ARITHMETICS:
            raise ValueError(f"arithmetic {arithmetic!r}: expected one of {', '.join(ARITHMETICS)}")
        self.kernel_set = choose_kernel_set(packed, kernel_set)
        self.packed, self.input_wh, self.arithmetic = packed, input_wh, arithmetic
        self._layers = packed.layers_for(self.kernel_set, input_wh, RULES[arithmetic])
        self.reset()

    def reset(self) -> None:
        """Back to the warmed-up state, as before the first frame."""
        self._layers.clear()
        self._head: np.ndarray | None = None
        warm = self.packed.warm_state(self.kernel_set, self.input_wh, RULES[self.arithmetic])
        for state, value in zip(self._layers.state(), warm):
            state[:] = value

    def step(self, index: np.ndarray, message: np.ndarray) -> EngineResult:
        """One frame: encoder events in, the head's state out.

        index: int32 [n], strictly ascending positions in the input (y, x, channel), flat. message: int32 [n] at 2**10.
        """
        self._layers.counting = self.counting
        return self._result(self._layers.step(index, message, self._profile_hook()))

    def step_changes(self, changes: ChangeMap) -> EngineResult:
        """As ``step``, with the encoder's events as a dense map. Raises ValueError for a map of another size."""
        shape = self.input_wh[1], self.input_wh[0], self.packed.convolutions[0].in_channels
        if (changes.rows, changes.cols, changes.channels) != shape:
            raise ValueError(f"a map of {changes.cols}x{changes.rows}x{changes.channels}, the engine's input is "
                             f"{shape[1]}x{shape[0]}x{shape[2]}")
        if changes.events == 0 and self.profile_hook is None:
            # Neurons that nothing reaches cannot fire, and what layers sent last is taken back when they next fire.
            return self._result(StepTotals.silent(len(self.packed.convolutions)), self._head)
        self._layers.counting = self.counting
        return self._result(self._layers.step_changes(changes, self._profile_hook()))

    def _profile_hook(self) -> ProfileHook:
        if self.profile_hook is None:
            return no_profile_hook
        names = {-1: "input", **dict(enumerate(self.packed.names))}
        return lambda part: self.profile_hook(names[part])

    def _result(self, totals: StepTotals, head: np.ndarray | None = None) -> EngineResult:
        """head: what it still shows; None: to be read."""
        if head is None:
            head = self._layers.read(len(self.packed.convolutions) - 1)[0].copy()
        self._head = head
        counts = (totals.layer_events, totals.synops) if self.counting else ((), ())
        return EngineResult(self._head, *counts)

    def state(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(sigma, reference) of a layer, int32 [rows, cols, channels], to be read only; a head has no reference."""
        return self._layers.read(number)
