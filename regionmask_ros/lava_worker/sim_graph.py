"""The network as a graph of Lava's own processes, run by Lava's fixed-point models.

    Injector -> DeltaEncoder -> (Conv -> SigmaDelta) x n -> Conv -> Sigma -> Extractor

What is injected is not the camera image but the sum of all events so far: Lava's encoder then sends exactly the events
that were received, and a masked pixel does not change. One time step takes in one frame; a layer works on what the
layer before it sent one step ago.

The layers are the same for the simulator and the chip; `loihi_graph` uses them, too.
"""

from __future__ import annotations

import os
import select
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import shim
from .protocol import MESSAGE_SHIFT, NetworkHeader

MESSAGE_BITS = 8
GRADED_BITS = 16
"""Width of messages between layers as declared to Lava, which does not enforce it."""

CHANNEL_SLOTS = 2
"""Messages that a channel between processes holds. They run in step, so 2 suffice; Lava's 64 take gigabytes."""

INPUT_SLOTS = 4

_READ_RECORDS = 1000


class AccumulatedInput:
    """The sum of all events so far, in the encoder's units: the input of Lava's encoder.

    Args:
        shape: (rows, cols, channels) of the network's input.

    Attributes:
        shape: As given.
        xy_shape: Shape of Lava's array, (x, y, channel).
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        rows, cols, channels = shape
        self.shape, self.xy_shape = shape, (cols, rows, channels)
        self._values = np.zeros(rows * cols * channels, np.int32)

    def add(self, index: np.ndarray, message: np.ndarray) -> np.ndarray:
        """Adds the events of one frame.

        Args:
            index: Flat places in the order y, x, channel, uint32 [n].
            message: Changes in the encoder's units, int8 [n].

        Returns:
            The sum, int32 [x, y, channel], a view.
        """
        self._values[index] += message
        return as_xy(self._values, self.shape)


def as_xy(values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Flat values in the order y, x, channel as Lava's [x, y, channel], a view."""
    return values.reshape(shape).transpose(1, 0, 2)


@dataclass(frozen=True)
class Layers:
    """The layers as Lava's processes.

    Attributes:
        synapses: A Conv for each layer.
        head: The Sigma of the last layer.
    """

    synapses: tuple[Any, ...]
    head: Any


def encoder_threshold(network: NetworkHeader) -> int:
    """The threshold for Lava's encoder, at most 127."""
    # Events have passed the network's threshold already. One that was clipped to 8 bits may be below a larger one.
    return min(network.encoder_threshold, (1 << (MESSAGE_BITS - 1)) - 1)


def connect_layers(network: NetworkHeader, source: Any, spike_exp: int = MESSAGE_SHIFT, config: Any = None) -> Layers:
    """Creates a Conv and a SigmaDelta (a Sigma for the head) for each layer and connects them.

    Lava convolves and stores kernels as (out, x, y, in); the network correlates and stores (out, in, y, x). ``in`` are
    the channels of a group in both. A layer's exponent is the ``state_exp`` of its neurons: their state has the scale
    of the sums as they arrive, and biases, thresholds and messages have the same one in all layers. A Sigma has none,
    so its state is at 2^(10 + exponent).

    Args:
        network: The network.
        source: OutPort that feeds the first layer.
        spike_exp: Fractional bits of messages beyond 6.
        config: ConnectionConfig of the first connection, if any.

    Returns:
        The layers.
    """
    from lava.proc.conv.process import Conv
    from lava.proc.sdn.process import Sigma, SigmaDelta

    shape, neuron = tuple(int(side) for side in source.shape), None
    synapses: list[Any] = []
    for layer in network.layers:
        kernel = np.ascontiguousarray(layer.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))
        synapse = Conv(weight=kernel, input_shape=shape, stride=(layer.stride,) * 2, padding=(layer.padding,) * 2,
                       groups=layer.groups, num_message_bits=GRADED_BITS)
        source.connect(synapse.s_in, *([] if config is None or synapses else [config]))
        shape = tuple(int(side) for side in synapse.output_shape)
        if layer.bias is None:
            neuron = Sigma(shape=shape)
        else:
            bias = np.broadcast_to(layer.bias, shape).astype(np.int32)
            neuron = SigmaDelta(shape=shape, vth=layer.threshold, bias=bias, spike_exp=spike_exp,
                                state_exp=layer.exponent)
        synapse.a_out.connect(neuron.a_in)
        synapses.append(synapse)
        source = neuron.s_out
    return Layers(tuple(synapses), neuron)


