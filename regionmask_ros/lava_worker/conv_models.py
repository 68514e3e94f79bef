"""Models of Lava's convolution process: Lava's own with event counts, and the same integers from a matrix product.

Stock Lava (lava-nc 0.10) convolves channel by channel with SciPy, which takes 5 to 7 s per time step for YOLO-KP on two
cores. ``GemmConvModelFixed`` gathers the windows that contain an event and multiplies them with the kernel. Its sums
are exact: in float32 while no sum of magnitudes can reach 2**24, in float64 otherwise.

Arrays are Lava's: (x, y, channel). Kernels are (out, x, y, in / groups), flipped in both spatial axes.

Lava declares the number of groups with 8 bits, which 128 groups overflow. The models here take it from the process.

This module imports Lava, so only the worker may import it, after ``shim.import_var_model``.
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
"""Report of a layer about one step: its number from 1, the step from 1, received events, synops."""

LAYER_KEY, COUNTS_FD_KEY = "regionmask_layer", "regionmask_counts_fd"
"""Names in a Conv's ``proc_params``: its number, and the file descriptor that it reports to."""

_EXACT_FLOAT32 = 1 << 24
_WRAP_LIMIT = 1 << 23
"""Lava's accumulators have 24 bits."""


def count_reached_outputs(length: int, kernel: int, stride: int, padding: int) -> np.ndarray:
    """Counts for each input position along one axis the outputs whose kernel covers it.

    Args:
        length: Number of inputs.
        kernel: Number of kernel taps.
        stride: Step between outputs, in inputs.
        padding: Zeros on each side.

    Returns:
        int64 [length].
    """
    outputs = (length + 2 * padding - kernel) // stride + 1
    first_tap = np.arange(outputs)[:, None] * stride - padding
    taps = (first_tap + np.arange(kernel)).ravel()
    return np.bincount(taps[(taps >= 0) & (taps < length)], minlength=length)


def count_groups(model: PyConvModelFixed) -> int:
    """Groups of the process that a model runs."""
    return int(model.proc_params["groups"])


class _CountedPort:
    """An InPort that reports what it receives before the model computes with it."""

    def __init__(self, port: Any, model: PyConvModelFixed) -> None:
        self._port = port
        self._layer, self._fd = model.proc_params[LAYER_KEY], model.proc_params[COUNTS_FD_KEY]
        out_channels, *kernel = model.weight.shape[:3]
        stride, padding = (np.asarray(value).ravel().astype(int) for value in (model.stride, model.padding))
        lengths = model.proc_params["input_shape"][:2]
        self._reached = [count_reached_outputs(*geometry) for geometry in zip(lengths, kernel, stride, padding)]
        self._reached_channels, self._steps = out_channels // count_groups(model), 0

    def recv(self) -> np.ndarray:
        data: np.ndarray = self._port.recv()
        self._steps += 1
        counts = np.count_nonzero(data, axis=2)
        synops = int(self._reached[0] @ counts @ self._reached[1]) * self._reached_channels
        os.write(self._fd, COUNT.pack(self._layer, self._steps, int(counts.sum()), synops))
        return data


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CountedConvModelFixed(PyConvModelFixed):  # type: ignore[misc]
    """Lava's own model, with counts of what it receives."""

    s_in: Any
    a_buf: Any

    def run_spk(self) -> None:
        """Runs one time step."""
        if not isinstance(self.s_in, _CountedPort):
            self.s_in = _CountedPort(self.s_in, self)
            self.groups = np.array([count_groups(self)])
        super().run_spk()


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class GemmConvModelFixed(PyConvModelFixed):  # type: ignore[misc]
    """The same integers, faster. Only for graded messages and no dilation, as in `sim_graph`."""

    s_in: Any
    a_buf: Any

    def run_spk(self) -> None:
        """Runs one time step."""
        if not isinstance(self.s_in, _CountedPort):
            self.s_in = _CountedPort(self.s_in, self)
            self._product = WindowProduct(self.weight, self.proc_params["input_shape"], self.stride, self.padding,
                                          count_groups(self))
        self.a_out.send(self.a_buf)
        self.a_buf = self._product(self.s_in.recv())


