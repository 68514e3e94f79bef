"""The event engine: packed weights that cameras share, and the state of one camera.

Before frame 0, each layer has fired on its biases alone, as often as in Lava's pipeline. No event has arrived, so all
neurons of a channel are equal, except near the edges, where windows hold padding. The state of a small input therefore
gives that of a large one: its edges, and its middle repeated. The plain form is ``reference.ReferenceNetwork``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..core.arithmetic import CARRY, RULES, Rule
from ..core.events import ChangeMap
from ..errors import UserError
from .amx import packing as amx_packing
from .amx import stack as amx_stack
from .generic import GenericStack
from .layer import CheckedConv, LayerStack, LayerState, ProfileHook, StepTotals, no_profile_hook
from .simd import packing as simd_packing
from .simd.stack import SimdStack


def initial_state(convs: Sequence[CheckedConv], input_wh: tuple[int, int], rule: Rule) -> list[LayerState]:
    """Computes the state of every layer before frame 0; layer i, from 1, has taken i + 1 steps.

    Args:
        convs: The layers.
        input_wh: Width and height of the input.
        rule: When neurons send.

    Returns:
        Sigma and reference of each layer.
    """
    width, height = input_wh
    small_wh = min_warm_up_length(convs, width), min_warm_up_length(convs, height)
    stack = GenericStack(tuple(convs), small_wh, rule)
    for frame in range(-(len(convs) + 1), 0):
        stack.run_ahead(max(0, -frame - 2))
    states: list[LayerState] = []
    rows, cols = height, width
    for number, conv in enumerate(convs):
        rows, cols = conv.output_size(rows, cols)
        sigma, reference = stack.read(number)
        states.append((stretch_state(sigma, rows, cols),
                       None if reference is None else stretch_state(reference, rows, cols)))
    return states


def min_warm_up_length(convs: Sequence[CheckedConv], length: int) -> int:
    """Finds the smallest input side whose edges and middle equal those of ``length``.

    It differs from ``length`` by a multiple of all strides, so that windows meet the far edge in the same way.

    Args:
        convs: The layers.
        length: Side of the input, pixels.

    Returns:
        The smallest such side; ``length`` itself when there is none.
    """
    step = int(np.prod([conv.stride for conv in convs]))
    for shorter in range(length % step, length, step):
        if _has_middle(convs, shorter):
            return shorter
    return length


def _has_middle(convs: Sequence[CheckedConv], length: int) -> bool:
    """Whether the neuron in the middle of every layer depends on neither edge."""
    near = far = 0
    for conv in convs:
        outputs = conv.output_length(length)
        # Outputs whose window holds padding or an input that depends on it: from the near edge, then from the far one.
        near = -(-(near + conv.padding) // conv.stride)
        clear = (length - far - conv.size + conv.padding) // conv.stride + 1
        far = outputs - clear
        if not near <= outputs // 2 < clear:
            return False
        length = outputs
    return True


def stretch_state(small: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Returns [rows, cols, channels] from a smaller or equal array by repeating its middle row and column."""
    lines, columns = (_repeat_middle(have, want) for have, want in zip(small.shape, (rows, cols)))
    stretched: np.ndarray = small[lines[:, None], columns]
    return stretched


def _repeat_middle(have: int, want: int) -> np.ndarray:
    """Indices, int64 [want], into ``have`` elements whose middle one is repeated."""
    place = np.arange(want)
    return np.where(place < have // 2, place, np.maximum(have // 2, place - (want - have)))


AMX, PORTABLE = "amx", "portable"
INITIAL_STATES = 4
"""Initial states that are kept: a topic whose images change their size must not fill the memory."""

_PROCESSORS = {"avx512": simd_packing.AVX512, "avx2": simd_packing.AVX2, "dotprod": simd_packing.DOTPROD}
_PACK: dict[str, Callable[[tuple[CheckedConv, ...]], tuple[Any, ...]]] = {
    AMX: amx_packing.pack,
    **{name: partial(simd_packing.pack, processor=processor) for name, processor in _PROCESSORS.items()},
    PORTABLE: tuple,
}
_STACKS: dict[str, Callable[[Any, tuple[int, int], Rule], LayerStack]] = {
    AMX: amx_stack.AmxStack, **dict.fromkeys(_PROCESSORS, SimdStack), PORTABLE: GenericStack}


def available_kernel_sets() -> tuple[str, ...]:
    """Returns the names of the kernel sets that this processor can run, fastest first. All give equal integers."""
    tiles = (AMX,) if amx_stack.is_supported() else ()
    return (*tiles, *(name for name, processor in _PROCESSORS.items() if processor.is_supported), PORTABLE)


@dataclass(frozen=True)
class EngineResult:
    """The outcome of one frame.

    Attributes:
        head: int32 [rows, cols, channels], the head's sigma at 2**(10 + its exponent), to be read only.
        layer_events: Events of each layer except the head; empty when counting is off.
        synops: Synaptic operations of each layer; empty when counting is off.
    """

    head: np.ndarray
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]


