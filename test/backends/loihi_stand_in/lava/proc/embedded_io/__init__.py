"""Adapters between Python processes and the chip."""

from . import spike, state

__all__ = ["spike", "state"]
