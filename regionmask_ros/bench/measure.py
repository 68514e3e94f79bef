"""One interleaved run: for every picture each contestant takes its turn."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Iterable, Sequence

import numpy as np

from ..network.spec import Network
from .clip import Clip
from .contestant import DENSE, Contestant
from .dense import dense_head, encoded, rms
from .settings import UNMASKED

WARM_UP = 10


@dataclass
class Record:
    """What one contestant did after the warm-up.

    For each frame: ms, processor time of the whole process, all its threads; wall_ms, time that went by; synops and
    events, counted, empty where nothing is. head_rms: distance of the last head from the dense evaluation of the whole
    picture; None with a mask, which leaves parts of it out.
    """

    ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    synops: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    head_rms: float | None = None


def warm_up_frames(there: int, wanted: int) -> int:
    """How many frames of a clip come before the first measured one: of a short clip at most half, and so many that no
    more than the wanted number is left."""
    return max(min(WARM_UP, there // 2), there - wanted)


def take_turns(contestants: Sequence[Contestant], clip: Clip, skipped: int,
               indices: Iterable[int]) -> tuple[list[Record], list[np.ndarray]]:
    """Runs the frames of the clip in order; all are seen by all, and recorded but for the first ``skipped``.

    indices: 0, 1, ... len(clip.images) - 1. Returns records without ``head_rms``, and what each one's last step gave.

    Each frame has an order of its own, always the same ones: with a fixed order, or one that only rotates, everybody
    would always find the caches as the same other one left them.
    """
    orders = np.random.default_rng(0)
    records = [Record() for _ in contestants]
    raw = [None] * len(contestants)
    for index in indices:
        image = clip.images[index]
        for number in orders.permutation(len(contestants)):
            wall, start = time.perf_counter(), time.process_time()
            raw[number] = contestants[number].step(image)
            elapsed, wall = time.process_time() - start, time.perf_counter() - wall
            if index >= skipped:
                _note(records[number], contestants[number], elapsed, wall)
    return records, raw


def measure(network: Network, contestants: Sequence[Contestant], clip: Clip, skipped: int,
            indices: Iterable[int]) -> list[Record]:
    """``take_turns``, and how far the last heads are from the dense evaluation."""
    records, raw = take_turns(contestants, clip, skipped, indices)
    exact = dense_head(network, encoded(network, clip.images[-1]))
    for record, contestant, head in zip(records, contestants, raw):
        if contestant.setting in (DENSE, UNMASKED):
            record.head_rms = rms(contestant.real_head(head), exact)
    return records


def _note(record: Record, contestant: Contestant, elapsed_s: float, wall_s: float) -> None:
    record.ms.append(elapsed_s * 1e3)
    record.wall_ms.append(wall_s * 1e3)
    counts = contestant.counts()
    if counts is not None:
        record.synops.append(int(counts.total_synops))
        record.events.append(int(counts.events))


def spread(ms: Sequence[float]) -> dict[str, float]:
    """median_ms, p10_ms, p90_ms."""
    p10, median, p90 = np.percentile(ms, (10, 50, 90))
    return {name: round(float(value), 4) for name, value in zip(("median_ms", "p10_ms", "p90_ms"), (median, p10, p90))}


def subject(clip: Clip, contestant: Contestant) -> dict:
    """What a row is about."""
    return {
        "sequence": clip.path,
        "setting": contestant.setting,
        "engine": contestant.engine,
        "path": contestant.path,
        "threads": contestant.threads,
        "input_size": "{}x{}".format(*clip.input_wh),
    }


def row_of(clip: Clip, contestant: Contestant, record: Record) -> dict:
    """One row of the result, but for ``ratio_to``. Counts are means; None where nothing is counted."""
    return {
        **subject(clip, contestant),
        "frames": len(record.ms),
        **spread(record.ms),
        "median_wall_ms": round(float(np.median(record.wall_ms)), 4),
        "synops_per_frame": round(float(np.mean(record.synops)), 1) if record.synops else None,
        "events_per_frame": round(float(np.mean(record.events)), 1) if record.events else None,
        "head_rms": None if record.head_rms is None else round(record.head_rms, 4),
        "calibration": contestant.calibration or None,
    }


def add_ratios(rows: Sequence[dict]) -> None:
    """Gives the rows of one sequence ``ratio_to``: each peer's median over the row's own."""
    peers = {row["engine"]: row["median_ms"] for row in rows if row["synops_per_frame"] is None}
    for row in rows:
        others = {name: median for name, median in peers.items() if name != row["engine"]}
        row["ratio_to"] = {name: round(median / row["median_ms"], 3) for name, median in others.items()}


def series_of(clip: Clip, contestant: Contestant, record: Record) -> dict:
    """Time and synops of every measured frame of an engine that counts."""
    return {**subject(clip, contestant), "ms": [round(ms, 4) for ms in record.ms], "synops": record.synops}
