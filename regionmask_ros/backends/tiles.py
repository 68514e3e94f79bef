"""The backend on this computer's processor for ONNX networks: the tile engine."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from typing import Any, ClassVar

from ..core.look import LookOutput, MaskedImage
from ..core.result import TileCounts
from ..errors import InvalidFile, UserError
from ..network.dense import DenseNetwork
from ..tiles.operators.activations import Kind
from ..tiles.operators.convolution import Convolution
from ..tiles.quantization.files import StoredTiles, unpack_tiles
from ..tiles.runner import TileRunner
from .base import BackendResult, IsCancelled, NoOptions, never_cancelled
from .immediate import ImmediateBackend

_READ: weakref.WeakKeyDictionary[DenseNetwork, StoredTiles] = weakref.WeakKeyDictionary()
"""Cameras that run the same network in one process share its weights."""

_NO_OPTIONS = NoOptions()


SUFFICIENT_AGREEMENT = 98.0
"""Of the quantized network with the original, from which on ``auto`` takes the tile engine."""


def suits_tiles(network: DenseNetwork) -> bool:
    """Whether the tile engine detects what the network does, as far as its calibration has measured."""
    measured = network.tiles_agreement
    return bool(network.tiles) and measured is not None and measured >= SUFFICIENT_AGREEMENT


def name_missing_on_lava(network: DenseNetwork) -> str:
    """Names the operators of a quantized network that the event engine, Lava and Loihi 2 lack here.

    Args:
        network: A network.

    Returns:
        Their names, sorted, with commas; empty if it has no quantized form, or only what they have.
    """
    if not network.tiles:
        return ""
    found = set()
    for node in read_tiles(network).network.graph.nodes:
        operator = node.operator
        if not isinstance(operator, Convolution):
            found.add(_LACKING.get(type(operator).__name__, type(operator).__name__))
            continue
        # What is behind a head is computed by the host.
        if not operator.is_head and operator.activation.kind not in (Kind.NONE, Kind.RELU):
            found.add("activations other than ReLU")
    return ", ".join(sorted(found))


_LACKING = {"MaxPool": "max pooling", "AveragePool": "average pooling", "Concat": "concatenation",
            "Resize": "upsampling", "Add": "sums of layers", "Multiply": "products of layers",
            "Activate": "activations other than ReLU", "ChannelSelect": "selection of channels",
            "SpaceToDepth": "rearrangement of pixels"}


def check_tiles(network: DenseNetwork) -> None:
    """Checks that a network runs on the tile engine.

    Args:
        network: The network.

    Raises:
        UserError: It does not. The message says why.
    """
    if not network.tiles:
        why = network.tiles_reason or (
            "it is not quantized: 'regionmask_ros model import FILE --calibrate SOURCE' does that, and --network takes "
            "the name")
        raise UserError(f"backend cpu: cannot run {network.name}: {why}; use auto, openvino or onnxruntime")


def read_tiles(network: DenseNetwork) -> StoredTiles:
    """The quantized form of a network.

    Args:
        network: One that has it.

    Returns:
        The quantized network and its tail, the same object for the same network.

    Raises:
        UserError: The network has none, or it is damaged.
    """
    check_tiles(network)
    stored = _READ.get(network)
    if stored is None:
        try:
            stored = _READ[network] = unpack_tiles(network.tiles)
        except InvalidFile as error:
            raise UserError(f"network {network.name}: its quantized form cannot be read: {error}; import the network "
                            "again") from error
    return stored


class TileBackend(ImmediateBackend):
    """Computes in the caller's thread: a frame's result is available when ``submit`` returns.

    Args:
        network: The network, with its quantized form.
        input_wh: Width and height of its input.
        arithmetic: Empty.
        options: None.
        is_cancelled: Not called, because opening takes almost no time.

    Raises:
        UserError: The network does not run on the tile engine.
    """

    supported_arithmetic: ClassVar[tuple[str, ...]] = ()
    options_class = NoOptions
    counts_synops = False
    is_dense = True

    @staticmethod
    def check(options: NoOptions) -> None:
        """Always passes: this backend is always available."""

    def __init__(self, network: DenseNetwork, input_wh: tuple[int, int], arithmetic: str = "",
                 options: NoOptions = _NO_OPTIONS, is_cancelled: IsCancelled = never_cancelled) -> None:
        super().__init__()
        stored = read_tiles(network)
        try:
            self._runner = TileRunner(stored.network, stored.tail, input_wh)
        except ValueError as error:
            raise UserError(f"network {network.name}: an input of {input_wh[0]}x{input_wh[1]} does not fit: {error}"
                            ) from error
        self._levels, self._idle = stored.network.levels, self._runner.meter.idle()
        self.kernels = f"tiles, {self._runner.engine.kernel_set}"
        self._outputs: tuple[LookOutput, ...] = ()

    def submit(self, sent: Sequence[MaskedImage], tag: Any) -> None:
        """Computes one frame.

        The head of the result is valid until the next frame. If nothing in it has changed, it is the same object as
        that of the frame before.

        Args:
            sent: The image; none in an idle frame.
            tag: Returned with the result.
        """
        start = time.perf_counter()
        head: tuple[LookOutput, ...] = ()
        counts = self._idle
        for masked in sent:
            head, counts = self._compute(masked)
        self._results.append(BackendResult(tag, head, (), (), (time.perf_counter() - start) * 1e3, counts))

    def _compute(self, masked: MaskedImage) -> tuple[tuple[LookOutput, ...], TileCounts]:
        level = None if masked.level is None else self._levels[masked.level]
        output = self._runner.step(masked.image, masked.keep, level)
        if output.has_changed or not self._outputs:
            self._outputs = (LookOutput(masked.look, output.outputs),)
        return self._outputs, self._runner.meter.measure(output.step.counts)

    def reset(self) -> None:
        """Forgets all frames, and discards results that were not polled."""
        super().reset()
        self._runner.reset()
        self._outputs = ()