class PackedNetwork:
    """The weights of a network for the engine. Safe to share between cameras and threads.

    It also keeps the initial states of the last few input sizes, rules and kernel sets.

    Args:
        network: Anything with ``layers``, ``network.chain.ConvSpec`` each.

    Raises:
        ValueError: A layer's integers do not fit the kernels, see ``CheckedConv.of``.
    """

    def __init__(self, network: Any) -> None:
        self.convs = tuple(CheckedConv.of(spec) for spec in network.layers)
        self.names = tuple(spec.name for spec in network.layers)
        self._packed: dict[str, tuple[Any, ...]] = {}
        self._initial: dict[tuple[str, tuple[int, int], Rule], list[np.ndarray]] = {}
        self._lock = threading.Lock()

    def new_stack(self, kernel_set: str, input_wh: tuple[int, int], rule: Rule) -> LayerStack:
        """Returns the layers of one camera, all 0; weights are packed once for each kernel set."""
        with self._lock:
            if kernel_set not in self._packed:
                self._packed[kernel_set] = _PACK[kernel_set](self.convs)
        return _STACKS[kernel_set](self._packed[kernel_set], input_wh, rule)

    def initial_state(self, kernel_set: str, input_wh: tuple[int, int], rule: Rule) -> list[np.ndarray]:
        """Returns ``LayerStack.state`` before the first frame."""
        key = (kernel_set, input_wh, rule)
        with self._lock:
            initial = self._initial.get(key)
        if initial is None:
            stack = self.new_stack(kernel_set, input_wh, rule)
            stack.load(initial_state(self.convs, input_wh, rule))
            # Copies in memory of their own: the stack goes, and with it the chunks that its arrays are cut from.
            initial = [array.copy() for array in stack.state()]
        with self._lock:
            self._initial.pop(key, None)
            self._initial[key] = initial
            while len(self._initial) > INITIAL_STATES:
                del self._initial[next(iter(self._initial))]
        return initial


KERNEL_SET_VARIABLE = "REGIONMASK_ENGINE_PATH"
"""Environment variable that selects a kernel set; empty or unset for the fastest."""


class KernelSetError(UserError):
    """The kernel set does not exist, or cannot run on this processor or compute this network."""


def usable_kernel_sets(packed: PackedNetwork) -> tuple[str, ...]:
    """Returns those of ``available_kernel_sets`` that can compute this network."""
    return tuple(name for name in available_kernel_sets() if _can_compute(name, packed.convs))


def _can_compute(kernel_set: str, convs: tuple[CheckedConv, ...]) -> bool:
    if kernel_set in _PROCESSORS:
        return simd_packing.can_pack(convs, _PROCESSORS[kernel_set])
    return kernel_set != AMX or amx_packing.can_pack(convs)


def description(kernel_set: str) -> str:
    """Returns the kernel set's name, with VNNI where its products use it."""
    has_vnni = kernel_set in _PROCESSORS and _PROCESSORS[kernel_set].has_vnni
    return f"{kernel_set} (vnni)" if has_vnni else kernel_set


