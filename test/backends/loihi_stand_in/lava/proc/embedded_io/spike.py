"""Sends events to the chip."""

from __future__ import annotations

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.proc.io.encoder import Compression
from stand_in_checks import need, need_shape, need_type

__all__ = ["PyToN3ConvAdapter"]


class PyToN3ConvAdapter(AbstractProcess):
    """From an encoder's compressed events to a convolution."""

    def __init__(self, *, shape: tuple, num_message_bits: int = 0, spike_exp: int = 0,
                 compression: Compression = Compression.DENSE) -> None:
        need_shape(shape, "PyToN3ConvAdapter: shape")
        need_type(num_message_bits, int, "PyToN3ConvAdapter: num_message_bits")
        need(num_message_bits in (0, 8, 16, 24, 32), f"PyToN3ConvAdapter: num_message_bits {num_message_bits}")
        need_type(spike_exp, int, "PyToN3ConvAdapter: spike_exp")
        need(0 <= spike_exp < 8, f"PyToN3ConvAdapter: spike_exp {spike_exp}")
        need_type(compression, Compression, "PyToN3ConvAdapter: compression")
        super().__init__(shape=shape, num_message_bits=num_message_bits, spike_exp=spike_exp, compression=compression)
        self.inp, self.out = InPort(shape=shape), OutPort(shape=shape)
