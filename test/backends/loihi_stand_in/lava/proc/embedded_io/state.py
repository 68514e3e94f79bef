"""Reads neuron state from the chip."""

from __future__ import annotations

from typing import ClassVar

from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.proc.sdn.process import Sigma
from stand_in_checks import need, need_shape, need_type

__all__ = ["ReadConv"]


class ReadConv(AbstractProcess):
    """Reads a variable of a convolution's neurons in every time step. ``made`` has all readers, for the board."""

    made: ClassVar[list[ReadConv]] = []

    def __init__(self, *, shape: tuple) -> None:
        need_shape(shape, "ReadConv: shape")
        super().__init__(shape=shape)
        self.out, self.read = OutPort(shape=shape), None
        self.made.append(self)

    def connect_var(self, var: Var) -> None:
        need_type(var, Var, "ReadConv.connect_var: var")
        need(tuple(var.shape) == tuple(self.out.shape), f"ReadConv of {self.out.shape} for a variable of {var.shape}")
        need(type(var.process) is Sigma and var.name == "sigma", f"ReadConv reads {var.name} of {var.process}")
        need(self.read is None, "ReadConv.connect_var: called twice")
        self.read = var
