"""Lava's fixed-point convolution, counted, and the same integers from a matrix product.

Stock Lava (lava-nc 0.10) convolves channel by channel with SciPy: 5 to 7 s a step for YOLO-KP on two cores.
``GemmConvModelFixed`` gathers the windows that hold an event and multiplies them with the kernel. Its sums are exact:
in float32 while no sum of magnitudes can reach 2**24, in float64 otherwise.

Arrays are Lava's: (x, y, channel); kernels are (out, x, y, in), flipped in both spatial axes.
"""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv

COUNT = struct.Struct("<IIqq")
"""What a layer reports of a step: its number from 1, its steps so far, events that came in, synops."""

LAYER_KEY, COUNTS_FD_KEY = "regionmask_layer", "regionmask_counts_fd"
"""Names in a Conv's ``proc_params``: its number, and the pipe that the counts go to."""

_EXACT_FLOAT32 = 1 << 24
_CLAMP_LIMIT = 1 << 23


def reached(length: int, kernel: int, stride: int, padding: int) -> np.ndarray:
    """int64 [length]: how many outputs along one axis each input position is a tap of."""
    outputs = (length + 2 * padding - kernel) // stride + 1
    first_tap = np.arange(outputs)[:, None] * stride - padding
    taps = (first_tap + np.arange(kernel)).ravel()
    return np.bincount(taps[(taps >= 0) & (taps < length)], minlength=length)


class _CountedPort:
    """An InPort that reports what comes through it, before anybody can act on it."""

    def __init__(self, port: Any, model: PyConvModelFixed) -> None:
        self._port = port
        self._layer, self._fd = model.proc_params[LAYER_KEY], model.proc_params[COUNTS_FD_KEY]
        out_channels, *kernel = model.weight.shape[:3]
        stride, padding = (np.asarray(value).ravel().astype(int) for value in (model.stride, model.padding))
        lengths = model.proc_params["input_shape"][:2]
        self._reached = [reached(*geometry) for geometry in zip(lengths, kernel, stride, padding)]
        self._out_channels, self._steps = out_channels, 0

    def recv(self) -> np.ndarray:
        data = self._port.recv()
        self._steps += 1
        per_place = np.count_nonzero(data, axis=2)
        synops = int(self._reached[0] @ per_place @ self._reached[1]) * self._out_channels
        os.write(self._fd, COUNT.pack(self._layer, self._steps, int(per_place.sum()), synops))
        return data


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CountedConvModelFixed(PyConvModelFixed):
    """Lava's own model, unchanged, behind a port that counts."""

    def run_spk(self) -> None:
        if not isinstance(self.s_in, _CountedPort):
            self.s_in = _CountedPort(self.s_in, self)
        super().run_spk()


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class GemmConvModelFixed(PyConvModelFixed):
    """The same integers, faster. Graded messages, one group and no dilation only, which the graph makes sure of."""

    def run_spk(self) -> None:
        if not isinstance(self.s_in, _CountedPort):
            self.s_in = _CountedPort(self.s_in, self)
            self._product = WindowProduct(self.weight, self.proc_params["input_shape"], self.stride, self.padding)
        self.a_out.send(self.a_buf)
        self.a_buf = self._product(self.s_in.recv())


class WindowProduct:
    """The convolution as a function from int32 [x, y, in] to int32 [x, y, out], wrapped to 24 bits as Lava does.

    weight: int32 (out, kx, ky, in), flipped. stride, padding: along x and y.
    """

    def __init__(self, weight: np.ndarray, input_shape: tuple[int, int, int], stride: Any, padding: Any) -> None:
        self._kernel = weight.shape[1:3]
        self._stride = [int(step) for step in np.asarray(stride).ravel()]
        self._padding = [int(zeros) for zeros in np.asarray(padding).ravel()]
        matrix = weight[:, ::-1, ::-1].transpose(1, 2, 3, 0).reshape(-1, len(weight))
        self._reach = int(np.abs(matrix.astype(np.int64)).sum(axis=0).max())
        self._matrices = {np.float32: matrix.astype(np.float32), np.float64: matrix.astype(np.float64)}
        padded = [side + 2 * zeros for side, zeros in zip(input_shape, self._padding)]
        self._pad_lanes = {kind: np.zeros((*padded, input_shape[2]), kind) for kind in (np.float32, np.float64)}
        self._events = np.zeros(padded, bool)
        self._out_shape = tuple(
            (side - kernel) // step + 1 for side, kernel, step in zip(padded, self._kernel, self._stride)
        )
        self._type = weight.dtype

    def __call__(self, data: np.ndarray) -> np.ndarray:
        largest = int(max(data.max(), -data.min())) * self._reach
        kind = np.float32 if largest < _EXACT_FLOAT32 else np.float64
        out = np.zeros((*self._out_shape, self._matrices[kind].shape[1]), self._type)
        x, y = np.nonzero(self._windows_with_events(data))
        if len(x):
            rows = self._all_windows(data, kind)[x, y].reshape(len(x), -1)
            sums = (rows @ self._matrices[kind]).astype(self._type)
            if largest >= _CLAMP_LIMIT:
                sums = (sums + _CLAMP_LIMIT) % (2 * _CLAMP_LIMIT) - _CLAMP_LIMIT
            out[x, y] = sums
        return out

    def _inside(self, padded: np.ndarray) -> np.ndarray:
        (left, top), (cols, rows) = self._padding, padded.shape[:2]
        return padded[left:cols - left, top:rows - top]

    def _windows_with_events(self, data: np.ndarray) -> np.ndarray:
        """bool [x, y] of the output."""
        self._inside(self._events)[:] = data.any(axis=2)
        found = np.zeros(self._out_shape, bool)
        (cols, rows), (step_x, step_y) = self._out_shape, self._stride
        for x in range(self._kernel[0]):
            for y in range(self._kernel[1]):
                found |= self._events[x:x + step_x * cols:step_x, y:y + step_y * rows:step_y][:cols, :rows]
        return found

    def _all_windows(self, data: np.ndarray, kind: type) -> np.ndarray:
        """[x, y, kernel x, kernel y * in] of the output, a view."""
        padded = self._pad_lanes[kind]
        self._inside(padded)[:] = data
        by_x, by_y, by_value = padded.strides
        shape = (*self._out_shape, self._kernel[0], self._kernel[1] * padded.shape[2])
        strides = (by_x * self._stride[0], by_y * self._stride[1], by_x, by_value)
        return np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
