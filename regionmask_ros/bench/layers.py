"""Where the event engine's time goes: encoder, then layer by layer."""

from __future__ import annotations

import time
from typing import Iterable

import numpy as np

from ..network.spec import Network
from .clip import Clip
from .event_engine import EventContestant
from .measure import spread, subject

ENCODER, INPUT, OUTPUT = "encoder", "input", "output"
"""Before the layers: from picture to events, and their way into the engine. After them: the head's copy."""


class _LapClock:
    """Processor time since the last lap, by the lap's name."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        self._last = time.process_time()

    def lap(self, name: str) -> None:
        now = time.process_time()
        self.ms[name] = (now - self._last) * 1e3
        # Read again, so that the note itself belongs to nobody.
        self._last = time.process_time()


def layer_rows(network: Network, contestant: EventContestant, clip: Clip, skipped: int,
               indices: Iterable[int]) -> list[dict]:
    """A row for the encoder, for each layer, and for what lies before and after them.

    The clip is replayed from the start for this alone: reading the clock between layers would disturb other figures.
    Counts are means over the frames, of the events that a layer sends and the synops that it does.
    """
    clock, laps, counts = _LapClock(), [], []
    contestant.reset()
    contestant.watch(clock.lap)
    for index in indices:
        clock.start()
        contestant.step(clip.images[index])
        clock.lap(OUTPUT)
        if index >= skipped:
            laps.append(dict(clock.ms))
            counts.append(contestant.counts())
    contestant.watch(None)
    names = [layer.name for layer in network.layers]
    events = dict(zip([ENCODER, *names], np.mean([(c.encoder_events, *c.layer_events) for c in counts], axis=0)))
    synops = dict(zip(names, np.mean([c.synops for c in counts], axis=0)))
    total = sum(np.median([lap[name] for lap in laps]) for name in laps[0])
    return [
        {
            **subject(clip, contestant), "layer": name, **spread([lap[name] for lap in laps]),
            "share": round(float(np.median([lap[name] for lap in laps]) / total), 4),
            "synops_per_frame": _rounded(synops.get(name)), "events_per_frame": _rounded(events.get(name)),
        }
        for name in (ENCODER, INPUT, *names, OUTPUT)
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 1)
