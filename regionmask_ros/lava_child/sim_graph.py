"""The network as a graph of Lava's own processes, run by Lava's fixed-point models.

    Injector -> DeltaEncoder -> (Conv -> SigmaDelta) x n -> Conv -> Sigma -> Extractor

The injected picture is not the camera's but what the receiver of events has been told so far, the sum of all events:
Lava's encoder then sends exactly the events that came, and a held pixel does not change. One time step takes in one
frame; a layer works on what the layer before it sent a step ago.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import shim
from .messages import MESSAGE_SHIFT, NetworkHeader

STATE_EXP = 6
MESSAGE_BITS = 8
CHANNEL_SLOTS = 2
"""Messages that a channel between two processes holds. They run in step, so that is enough; Lava's 64 take gigabytes."""

INPUT_SLOTS = 8


def encoder_threshold(network: NetworkHeader) -> int:
    """What Lava's encoder compares with. Events have passed the network's threshold already, and one that was clipped
    to 8 bits may be smaller than a threshold beyond them."""
    return min(network.encoder_threshold, (1 << (MESSAGE_BITS - 1)) - 1)


def latency_steps(network: NetworkHeader) -> int:
    """Steps from a frame's injection to its head: one for the encoder and one for each convolution."""
    return len(network.layers) + 1


class SimGraph:
    """The running graph. counts_fd: where layers report to, see ``models.conv``. conv: ``gemm`` or ``stock``."""

    def __init__(self, network: NetworkHeader, conv: str, counts_fd: int) -> None:
        shim.import_var_model()
        from lava.proc.io.extractor import Extractor
        from lava.proc.io.injector import Injector

        rows, cols, channels = network.shape
        self._injector = Injector(shape=(cols, rows, channels), buffer_size=INPUT_SLOTS)
        port, shape = self._layers(network, counts_fd)
        self._extractor = Extractor(shape=shape, buffer_size=INPUT_SLOTS)
        port.connect(self._extractor.in_port)
        self._start(conv)

    def inject(self, values: np.ndarray) -> None:
        """int [rows, cols, channels], in the encoder's units; takes one step."""
        self._injector.send(values.transpose(1, 0, 2))

    def extract(self) -> np.ndarray:
        """The head after one more step, int32 [rows, cols, channels]; waits for it."""
        return self._extractor.receive().transpose(1, 0, 2).astype(np.int32)

    def actors(self) -> list[Any]:
        """The operating system's processes that compute."""
        return self._injector.runtime._messaging_infrastructure.actors

    def _layers(self, network: NetworkHeader, counts_fd: int) -> tuple[Any, tuple[int, int, int]]:
        """Connects encoder and layers; the last port and its shape (x, y, channel)."""
        from lava.proc.conv.process import Conv
        from lava.proc.io.encoder import DeltaEncoder
        from lava.proc.sdn.process import Sigma, SigmaDelta

        from .models.conv import COUNTS_FD_KEY, LAYER_KEY

        rows, cols, channels = network.shape
        shape = (cols, rows, channels)
        encoder = DeltaEncoder(
            shape=shape, vth=encoder_threshold(network), spike_exp=MESSAGE_SHIFT, num_bits=MESSAGE_BITS
        )
        self._injector.out_port.connect(encoder.a_in)
        port = encoder.s_out
        for number, layer in enumerate(network.layers, start=1):
            # Lava convolves and keeps (out, x, y, in); ours correlate and are (out, in, y, x).
            kernel = np.ascontiguousarray(layer.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1))
            conv = Conv(
                weight=kernel, input_shape=shape, stride=(layer.stride,) * 2, padding=(layer.padding,) * 2,
                num_message_bits=16,
            )
            conv.proc_params[LAYER_KEY], conv.proc_params[COUNTS_FD_KEY] = number, counts_fd
            port.connect(conv.s_in)
            shape = tuple(int(side) for side in conv.output_shape)
            if layer.bias is None:
                neuron = Sigma(shape=shape)
            else:
                bias = np.broadcast_to(layer.bias, shape).astype(np.int32)
                neuron = SigmaDelta(
                    shape=shape, vth=layer.threshold, bias=bias, spike_exp=MESSAGE_SHIFT, state_exp=STATE_EXP
                )
            conv.a_out.connect(neuron.a_in)
            port = neuron.s_out
        return port, shape

    def _start(self, conv: str) -> None:
        from lava.magma.core.run_conditions import RunContinuous
        from lava.magma.core.run_configs import Loihi2SimCfg
        from lava.proc.conv.process import Conv
        from lava.proc.io.encoder import DeltaEncoder, PyDeltaEncoderModelDense
        from lava.proc.io.extractor import Extractor, PyLoihiExtractorModel
        from lava.proc.io.injector import Injector, PyLoihiInjectorModel
        from lava.proc.sdn.models import PySigmaDeltaModelFixed, PySigmaModelFixed
        from lava.proc.sdn.process import Sigma, SigmaDelta

        from .models.conv import CountedConvModelFixed, GemmConvModelFixed

        config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={
            Injector: PyLoihiInjectorModel, Extractor: PyLoihiExtractorModel, DeltaEncoder: PyDeltaEncoderModelDense,
            SigmaDelta: PySigmaDeltaModelFixed, Sigma: PySigmaModelFixed,
            Conv: {"gemm": GemmConvModelFixed, "stock": CountedConvModelFixed}[conv],
        })
        self._injector.run(RunContinuous(), config, {"pypy_channel_size": CHANNEL_SLOTS})
