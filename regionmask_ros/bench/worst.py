"""The slowest single frame, first frames and refresh frames included."""

from __future__ import annotations

from typing import Callable, Iterable, Sequence

import numpy as np

from ..mask.schedule import is_refresh
from .clip import Clip
from .contestant import DENSE, Contestant
from .measure import take_turns
from .peers.choice import ORT_INT8
from .settings import UNMASKED

REPLAYS = 5
REFRESH_PERIOD = 8
Progress = Callable[[range, str], Iterable[int]]
"""Wraps the frames of one replay, with a word about it, and yields them."""


def worst_frames(contestants: Sequence[Contestant], clip: Clip, progress: Progress) -> list[dict]:
    """For each contestant worst_ms, worst_frame and worst_kind (first, refresh or other).

    A frame's time is the least of ``REPLAYS`` replays of the whole clip from the start: state and events are the same
    in each, so what differs is the machine's doing. Masks are replayed without refresh, and once more with a refresh
    frame every ``REFRESH_PERIOD`` frames; the slower of both counts.
    """
    plain = _least_ms(contestants, clip, 0, progress)
    masked = any(contestant.setting not in (DENSE, UNMASKED) for contestant in contestants)
    refreshed = _least_ms(contestants, clip, REFRESH_PERIOD, progress) if masked else plain
    found = []
    for contestant, without, having in zip(contestants, plain, refreshed):
        same = contestant.setting in (DENSE, UNMASKED)
        found.append(_worst(without, 0) if same else max(_worst(without, 0), _worst(having, REFRESH_PERIOD), key=_ms))
    return found


def _ms(worst: dict) -> float:
    return worst["worst_ms"]


def _worst(ms: np.ndarray, refresh_period: int) -> dict:
    """ms: float [frames]."""
    frame = int(ms.argmax())
    kind = "first" if frame == 0 else "refresh" if is_refresh(frame, refresh_period) else "other"
    return {"worst_ms": round(float(ms[frame]), 4), "worst_frame": frame, "worst_kind": kind}


def _least_ms(contestants: Sequence[Contestant], clip: Clip, refresh_period: int, progress: Progress) -> np.ndarray:
    """float [contestants, frames]: processor time of every frame, the least of the replays."""
    least = np.full((len(contestants), len(clip.images)), np.inf)
    for replay in range(REPLAYS):
        for contestant in contestants:
            contestant.reset(refresh_period)
        words = f"worst frame, replay {replay + 1} of {REPLAYS}" + (", refreshed" if refresh_period else "")
        records, _ = take_turns(contestants, clip, 0, progress(range(len(clip.images)), words))
        least = np.minimum(least, [record.ms for record in records])
    return least


def add_worst(rows: Sequence[dict], worst: Sequence[dict]) -> None:
    """Gives the rows of one sequence what ``worst_frames`` found, and worst_to_int8: over ONNX Runtime int8's median;
    None without it."""
    int8 = next((row["median_ms"] for row in rows if row["engine"] == ORT_INT8), None)
    for row, found in zip(rows, worst):
        row.update(found, worst_to_int8=round(found["worst_ms"] / int8, 3) if int8 else None)
