"""A sigma-delta network as frozen integers, independent of its file format.

All arrays are read-only copies. Kernels are ``[out, in, ky, kx]`` and are applied by correlation to ``[row, col,
channel]``. Biases, thresholds and the input table are integers at scale 2^6: the real value is integer / 64. Weights
are integers at scale 2^e; e is an exponent of the layer, 6 where nothing else is said.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.arithmetic import LARGEST_EXP, USUAL_EXP
from .graph import Graph, Node, Parameters, Shape

if TYPE_CHECKING:
    from .branched import LevelsHead

IMAGE = ""
"""Name of the input tensor. No layer is named so."""

LARGEST_BIAS = (1 << 13) - 1
"""Of a head, at scale 2^6: as large as what its 24 bits hold."""


@dataclass(frozen=True, eq=False)
class ConvSpec:
    """One convolution and its neurons. Instances are compared by identity.

    Attributes:
        name: Unique in its network.
        weight: int32 [out, in / groups, k, k], a square kernel.
        bias: int32 [out]; None for the head, whose neurons only integrate and never fire.
        stride: At least 1.
        padding: Zeros on each side, less than the kernel.
        threshold: A neuron fires when its change reaches (>=) the threshold. At least 1; not used by the head.
        exponent: Of the weights, whose real value is integer / 2^exponent: 0 to 9.
        groups: Equal parts of the input channels. An output reads one part; the first outputs read the first part, and
            so on. 1: every output reads all channels. As many as there are channels: a depthwise convolution.

    Raises:
        ValueError: A value is out of range; the message names the layer.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray | None
    stride: int
    padding: int
    threshold: int
    exponent: int = USUAL_EXP
    groups: int = 1

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a layer needs a name")
        weight = _frozen_int32(self.weight, f"layer {self.name}: weight")
        if weight.ndim != 4 or weight.shape[2] != weight.shape[3] or 0 in weight.shape:
            raise ValueError(f"layer {self.name}: weight is {list(weight.shape)}, expected [out, in, k, k] without a 0")
        object.__setattr__(self, "weight", weight)
        if self.bias is not None:
            bias = _frozen_int32(self.bias, f"layer {self.name}: bias")
            if bias.shape != weight.shape[:1]:
                raise ValueError(f"layer {self.name}: bias is {list(bias.shape)}, expected [{weight.shape[0]}]")
            object.__setattr__(self, "bias", bias)
        for key, low in (("stride", 1), ("padding", 0), ("threshold", 0 if self.is_head else 1), ("exponent", 0),
                         ("groups", 1)):
            object.__setattr__(self, key, _at_least(getattr(self, key), low, f"layer {self.name}: {key}"))
        if self.exponent > LARGEST_EXP:
            raise ValueError(f"layer {self.name}: exponent is {self.exponent}, expected at most {LARGEST_EXP}")
        if self.out_channels % self.groups:
            raise ValueError(f"layer {self.name}: {self.out_channels} outputs cannot be divided into {self.groups} "
                             "groups")
        if self.padding >= self.kernel:
            raise ValueError(f"layer {self.name}: padding {self.padding} is not less than the kernel, {self.kernel}")

    @property
    def real_weight(self) -> np.ndarray:
        """The weights as real numbers, float64."""
        return np.asarray(self.weight / float(1 << self.exponent))

    @property
    def is_head(self) -> bool:
        """Whether the layer is a head, whose neurons never fire."""
        return self.bias is None

    @property
    def in_channels(self) -> int:
        """Channels of the layer's input."""
        return int(self.weight.shape[1]) * self.groups

    @property
    def out_channels(self) -> int:
        """Channels of the layer's output."""
        return int(self.weight.shape[0])

    @property
    def kernel(self) -> int:
        """Side of the square kernel."""
        return int(self.weight.shape[2])

    def output_length(self, input_length: int) -> int:
        """Computes the rows (or columns) of the output.

        Args:
            input_length: Rows (or columns) of the input.

        Returns:
            Rows (or columns) of the output, at least 1.

        Raises:
            ValueError: The kernel does not fit the input.
        """
        room = input_length + 2 * self.padding - self.kernel
        if input_length < 1 or room < 0:
            raise ValueError(f"layer {self.name}: a kernel of {self.kernel} does not fit {input_length} pixels")
        return room // self.stride + 1

    def output_shape(self, inputs: Sequence[Shape], parameters: Parameters) -> Shape:
        """See ``graph.Operator``."""
        rows, cols, channels = inputs[0]
        if channels != self.in_channels:
            raise ValueError(f"layer {self.name} reads {self.in_channels} channels, its input has {channels}")
        return self.output_length(rows), self.output_length(cols), self.out_channels

    def output_stride(self, inputs: Sequence[int]) -> int:
        """See ``graph.Operator``."""
        return inputs[0] * self.stride

    def count_macs(self, inputs: Sequence[Shape], parameters: Parameters) -> int:
        """See ``graph.Operator``."""
        rows, cols, _ = self.output_shape(inputs, parameters)
        return rows * cols * int(self.weight.size)


