"""Several cameras in one process: how many a core can serve, and what one more costs in memory."""

from __future__ import annotations

import time
from typing import Callable, Iterable

import numpy as np

from ..engine.event_engine import PackedNetwork
from ..network.spec import Network
from .clip import Clip
from .event_engine import EventContestant
from .measure import WARM_UP, spread, subject
from .memory import resident_bytes

STEADY_FPS = 30.0
MEGABYTE = 1e6


def forth_and_back(position: int, length: int) -> int:
    """Index into a clip that is played forwards, then backwards, for ever: there is no cut where it turns.

    >>> [forth_and_back(position, 3) for position in range(7)]
    [0, 1, 2, 1, 0, 1, 2]
    """
    position %= max(1, 2 * length - 2)
    return position if position < length else 2 * length - 2 - position


class _Camera:
    """A contestant that has its own place in the clip."""

    def __init__(self, contestant: EventContestant, clip: Clip, offset: int) -> None:
        self.contestant, self._clip, self._position = contestant, clip, offset

    def step(self) -> np.ndarray:
        image = self._clip.images[forth_and_back(self._position, len(self._clip.images))]
        self._position += 1
        return self.contestant.step(image)


def stream_row(network: Network, clip: Clip, setting: str, keep: np.ndarray, cameras: int, frames: int,
               progress: Callable[[range], Iterable[int]]) -> dict:
    """``cameras`` that share one network's weights take turns, each with a state and a place in the clip of its own.

    frames: measured, for each camera. cameras_per_core: how many one core could serve, by the mean processor time, at
    the sequence's rate and at 30 frames a second. memory_mb: growth of the process's resident memory by one more camera
    that has run; measured on at least one more than the first. state_mb: all arrays of one camera, touched or not.
    """
    served, growth = _warmed_up(network, clip, setting, keep, cameras)
    ms = []
    for _ in progress(range(frames)):
        for camera in served:
            start = time.process_time()
            camera.step()
            ms.append((time.process_time() - start) * 1e3)
    mean = float(np.mean(ms))
    contestant = served[0].contestant
    return {
        **subject(clip, contestant),
        "cameras": cameras,
        "frames": frames,
        "mean_ms": round(mean, 4),
        **spread(ms),
        "fps": round(clip.fps, 3),
        "cameras_per_core": {"at_fps": round(1e3 / mean / clip.fps, 2), "at_30": round(1e3 / mean / STEADY_FPS, 2)},
        "memory_mb": None if growth is None else round(growth / MEGABYTE, 2),
        "state_mb": round(contestant.state_bytes() / MEGABYTE, 2),
    }


def _warmed_up(network: Network, clip: Clip, setting: str, keep: np.ndarray,
               cameras: int) -> tuple[list[_Camera], float | None]:
    """The cameras after some frames each, and the bytes by which memory has grown with each one after the first.

    One camera alone shows no growth; a second one is then opened for that and closed again.
    """
    packed, opened, resident = PackedNetwork(network), [], []
    for number in range(max(2, cameras)):
        contestant = EventContestant(network, clip.input_wh, setting, keep, packed=packed)
        opened.append(_Camera(contestant, clip, number * len(clip.images) // cameras))
        for _ in range(WARM_UP):
            opened[-1].step()
        resident.append(resident_bytes())
    known = None not in resident
    return opened[:cameras], (resident[-1] - resident[0]) / (len(resident) - 1) if known else None
