"""Exact operation counts of one frame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepCounts:
    """encoder_events: events that the encoder sent.

    layer_events: events that each layer but the head sent. synops: synaptic operations of each layer, head included: an
    event times the output neurons that it reaches (zero weights included, taps on the padding excluded).
    """

    encoder_events: int
    layer_events: tuple[int, ...]
    synops: tuple[int, ...]

    @property
    def events(self) -> int:
        """Events of the encoder and of all layers."""
        return self.encoder_events + sum(self.layer_events)

    @property
    def total_synops(self) -> int:
        return sum(self.synops)