@dataclass(frozen=True)
class YoloHead:
    """Meaning of the head's channels: for each anchor x, y, w, h, objectness, then one channel per class.

    Attributes:
        anchors: (width, height) in grid cells, at least one.
        num_classes: At least 1.
        clamp_max: The largest exponent of a box's size.
        bias: Added to each channel where the boxes are decoded, at scale 2^6: neurons of a head only integrate. Empty:
            nothing is added.
        exponent: Of the weights of the layer that is decoded.

    Raises:
        ValueError: A value is out of range.
    """

    anchors: tuple[tuple[float, float], ...]
    num_classes: int
    clamp_max: float
    bias: tuple[int, ...] = ()
    exponent: int = USUAL_EXP

    def __post_init__(self) -> None:
        anchors = tuple((float(w), float(h)) for w, h in self.anchors)
        if not anchors or not all(math.isfinite(v) and v > 0 for pair in anchors for v in pair):
            raise ValueError(f"anchors are {self.anchors}, expected pairs of positive numbers")
        if not math.isfinite(self.clamp_max):
            raise ValueError(f"clamp_max is {self.clamp_max}, expected a finite number")
        object.__setattr__(self, "anchors", anchors)
        object.__setattr__(self, "num_classes", _at_least(self.num_classes, 1, "num_classes"))
        bias = tuple(_at_least(value, -LARGEST_BIAS, "bias") for value in self.bias)
        if len(bias) not in (0, self.channels) or max(bias, default=0) > LARGEST_BIAS:
            raise ValueError(f"{len(bias)} biases up to {max(bias, default=0)} for a head of {self.channels} channels")
        object.__setattr__(self, "bias", bias)

    @property
    def channels(self) -> int:
        """Channels of the layer that this head decodes."""
        return len(self.anchors) * (5 + self.num_classes)


