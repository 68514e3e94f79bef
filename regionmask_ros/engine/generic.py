"""The kernel set for any processor; users know it as ``portable``.

Events are sorted lists, scattered to the outputs that they reach. Each kernel computes the integers of a line of
``reference.ReferenceLayer.step``. Arrays are flat, in image order (y, x, channel). An event is a pair (index into that
order, message).

The other kernel sets hand over what a message of 16 bits cannot carry, which no trained network has shown. Their lists
or map hold the nearest value that fits. The rest goes to the overflow buffers, is summed here before the next layer
runs (``sum_overflow``), and is then added to that layer's own sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.arithmetic import ACCUMULATOR_BITS, Rule
from ..jit.cache import Whole, kernel
from .layer import MAX_MESSAGE, CheckedConv, LayerStack, LayerState, ProfileHook, StepTotals, no_profile_hook

_HALF = np.int32(1 << (ACCUMULATOR_BITS - 1))
_LOW = np.int32((1 << ACCUMULATOR_BITS) - 1)
_DENSE = 8
"""A vector instruction adds about as many products of a depthwise layer in the time of one by one."""


@kernel
def wrapped(total: Any) -> Any:
    """Returns an int32 sum, wrapped to the accumulator's 24 bits: ``(total + 2**23) mod 2**24 - 2**23``."""
    return np.int32(((total + _HALF) & _LOW) - _HALF)