class WindowProduct:
    """The convolution as a function from int32 [x, y, in] to int32 [x, y, out], wrapped to 24 bits as Lava does.

    Args:
        weight: int32 (out, kx, ky, in / groups), flipped.
        input_shape: (x, y, channels) of the input.
        stride: Steps along x and y.
        padding: Zeros on each side along x and y.
        groups: Parts of the channels.
    """

    def __init__(self, weight: np.ndarray, input_shape: tuple[int, int, int], stride: Any, padding: Any,
                 groups: int) -> None:
        self._kernel, self._groups = weight.shape[1:3], groups
        self._stride = [int(step) for step in np.asarray(stride).ravel()]
        self._padding = [int(zeros) for zeros in np.asarray(padding).ravel()]
        # [groups, x * y * in of a group, out of a group].
        matrix = weight[:, ::-1, ::-1].reshape(groups, len(weight) // groups, -1).transpose(0, 2, 1)
        self._largest_gain = int(np.abs(matrix.astype(np.int64)).sum(axis=1).max())
        padded = [side + 2 * zeros for side, zeros in zip(input_shape, self._padding)]
        # For float32 and float64: the kernel as matrices, and a buffer for the padded input.
        self._single, self._double = (
            (matrix.astype(kind, order="C"), np.zeros((*padded, input_shape[2]), kind))
            for kind in (np.float32, np.float64))
        self._events = np.zeros(padded, bool)
        self._out_shape = tuple(
            (side - kernel) // step + 1 for side, kernel, step in zip(padded, self._kernel, self._stride))
        self._type = weight.dtype

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """Convolves one array, see the class."""
        largest = int(max(data.max(), -data.min())) * self._largest_gain
        matrix, padded = self._single if largest < _EXACT_FLOAT32 else self._double
        out = np.zeros((*self._out_shape, self._groups * matrix.shape[2]), self._type)
        x, y = np.nonzero(self._find_windows(data))
        if len(x):
            self._inside(padded)[:] = data
            rows = self._windows(padded)[x, y].reshape(len(x), -1, self._groups, padded.shape[2] // self._groups)
            parts = rows.transpose(2, 0, 1, 3).reshape(self._groups, len(x), -1)
            sums = (parts @ matrix).transpose(1, 0, 2).reshape(len(x), -1).astype(self._type)
            if largest >= _WRAP_LIMIT:
                sums = (sums + _WRAP_LIMIT) % (2 * _WRAP_LIMIT) - _WRAP_LIMIT
            out[x, y] = sums
        return out

    def _inside(self, padded: np.ndarray) -> np.ndarray:
        (left, top), (cols, rows) = self._padding, padded.shape[:2]
        return padded[left:cols - left, top:rows - top]

    def _find_windows(self, data: np.ndarray) -> np.ndarray:
        """Outputs whose window contains an event, bool [x, y]."""
        self._inside(self._events)[:] = data.any(axis=2)
        found = np.zeros(self._out_shape, bool)
        (cols, rows), (step_x, step_y) = self._out_shape, self._stride
        for x in range(self._kernel[0]):
            for y in range(self._kernel[1]):
                found |= self._events[x:x + step_x * cols:step_x, y:y + step_y * rows:step_y][:cols, :rows]
        return found

    def _windows(self, padded: np.ndarray) -> np.ndarray:
        """The window of each output, [x, y, kernel x, kernel y * in], a view."""
        by_x, by_y, by_value = padded.strides
        shape = (*self._out_shape, self._kernel[0], self._kernel[1] * padded.shape[2])
        strides = (by_x * self._stride[0], by_y * self._stride[1], by_x, by_value)
        return np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
