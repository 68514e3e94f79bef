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
from .layers import MESSAGE_BITS, connect_layers, encoder_threshold
from .messages import MESSAGE_SHIFT, NetworkHeader
from .told import ToldPicture

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

        from .models.conv import COUNTS_FD_KEY, LAYER_KEY

        self.latency = len(network.layers) + 1
        self._told = ToldPicture(network.shape)
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

        from .models.conv import CountedConvModelFixed, GemmConvModelFixed

        config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={
            Injector: PyLoihiInjectorModel, Extractor: PyLoihiExtractorModel, DeltaEncoder: PyDeltaEncoderModelDense,
            SigmaDelta: PySigmaDeltaModelFixed, Sigma: PySigmaModelFixed,
            Conv: {"gemm": GemmConvModelFixed, "stock": CountedConvModelFixed}[conv],
        })
        self._injector.run(RunContinuous(), config, {"pypy_channel_size": CHANNEL_SLOTS})