@kernel
def accumulate(events: tuple[np.ndarray, np.ndarray, int], source: tuple[int, int], weight: np.ndarray,
               window: tuple[int, int, int, int], output: tuple[int, int, int], total: np.ndarray,
               touched: np.ndarray) -> int:
    """Adds every event, times its weights, to the sums of the outputs that it reaches.

    ``total[y, x, o] += message * weight[ky, kx, i, o]`` for all ky, kx whose output (y, x) exists, and all outputs o of
    the group that the channel i belongs to.

    Args:
        events: (index, message, count): int32, in image order, of which ``count`` are valid.
        source: (columns, channels) of the input.
        weight: int16 [size, size, in_channels, out_channels / groups], flat.
        window: (size, stride, padding, groups), the first three in pixels.
        output: (rows, columns, channels).
        total: int32 [rows * columns * channels], sums.
        touched: bool [rows * columns], set where an event arrives.

    Returns:
        Number of synaptic operations.
    """
    index, message, count = events
    in_cols, in_channels = source
    size, stride, padding, groups = window
    rows, cols, channels = output
    reached = channels // groups
    is_depthwise = groups == channels == in_channels
    line = np.zeros(in_channels if is_depthwise else 0, np.int32)
    synops = 0
    first = 0
    while first < count:
        position = index[first] // in_channels
        begin = position * in_channels
        last = first + 1
        while last < count and begin <= index[last] < begin + in_channels:
            last += 1
        y = position // in_cols
        x = position - y * in_cols
        # Where many channels have an event, whole lines of a depthwise layer are multiplied as vectors, zeros and all.
        is_dense = is_depthwise and (last - first) * _DENSE >= channels
        if is_dense:
            for event in range(first, last):
                line[index[event] - begin] += message[event]
        # Outputs from the first whose window ends behind the pixel to the last whose window begins at it.
        top = max(0, -(-(y + padding - size + 1) // stride))
        left = max(0, -(-(x + padding - size + 1) // stride))
        for row in range(top, min(rows, (y + padding) // stride + 1)):
            ky = y + padding - row * stride
            for col in range(left, min(cols, (x + padding) // stride + 1)):
                kx = x + padding - col * stride
                target = row * cols + col
                touched[target] = True
                synops += (last - first) * reached
                tap = (ky * size + kx) * in_channels * reached
                sums = total[target * channels:(target + 1) * channels]
                if is_dense:
                    add_line(line, weight[tap:tap + channels], sums)
                elif groups == 1:
                    add_events(index, message, first, last, begin, weight, tap, channels, sums)
                else:
                    add_grouped_events(index, message, first, last, begin, weight, tap, reached, in_channels // groups,
                                       sums)
        if is_dense:
            line[:] = 0
        first = last
    return synops


@kernel
def add_line(line: np.ndarray, weight: np.ndarray, target: np.ndarray) -> None:
    """Adds the messages of one pixel to one output of a depthwise layer: ``target[c] += line[c] * weight[c]``."""
    for c in range(len(target)):
        target[c] += line[c] * weight[c]


@kernel
def add_events(index: np.ndarray, message: np.ndarray, first: int, last: int, first_index: int, weight: np.ndarray,
               tap: int, channels: int, target: np.ndarray) -> None:
    """Adds the events of one pixel to one output: ``target[o] += sum of message * weight[channel, o]``.

    Four events share a pass over the target. ``tap`` is the first weight of the window's tap.
    """
    event = first
    while event + 4 <= last:
        m0 = message[event]
        m1 = message[event + 1]
        m2 = message[event + 2]
        m3 = message[event + 3]
        w0 = weight[tap + (index[event] - first_index) * channels:]
        w1 = weight[tap + (index[event + 1] - first_index) * channels:]
        w2 = weight[tap + (index[event + 2] - first_index) * channels:]
        w3 = weight[tap + (index[event + 3] - first_index) * channels:]
        for o in range(channels):
            target[o] += m0 * w0[o] + m1 * w1[o] + m2 * w2[o] + m3 * w3[o]
        event += 4
    while event < last:
        m = message[event]
        w = weight[tap + (index[event] - first_index) * channels:]
        for o in range(channels):
            target[o] += m * w[o]
        event += 1


@kernel
def add_grouped_events(index: np.ndarray, message: np.ndarray, first: int, last: int, first_index: int,
                       weight: np.ndarray, tap: int, reached: int, per_group: int, target: np.ndarray) -> None:
    """Adds the events of one pixel to one output, as ``add_events``, each to the outputs of its group only.

    A group has ``per_group`` channels, and ``reached`` outputs.
    """
    if per_group == 1 == reached:
        for event in range(first, last):
            channel = index[event] - first_index
            target[channel] += message[event] * weight[tap + channel]
        return
    for event in range(first, last):
        channel = index[event] - first_index
        m = message[event]
        w = weight[tap + channel * reached:]
        outputs = target[channel // per_group * reached:]
        for o in range(reached):
            outputs[o] += m * w[o]


@kernel
def fire(total: np.ndarray, touched: np.ndarray, everywhere: bool, many: bool, bias: np.ndarray,
         rule: tuple[int, int, bool, int], state: tuple[np.ndarray, np.ndarray], sent: np.ndarray, index: np.ndarray,
         message: np.ndarray) -> int:
    """Updates the neurons of every pixel that an event has reached, and lists their events.

    ``sigma += wrapped(total)``, ``delta = max(sigma + bias, 0) - reference``; a neuron fires when
    ``|delta| >= threshold`` and sends ``delta >> exponent``. Source: Lava's ``SigmaDelta``; rules: ``core.arithmetic``.
    A neuron that nothing has reached cannot fire: after every step its residual is below the threshold.

    Args:
        total: int32 [pixels * channels], sums; 0 afterwards.
        touched: bool [pixels]; False afterwards.
        everywhere: Updates all neurons.
        many: Whether many neurons are likely to fire. Only the time depends on it: branches are cheap where few do.
        bias: int32 [channels] at 2**(10 + exponent).
        rule: (threshold, release, carry, exponent), the first two at 2**(10 + exponent), see ``core.arithmetic.Rule``.
        state: (sigma, reference), int32 [pixels * channels].
        sent: int32 [channels], scratch.
        index: int32 [pixels * channels], filled from the front.
        message: int32 [pixels * channels], filled from the front, at 2**10.

    Returns:
        Number of events.
    """
    threshold, release, carry, exponent = rule
    sigma, reference = state
    channels = len(bias)
    events = 0
    for position in range(len(touched)):
        if not (touched[position] or everywhere):
            continue
        touched[position] = False
        base = position * channels
        for o in range(channels):
            n = base + o
            sigma_now = np.int32(sigma[n] + wrapped(total[n]))
            total[n] = 0
            sigma[n] = sigma_now
            active = max(np.int32(sigma_now + bias[o]), np.int32(0))
            delta = np.int32(active - reference[n])
            fires = abs(delta) >= threshold or (active == 0 and reference[n] >= release)
            change = delta if fires else np.int32(0)
            acknowledged = np.int32(change >> exponent)
            reference[n] += np.int32(acknowledged << exponent) if carry else change
            sent[o] = acknowledged
        if many:
            for o in range(channels):
                index[events] = base + o
                message[events] = sent[o]
                events += sent[o] != 0
        else:
            for o in range(channels):
                if sent[o] != 0:
                    index[events] = base + o
                    message[events] = sent[o]
                    events += 1
    return events


@kernel
def integrate(total: np.ndarray, touched: np.ndarray, channels: int, sigma: np.ndarray) -> None:
    """Updates a head, which has sigma only: ``sigma += wrapped(total)``. Clears total and touched as ``fire`` does."""
    for position in range(len(touched)):
        if not touched[position]:
            continue
        touched[position] = False
        for n in range(position * channels, (position + 1) * channels):
            sigma[n] += wrapped(total[n])
            total[n] = 0


class GenericLayer:
    """The state of one layer.

    Args:
        conv: The layer.
        in_rows: Rows of its input.
        in_cols: Columns of its input.
        rule: When its neurons send.

    Attributes:
        sigma: int32 [neurons], image order.
        reference: int32 [neurons]; empty for a head.
        touched: bool [rows * cols], outputs that an event has reached.
    """

    def __init__(self, conv: CheckedConv, in_rows: int, in_cols: int, rule: Rule) -> None:
        self.conv, self.source = conv, (in_cols, conv.in_channels)
        self.rows, self.cols = conv.output_size(in_rows, in_cols)
        self.shape = self.rows, self.cols, conv.out_channels
        self.neurons = self.rows * self.cols * conv.out_channels
        self.window = conv.size, conv.stride, conv.padding, conv.groups
        self.rule = conv.threshold, rule.release(conv.threshold), rule.carry, conv.exponent
        self.sigma = np.zeros(self.neurons, np.int32)
        self.reference = np.zeros(0 if conv.is_head else self.neurons, np.int32)
        self.touched = np.zeros(self.rows * self.cols, np.bool_)


class GenericStack(LayerStack):
    """All layers of one camera.

    Args:
        convs: The layers.
        input_wh: Width and height of the input.
        rule: When neurons send.
    """

    def __init__(self, convs: tuple[CheckedConv, ...], input_wh: tuple[int, int], rule: Rule) -> None:
        self.layers: list[GenericLayer] = []
        cols, rows = input_wh
        for conv in convs:
            self.layers.append(GenericLayer(conv, rows, cols, rule))
            rows, cols = self.layers[-1].rows, self.layers[-1].cols
        largest = max(layer.neurons for layer in self.layers)
        # One array of sums serves all layers; events go from one pair of buffers to the other and back.
        self._total = np.zeros(largest, np.int32)
        self._sent = np.zeros(max(conv.out_channels for conv in convs), np.int32)
        self._buffers = [(np.empty(largest, np.int32), np.empty(largest, np.int32)) for _ in range(2)]

    def step(self, index: np.ndarray, message: np.ndarray, profile_hook: ProfileHook = no_profile_hook) -> StepTotals:
        """See ``LayerStack.step``."""
        profile_hook(-1)
        events, synops, layer_events = len(index), [], []
        for number, layer in enumerate(self.layers):
            synops.append(self._accumulate(layer, index, message, events))
            index, message = self._buffers[number % 2]
            events = self._fire(layer, False, index, message)
            layer_events.append(events)
            profile_hook(number)
        return StepTotals(tuple(layer_events[:-1]), tuple(synops))

    def run_ahead(self, first: int) -> None:
        """Takes one step without input in the layers from number ``first`` on; all neurons are updated."""
        index, message = self._buffers[1 - first % 2]
        events = 0
        for number in range(first, len(self.layers)):
            self._accumulate(self.layers[number], index, message, events)
            index, message = self._buffers[number % 2]
            events = self._fire(self.layers[number], True, index, message)

    def _accumulate(self, layer: GenericLayer, index: np.ndarray, message: np.ndarray, events: int) -> int:
        return accumulate((index, message, events), layer.source, layer.conv.tap_major_weights, layer.window,
                          layer.shape, self._total[:layer.neurons], layer.touched)

    def _fire(self, layer: GenericLayer, everywhere: bool, index: np.ndarray, message: np.ndarray) -> int:
        total = self._total[:layer.neurons]
        if layer.conv.bias is None:
            integrate(total, layer.touched, layer.conv.out_channels, layer.sigma)
            return 0
        return fire(total, layer.touched, everywhere, False, layer.conv.bias, layer.rule,
                    (layer.sigma, layer.reference), self._sent, index, message)

    def clear(self) -> None:
        """See ``LayerStack.clear``."""
        self._total[:] = 0
        for layer in self.layers:
            layer.touched[:] = False

    def read(self, number: int) -> LayerState:
        """See ``LayerStack.read``."""
        layer = self.layers[number]
        return layer.sigma.reshape(layer.shape), None if layer.conv.is_head else layer.reference.reshape(layer.shape)

    def state(self) -> list[np.ndarray]:
        """See ``LayerStack.state``."""
        return [array for layer in self.layers for array in (layer.sigma, layer.reference)]

    def load(self, states: Sequence[LayerState]) -> None:
        """See ``LayerStack.load``."""
        for layer, (sigma, reference) in zip(self.layers, states):
            layer.sigma[:] = sigma.ravel()
            if reference is not None:
                layer.reference[:] = reference.ravel()


@kernel
def add_overflow_sums(total: np.ndarray, layout: tuple[int, int, int], overflow_sums: np.ndarray, first: Whole,
                      channels: int) -> None:
    """Adds to one pixel's sums what its inputs' lists or map do not hold, and clears it in ``overflow_sums``.

    Args:
        total: int32, sums.
        layout: (first, run, step): the pixel's sums begin at ``first``, ``run`` channels are contiguous, and the next
            ones follow ``step`` later.
        overflow_sums: int32 [rows * cols * channels].
        first: The pixel's first channel in ``overflow_sums``.
        channels: Channels to add.
    """
    first_total, run, step = layout
    for o in range(channels):
        total[first_total + o // run * step + o % run] += overflow_sums[first + o]
        overflow_sums[first + o] = 0


@kernel
def store_overflow(total: np.ndarray, layout: tuple[int, int, int], channels: int, first: Whole, top: Whole,
                   stored: int, overflow: tuple[np.ndarray, np.ndarray]) -> int:
    """Stores what lists or map lack of one pixel's messages.

    Args:
        total: int32, the messages, laid out as the sums of ``add_overflow_sums``.
        layout: As there.
        channels: Channels of the pixel.
        first: Position of the pixel's first value.
        top: Largest message that lists or map hold.
        stored: Entries that the buffers hold already.
        overflow: (index, rest), int32, the buffers.

    Returns:
        The new number of entries.
    """
    first_total, run, step = layout
    index, rest = overflow
    for o in range(channels):
        sent = total[first_total + o // run * step + o % run]
        lacking = sent - min(max(sent, -MAX_MESSAGE), top)
        if lacking != 0:
            index[stored] = first + o
            rest[stored] = lacking
            stored += 1
    return stored


def sum_overflow(conv: CheckedConv, overflow_sums: np.ndarray, overflow: tuple[np.ndarray, np.ndarray], entries: int,
                 in_cols: int, output: tuple[int, int]) -> np.ndarray:
    """Sums the overflow buffers for the layer that reads them.

    Args:
        conv: The layer.
        overflow_sums: Its sums, int32 [rows * cols * channels], all 0; or empty before the first use.
        overflow: (index, rest), int32, the buffers.
        entries: Entries that they hold.
        in_cols: Columns of the layer's input.
        output: Rows and columns of its output.

    Returns:
        ``overflow_sums`` with the sums in it.
    """
    rows, cols = output
    if not len(overflow_sums):
        overflow_sums = np.zeros(rows * cols * conv.out_channels, np.int32)
    accumulate((*overflow, entries), (in_cols, conv.in_channels), conv.tap_major_weights,
               (conv.size, conv.stride, conv.padding, conv.groups), (rows, cols, conv.out_channels), overflow_sums,
               np.zeros(rows * cols, np.bool_))
    return overflow_sums
