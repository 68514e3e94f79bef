"""What takes its turn in a run.

One interleaved run: each contestant takes its turn, some pictures long.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ...core.result import StepCounts
from ...network.graph import Network
from .clip import Clip
from .engine import dense_head, encode_exactly, rms
from .masks import UNMASKED

DENSE = "dense"
"""The setting of engines that compute everything in every frame."""


class Candidate(Protocol):
    """An engine with its own state.

    engine, setting, path: how its row is called. threads: how many it computes with.
    counting: whether steps are counted; off while time is measured.
    calibration: the sequence that its integers were calibrated on, "" where nothing is calibrated.
    """

    engine: str
    setting: str
    path: str
    threads: int
    calibration: str
    counting: bool

    def step(self, image: np.ndarray) -> np.ndarray:
        """The timed part. image: uint8 [height, width, 3], RGB. Returns the raw head in the engine's own layout."""

    def reset(self, refresh_period: int = 0) -> None:
        """Back to before the first frame. Then every so many frames are attended as a whole, whatever the mask; 0: the
        first one only. Means nothing to an engine without a state.
        """

    def counts(self) -> StepCounts | None:
        """Of the last step, if counting was on; None where nothing is ever counted."""

    def real_head(self, raw: np.ndarray) -> np.ndarray:
        """float64 [rows, cols, channels] of what ``step`` returned."""


WARM_UP = 10

FRAMES_PER_TURN = 10
"""Frames of a turn. The first one finds the caches as others have left them, the rest as the contestant itself has:
both happen on a robot, and both are told."""


@dataclass
class Record:
    """What one contestant did after the warm-up.

    For each frame: ms, processor time of the whole process, all its threads; wall_ms, time that went by; synops and
    events, counted in a replay of the same frames, empty where nothing is. cold_ms: ms of each turn's first frame.
    head_rms: distance of the last head from the dense evaluation of the whole
    picture; None with a mask, which leaves parts of it out.
    """

    ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    cold_ms: list[float] = field(default_factory=list)
    synops: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    head_rms: float | None = None


def warm_up_frames(there: int, wanted: int) -> int:
    """How many frames of a clip come before the first measured one: of a short clip at most half, and so many that no
    more than the wanted number is left.
    """
    return max(min(WARM_UP, there // 2), there - wanted)


def run_interleaved(candidates: Sequence[Candidate], clip: Clip, skipped: int,
               indices: Iterable[int]) -> tuple[list[Record], list[np.ndarray]]:
    """Runs the frames of the clip in order; all are seen by all, and recorded but for the first ``skipped``.

    indices: 0, 1, ... len(clip.images) - 1. Returns records without ``head_rms``, and what each one's last step gave.

    A turn is ``FRAMES_PER_TURN`` frames long, or what is left. Each round has an order of its own, always the same ones: with a
    fixed order, or one that only rotates, everybody would always come after the same other one.
    """
    orders = np.random.default_rng(0)
    records = [Record() for _ in candidates]
    raw = [None] * len(candidates)
    for turn in _turns(indices, skipped):
        for number in orders.permutation(len(candidates)):
            candidate, record = candidates[number], records[number]
            candidate.counting = False
            for index in turn:
                wall, start = time.perf_counter(), time.process_time()
                raw[number] = candidate.step(clip.images[index])
                elapsed, wall = time.process_time() - start, time.perf_counter() - wall
                if index >= skipped:
                    record.ms.append(elapsed * 1e3)
                    record.wall_ms.append(wall * 1e3)
            if turn[0] >= skipped:
                record.cold_ms.append(record.ms[-len(turn)])
            candidate.counting = True
    return records, raw


def _turns(indices: Iterable[int], skipped: int) -> Iterator[list[int]]:
    """Lists of up to ``FRAMES_PER_TURN`` indices; one begins with the first frame that is not skipped."""
    turn: list[int] = []
    for index in indices:
        if len(turn) == FRAMES_PER_TURN or (turn and index == skipped):
            yield turn
            turn = []
        turn.append(index)
    if turn:
        yield turn


def measure(network: Network, candidates: Sequence[Candidate], clip: Clip, skipped: int,
            indices: Iterable[int]) -> list[Record]:
    """``run_interleaved`` and ``count``, and how far the last heads are from the dense evaluation."""
    records, raw = run_interleaved(candidates, clip, skipped, indices)
    exact = dense_head(network, encode_exactly(network, clip.images[-1]))
    for record, candidate, head in zip(records, candidates, raw):
        if candidate.setting in (DENSE, UNMASKED):
            record.head_rms = rms(candidate.real_head(head), exact)
        count(record, candidate, clip, skipped)
    return records


def count(record: Record, candidate: Candidate, clip: Clip, skipped: int) -> None:
    """Notes the operations of a replay from the start: the integers, and so the counts, are the same as before."""
    if candidate.counts() is None:
        return
    candidate.reset()
    for index, image in enumerate(clip.images):
        candidate.step(image)
        if index >= skipped:
            counts = candidate.counts()
            record.synops.append(int(counts.total_synops))
            record.events.append(int(counts.events))


def spread(ms: Sequence[float]) -> dict[str, float]:
    """median_ms, p10_ms, p90_ms."""
    p10, median, p90 = np.percentile(ms, (10, 50, 90))
    return {name: round(float(value), 4) for name, value in zip(("median_ms", "p10_ms", "p90_ms"), (median, p10, p90))}


def subject(clip: Clip, candidate: Candidate) -> dict:
    """What a row is about."""
    return {
        "sequence": clip.path,
        "setting": candidate.setting,
        "engine": candidate.engine,
        "path": candidate.path,
        "threads": candidate.threads,
        "input_size": "{}x{}".format(*clip.input_wh),
    }


def make_row(clip: Clip, candidate: Candidate, record: Record) -> dict:
    """One row of the result, but for ``ratio_to``. Counts are means; None where nothing is counted."""
    return {
        **subject(clip, candidate),
        "frames": len(record.ms),
        **spread(record.ms),
        "cold_ms": round(float(np.median(record.cold_ms)), 4),
        "median_wall_ms": round(float(np.median(record.wall_ms)), 4),
        "synops_per_frame": round(float(np.mean(record.synops)), 1) if record.synops else None,
        "events_per_frame": round(float(np.mean(record.events)), 1) if record.events else None,
        "head_rms": None if record.head_rms is None else round(record.head_rms, 4),
        "calibration": candidate.calibration or None,
    }


def add_ratios(rows: Sequence[dict]) -> None:
    """Gives the rows of one sequence ``ratio_to``, each peer's median over the row's own, and ``ratio_to_cold``, the
    same of the turns' first frames.
    """
    for name, time_of in (("ratio_to", "median_ms"), ("ratio_to_cold", "cold_ms")):
        baselines = {row["engine"]: row[time_of] for row in rows if row["synops_per_frame"] is None}
        for row in rows:
            others = {baseline: median for baseline, median in baselines.items() if baseline != row["engine"]}
            row[name] = {baseline: round(median / row[time_of], 3) for baseline, median in others.items()}


def frame_series(clip: Clip, candidate: Candidate, record: Record) -> dict:
    """Time and synops of every measured frame of an engine that counts."""
    return {**subject(clip, candidate), "ms": [round(ms, 4) for ms in record.ms], "synops": record.synops}