def choose_kernel_set(packed: PackedNetwork, kernel_set: str) -> str:
    """Checks a kernel set, or chooses one.

    Args:
        packed: The network.
        kernel_set: A name; "" for the one that ``KERNEL_SET_VARIABLE`` names, or the fastest.

    Returns:
        The name.

    Raises:
        KernelSetError: The kernel set cannot compute this network here.
    """
    usable = usable_kernel_sets(packed)
    where = "kernel set" if kernel_set else KERNEL_SET_VARIABLE
    wanted = kernel_set or os.environ.get(KERNEL_SET_VARIABLE, "") or usable[0]
    if wanted not in usable:
        raise KernelSetError(f"{where} {wanted!r}: this processor offers {', '.join(usable)} for this network")
    return wanted


class EventEngine:
    """The network with the state of one camera. Not for use by two threads at a time.

    Args:
        packed: Shared weights.
        input_wh: Width and height of the input.
        arithmetic: A name in ``RULES``.
        kernel_set: One of ``available_kernel_sets()``; "" for the one that the environment variable
            REGIONMASK_ENGINE_PATH names, or the fastest.

    Attributes:
        counting: Whether operations are counted. It costs little, and nothing when it is off.
        profile_hook: Called in each step with ``"input"`` after the events have been read, and with a layer's name
            after that layer; None for no calls.

    Raises:
        ValueError: The arithmetic is unknown, or the input is too small or too large.
        KernelSetError: The kernel set cannot compute this network here.
    """

    counting: bool = True
    profile_hook: Callable[[str], None] | None = None

    def __init__(self, packed: PackedNetwork, input_wh: tuple[int, int], arithmetic: str = CARRY,
                 kernel_set: str = "") -> None:
        if arithmetic not in RULES:
            raise ValueError(f"arithmetic {arithmetic!r}: expected one of {', '.join(RULES)}")
        self.kernel_set = choose_kernel_set(packed, kernel_set)
        self.packed, self.input_wh, self.arithmetic = packed, input_wh, arithmetic
        self._stack = packed.new_stack(self.kernel_set, input_wh, RULES[arithmetic])
        self.reset()

    def reset(self) -> None:
        """Returns to the initial state, as before the first frame."""
        self._stack.clear()
        self._head: np.ndarray | None = None
        initial = self.packed.initial_state(self.kernel_set, self.input_wh, RULES[self.arithmetic])
        for state, value in zip(self._stack.state(), initial):
            state[:] = value

    def step(self, index: np.ndarray, message: np.ndarray) -> EngineResult:
        """Computes one frame from a list of events.

        Args:
            index: int32 [n], strictly ascending positions in the input (y, x, channel), flat.
            message: int32 [n] at 2**10.

        Returns:
            The head's state and the counts.
        """
        self._stack.counting = self.counting
        return self._result(self._stack.step(index, message, self._layer_hook()))

    def step_changes(self, changes: ChangeMap) -> EngineResult:
        """Computes one frame from the encoder's map.

        Args:
            changes: The map, of the size of the input.

        Returns:
            The head's state and the counts.

        Raises:
            ValueError: The map has another size.
        """
        shape = self.input_wh[1], self.input_wh[0], self.packed.convs[0].in_channels
        if (changes.rows, changes.cols, changes.channels) != shape:
            raise ValueError(f"a map of {changes.cols}x{changes.rows}x{changes.channels}, the engine's input is "
                             f"{shape[1]}x{shape[0]}x{shape[2]}")
        if changes.events == 0 and self.profile_hook is None:
            # Neurons that nothing reaches cannot fire. Each layer clears its last events when it runs next.
            return self._result(StepTotals.silent(len(self.packed.convs)), self._head)
        self._stack.counting = self.counting
        return self._result(self._stack.step_changes(changes, self._layer_hook()))

    def _layer_hook(self) -> ProfileHook:
        hook = self.profile_hook
        if hook is None:
            return no_profile_hook
        names = {-1: "input", **dict(enumerate(self.packed.names))}
        return lambda part: hook(names[part])

    def _result(self, totals: StepTotals, head: np.ndarray | None = None) -> EngineResult:
        """head: The head's values when they have not changed; None to read them."""
        if head is None:
            head = self._stack.read(len(self.packed.convs) - 1)[0].copy()
        self._head = head
        counts = (totals.layer_events, totals.synops) if self.counting else ((), ())
        return EngineResult(self._head, *counts)

    def state(self, number: int) -> LayerState:
        """Returns sigma and reference of a layer, to be read only; a head has no reference."""
        return self._stack.read(number)
