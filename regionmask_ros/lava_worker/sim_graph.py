"""The network's layers as Lava's own processes, the same for simulator and chip.

Event and synop counts of each frame, put together from what the layers report step by step.

The network as a graph of Lava's own processes, run by Lava's fixed-point models.

    Injector -> DeltaEncoder -> (Conv -> SigmaDelta) x n -> Conv -> Sigma -> Extractor

The injected picture is not the camera's but what the receiver of events has been told so far, the sum of all events:
Lava's encoder then sends exactly the events that came, and a held pixel does not change. One time step takes in one
frame; a layer works on what the layer before it sent a step ago.
"""

from __future__ import annotations

import os
import select
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import shim
from .encoder_input import AccumulatedInput
from .protocol import MAX_LAYERS, MESSAGE_SHIFT, NetworkHeader

STATE_EXP = 6
MESSAGE_BITS = 8
GRADED_BITS = 16
"""What Lava is told about messages between layers; it enforces nothing."""


@dataclass(frozen=True)
class Layers:
    """synapses: a Conv each. head: the Sigma behind the last one."""

    synapses: tuple[Any, ...]
    head: Any


def encoder_threshold(network: NetworkHeader) -> int:
    """What Lava's encoder compares with. Events have passed the network's threshold already, and one that was clipped
    to 8 bits may be smaller than a threshold beyond them.
    """
    return min(network.encoder_threshold, (1 << (MESSAGE_BITS - 1)) - 1)


def connect_layers(network: NetworkHeader, source: Any, spike_exp: int = MESSAGE_SHIFT, config: Any = None) -> Layers:
    """Conv and SigmaDelta (Sigma for the head) for each layer, fed by the OutPort ``source``.

    config: a ConnectionConfig for the first connection. Lava convolves and keeps kernels as (out, x, y, in); ours
    correlate and are (out, in, y, x).
    """
    from lava.proc.conv.process import Conv
    from lava.proc.sdn.process import Sigma, SigmaDelta

    shape, synapses, neuron = tuple(int(side) for side in source.shape), [], None
    for layer in network.layers:
        kernel = np.ascontiguousarray(layer.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))
        synapse = Conv(
            weight=kernel, input_shape=shape, stride=(layer.stride,) * 2, padding=(layer.padding,) * 2,
            num_message_bits=GRADED_BITS,
        )
        source.connect(synapse.s_in, *([] if config is None or synapses else [config]))
        shape = tuple(int(side) for side in synapse.output_shape)
        if layer.bias is None:
            neuron = Sigma(shape=shape)
        else:
            bias = np.broadcast_to(layer.bias, shape).astype(np.int32)
            neuron = SigmaDelta(shape=shape, vth=layer.threshold, bias=bias, spike_exp=spike_exp, state_exp=STATE_EXP)
        synapse.a_out.connect(neuron.a_in)
        synapses.append(synapse)
        source = neuron.s_out
    return Layers(tuple(synapses), neuron)


class FrameCounts:
    """Reads the layers' reports (``conv_models.COUNT``) from a pipe.

    A frame that is injected in step t reaches layer i (from 1) in step t + i, and a layer reports before it acts. So
    when a head has come out, all reports about its frame are in the pipe.
    """

    def __init__(self, layers: int, descriptor: int) -> None:
        from .conv_models import COUNT

        self._layers, self._descriptor, self._record = layers, descriptor, COUNT
        self._reports: dict[tuple[int, int], tuple[int, int]] = {}

    def of(self, step: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(events of each layer but the head, synops of each layer) of the frame injected in ``step`` (from 1).

        Each frame can be asked for once.
        """
        wanted = [(layer, step + layer) for layer in range(1, self._layers + 1)]
        while not all(key in self._reports for key in wanted):
            self._read()
        # What comes into a layer is what the one before sent; into the first come the encoder's events.
        reports = [self._reports.pop(key) for key in wanted]
        return tuple(events for events, _ in reports[1:]), tuple(synops for _, synops in reports)

    def discard_before(self, step: int) -> None:
        """Drops reports about frames that nobody asks for: those injected before ``step``."""
        while select.select([self._descriptor], [], [], 0.0)[0]:
            self._read()
        for layer, at in list(self._reports):
            if at - layer < step:
                del self._reports[layer, at]

    def _read(self) -> None:
        data = os.read(self._descriptor, self._record.size * MAX_LAYERS)
        # Reports are shorter than PIPE_BUF, so they come whole.
        for layer, step, events, synops in self._record.iter_unpack(data):
            self._reports[layer, step] = events, synops


CHANNEL_SLOTS = 2
"""Messages that a channel between processes holds. They run in step, so that is enough; Lava's 64 take gigabytes."""

INPUT_SLOTS = 4


class SimGraph:
    """The running graph. counts_fd: where layers report to, see ``models.conv``. conv: ``gemm`` or ``stock``.

    latency: time steps from a frame's injection to its head. lead_in: steps without events before the first frame.
    """

    lead_in = 0

    def __init__(self, network: NetworkHeader, conv: str, counts_fd: int) -> None:
        shim.import_var_model()
        from lava.proc.io.encoder import DeltaEncoder
        from lava.proc.io.extractor import Extractor
        from lava.proc.io.injector import Injector

        from .conv_models import COUNTS_FD_KEY, LAYER_KEY

        self.latency = len(network.layers) + 1
        self._told = AccumulatedInput(network.shape)
        self._injector = Injector(shape=self._told.xy_shape, buffer_size=INPUT_SLOTS)
        encoder = DeltaEncoder(
            shape=self._told.xy_shape, vth=encoder_threshold(network), spike_exp=MESSAGE_SHIFT, num_bits=MESSAGE_BITS
        )
        self._injector.out_port.connect(encoder.a_in)
        layers = connect_layers(network, encoder.s_out)
        for number, synapse in enumerate(layers.synapses, start=1):
            synapse.proc_params[LAYER_KEY], synapse.proc_params[COUNTS_FD_KEY] = number, counts_fd
        self._extractor = Extractor(shape=layers.head.s_out.shape, buffer_size=INPUT_SLOTS)
        layers.head.s_out.connect(self._extractor.in_port)
        self._start(conv)

    def inject(self, index: np.ndarray, message: np.ndarray) -> None:
        """One frame's events: flat places, and messages in the encoder's units. Takes one step."""
        self._injector.send(self._told.add(index, message))

    def extract(self) -> np.ndarray:
        """The head after one more step, int32 [rows, cols, channels]; waits for it."""
        return self._extractor.receive().transpose(1, 0, 2).astype(np.int32)

    def actors(self) -> list[Any]:
        """The operating system's processes that compute."""
        return self._injector.runtime._messaging_infrastructure.actors

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