@dataclass(frozen=True, eq=False)
class Network:
    """Layers, the encoder's values and the meaning of the output. Instances are compared by identity.

    Attributes:
        name: For reports.
        layers: In order; the last one is the head.
        head: How the output is decoded, of a chain a ``YoloHead``; None when it has no boxes.
        labels: Unique class names by index; empty without a head.
        input_table: int32 [256, channels], the encoder's integer for each 8-bit value of a channel (RGB).
        encoder_threshold: At least 1.
        source_file: The file that the network was read from; empty for one made in code.
        sha256: The digest of that file.

    Raises:
        ValueError: The parts do not fit together.
    """

    name: str
    layers: tuple[ConvSpec, ...]
    head: YoloHead | LevelsHead | None
    labels: tuple[str, ...]
    input_table: np.ndarray
    encoder_threshold: int
    source_file: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "input_table", _frozen_int32(self.input_table, "input_table"))
        object.__setattr__(self, "encoder_threshold", _at_least(self.encoder_threshold, 1, "encoder_threshold"))
        self._check_layers()
        self._check_head()

    def _check_layers(self) -> None:
        if not self.layers:
            raise ValueError("a network needs at least one layer, the head")
        for layer in self.layers[:-1]:
            if layer.is_head:
                raise ValueError(f"layer {layer.name} has no bias, which only the last layer may lack")
        if not self.layers[-1].is_head:
            raise ValueError(f"the last layer, {self.layers[-1].name}, has a bias; it must be a head (bias None)")
        for before, after in itertools.pairwise(self.layers):
            if before.out_channels != after.in_channels:
                pair = f"{before.out_channels} to {after.in_channels}"
                raise ValueError(f"layers {before.name} and {after.name} do not fit together: channels {pair}")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise ValueError(f"layer names are not unique: {', '.join(names)}")
        if self.input_table.shape != (256, self.in_channels):
            raise ValueError(f"input_table is {list(self.input_table.shape)}, expected [256, {self.in_channels}]")

    def _check_head(self) -> None:
        assert self.head is None or isinstance(self.head, YoloHead), "of a chain"
        self._check_labels(0 if self.head is None else self.head.num_classes)
        channels = self.layers[-1].out_channels
        if self.head is not None and self.head.channels != channels:
            raise ValueError(f"the head needs {self.head.channels} channels, but the last layer has {channels}")
        if self.head is not None and self.head.exponent != self.layers[-1].exponent:
            raise ValueError(f"the exponents of head and last layer differ: {self.head.exponent}, "
                             f"{self.layers[-1].exponent}")

    def _check_labels(self, expected: int) -> None:
        if len(self.labels) != expected or len(set(self.labels)) != expected:
            raise ValueError(f"{len(self.labels)} labels ({len(set(self.labels))} different) for {expected} classes")

    @property
    def in_channels(self) -> int:
        """Channels of the input image."""
        return self.layers[0].in_channels

    @property
    def total_stride(self) -> int:
        """Input pixels between neighboring cells of the head, 32 for YOLO-KP."""
        return self.graph.strides()[self.layers[-1].name]

    def output_size(self, input_wh: tuple[int, int]) -> list[tuple[int, int, int]]:
        """(rows, cols, channels) of each layer's output for an input of (width, height) pixels."""
        shapes = self.graph.shapes(input_wh)
        return [shapes[layer.name] for layer in self.layers]

    def dense_macs(self, input_wh: tuple[int, int]) -> tuple[int, ...]:
        """Multiply-accumulate operations of each layer without any sparsity; those on the zero padding count."""
        return tuple(self.graph.macs(input_wh).values())

    @property
    def counted_layers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the layers whose events are counted, and of those whose synaptic operations are counted."""
        names = tuple(layer.name for layer in self.layers)
        return names[:-1], names

    @cached_property
    def graph(self) -> Graph:
        """The layers as a graph, in which every node reads the one before."""
        names = [IMAGE, *(layer.name for layer in self.layers)]
        nodes = (Node(layer.name, layer, (before,)) for layer, before in zip(self.layers, names))
        return Graph(IMAGE, self.in_channels, tuple(nodes), (names[-1],))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all integers and shapes that affect the output: networks with equal digests give equal events."""
        summary = hashlib.sha256(f"{self.encoder_threshold} {self.input_table.shape}".encode())
        summary.update(little_endian(self.input_table))
        for layer in self.layers:
            digest_layer(summary, layer)
        # A head without biases is YOLO-KP's, whose digests are those of older versions.
        if isinstance(self.head, YoloHead) and self.head.bias:
            summary.update(repr(self.head).encode())
        return summary.hexdigest()


def digest_layer(summary: Any, layer: ConvSpec) -> None:
    """Adds all integers of a layer to a digest of ``hashlib``."""
    numbers = (layer.stride, layer.padding, None if layer.is_head else layer.threshold)
    # Digests of networks without other exponents, and without groups, are those of older versions.
    exponent = "" if layer.exponent == USUAL_EXP else f" {layer.exponent}"
    groups = "" if layer.groups == 1 else f" in {layer.groups} groups"
    summary.update(f"{layer.weight.shape} {numbers}{exponent}{groups}".encode())
    summary.update(little_endian(layer.weight))
    if layer.bias is not None:
        summary.update(little_endian(layer.bias))


def _frozen_int32(values: np.ndarray, what: str) -> np.ndarray:
    """A private, read-only, C-contiguous copy."""
    if not isinstance(values, np.ndarray) or values.dtype != np.int32:
        raise ValueError(f"{what} is {getattr(values, 'dtype', type(values).__name__)}, expected an int32 array")
    copy = np.array(values, np.int32, order="C")
    copy.setflags(write=False)
    return copy


def _at_least(value: int, low: int, what: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{what} is {value!r}, expected an integer") from None
    if number < low:
        raise ValueError(f"{what} is {number}, expected at least {low}")
    return number


def little_endian(array: np.ndarray) -> bytes:
    """The integers as bytes that are the same on every processor."""
    return np.ascontiguousarray(array, "<i4").tobytes()