class FrameCounts:
    """Events and synops of each frame, put together from what the layers report (``conv_models.COUNT``) to a pipe.

    A frame that is injected in step t reaches layer i (from 1) in step t + i, and a layer reports before it sends. So
    when a head is received, all reports about its frame are in the pipe.

    Args:
        layers: Number of layers.
        descriptor: File descriptor of the pipe's reading end.
    """

    def __init__(self, layers: int, descriptor: int) -> None:
        from .conv_models import COUNT

        self._layers, self._descriptor, self._record = layers, descriptor, COUNT
        self._reports: dict[tuple[int, int], tuple[int, int]] = {}

    def pop(self, step: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Takes the counts of one frame. Each frame can be asked for once.

        Args:
            step: The step in which it was injected, from 1.

        Returns:
            (events of each layer but the head, synops of each layer).
        """
        wanted = [(layer, step + layer) for layer in range(1, self._layers + 1)]
        while not all(key in self._reports for key in wanted):
            self._read()
        # A layer receives what the one before it sent; the first one receives the encoder's events.
        reports = [self._reports.pop(key) for key in wanted]
        return tuple(events for events, _ in reports[1:]), tuple(synops for _, synops in reports)

    def discard_before(self, step: int) -> None:
        """Drops reports about frames that were injected before that step."""
        while select.select([self._descriptor], [], [], 0.0)[0]:
            self._read()
        for layer, at in list(self._reports):
            if at - layer < step:
                del self._reports[layer, at]

    def _read(self) -> None:
        data = os.read(self._descriptor, self._record.size * _READ_RECORDS)
        # Reports are shorter than PIPE_BUF, so they are never split.
        for layer, step, events, synops in self._record.iter_unpack(data):
            self._reports[layer, step] = events, synops


class SimGraph:
    """The running graph in Lava's simulator.

    Args:
        network: The network.
        conv: Convolution: ``gemm`` or ``stock``.
        counts_fd: File descriptor to which layers report, see `FrameCounts`.

    Attributes:
        latency: Time steps from a frame's injection to its head.
        warmup_steps: Time steps without events before the first frame.
    """

    warmup_steps = 0

    def __init__(self, network: NetworkHeader, conv: str, counts_fd: int) -> None:
        shim.import_var_model()
        from lava.proc.io.encoder import DeltaEncoder
        from lava.proc.io.extractor import Extractor
        from lava.proc.io.injector import Injector

        from .conv_models import COUNTS_FD_KEY, LAYER_KEY

        self.latency = len(network.layers) + 1
        self._input = AccumulatedInput(network.shape)
        self._injector = Injector(shape=self._input.xy_shape, buffer_size=INPUT_SLOTS)
        encoder = DeltaEncoder(
            shape=self._input.xy_shape, vth=encoder_threshold(network), spike_exp=MESSAGE_SHIFT, num_bits=MESSAGE_BITS)
        self._injector.out_port.connect(encoder.a_in)
        layers = connect_layers(network, encoder.s_out)
        for number, synapse in enumerate(layers.synapses, start=1):
            synapse.proc_params[LAYER_KEY], synapse.proc_params[COUNTS_FD_KEY] = number, counts_fd
        self._extractor = Extractor(shape=layers.head.s_out.shape, buffer_size=INPUT_SLOTS)
        layers.head.s_out.connect(self._extractor.in_port)
        self._start(conv)

    def inject(self, index: np.ndarray, message: np.ndarray) -> None:
        """Injects one frame's events, see `AccumulatedInput.add`. Takes one time step."""
        self._injector.send(self._input.add(index, message))

    def extract(self) -> np.ndarray:
        """Waits for the head after one more time step, int32 [rows, cols, channels]."""
        head: np.ndarray = self._extractor.receive()
        return head.transpose(1, 0, 2).astype(np.int32)

    def actors(self) -> list[Any]:
        """The operating system's processes that compute, as ``multiprocessing.Process``."""
        return list(self._injector.runtime._messaging_infrastructure.actors)

    def _start(self, conv: str) -> None:
        from lava.magma.core.run_conditions import RunContinuous
        from lava.magma.core.run_configs import Loihi2SimCfg
        from lava.proc.conv.process import Conv
        from lava.proc.io.encoder import DeltaEncoder, PyDeltaEncoderModelDense
        from lava.proc.io.extractor import Extractor, PyLoihiExtractorModel
        from lava.proc.io.injector import Injector, PyLoihiInjectorModel
        from lava.proc.sdn.models import PySigmaDeltaModelFixed, PySigmaModelFixed
        from lava.proc.sdn.process import Sigma, SigmaDelta

        from .conv_models import CountedConvModelFixed, GemmConvModelFixed

        config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={
            Injector: PyLoihiInjectorModel, Extractor: PyLoihiExtractorModel, DeltaEncoder: PyDeltaEncoderModelDense,
            SigmaDelta: PySigmaDeltaModelFixed, Sigma: PySigmaModelFixed,
            Conv: {"gemm": GemmConvModelFixed, "stock": CountedConvModelFixed}[conv],
        })
        self._injector.run(RunContinuous(), config, {"pypy_channel_size": CHANNEL_SLOTS})
