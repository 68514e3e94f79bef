"""The network's layers as Lava's own processes, the same for simulator and chip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .messages import MESSAGE_SHIFT, NetworkHeader

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
    to 8 bits may be smaller than a threshold beyond them."""
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
