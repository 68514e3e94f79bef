"""Interleaved runs: candidates take turns, some frames long, and become rows of the result."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...metrics.cpu_time import measure_cpu
from ...metrics.dense_reference import dense_head, dense_heads, encode_exactly, rms
from ...network.branched import BranchedNetwork
from ...network.chain import Network
from .candidates import DENSE, UNMASKED, Candidate, ExactCandidate, is_own
from .clip import Clip

Row = dict[str, Any]

WARM_UP = 10

FRAMES_PER_TURN = 10
"""In the first frame of a turn the caches are as other candidates left them, in the rest as the candidate itself left
them. Both happen on a robot, and both are reported."""


@dataclass
class Record:
    """What one candidate did after the warm-up.

    Attributes:
        ms: Processor time of the whole process, all its threads, for each frame.
        wall_ms: Wall time for each frame.
        cold_ms: ms of the first frame of each turn.
        synops: Synaptic operations of each frame, counted in a replay; empty if the engine never counts.
        events: Events of each frame, likewise.
        mac_shares: Share of the dense network's multiplications in each frame; empty if synops are counted instead.
        head_rms: Distance of the last head from the dense evaluation of the whole image; None with a mask, which leaves
            parts of the image out.
    """

    ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    cold_ms: list[float] = field(default_factory=list)
    synops: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    mac_shares: list[float] = field(default_factory=list)
    head_rms: float | None = None


def warm_up_frames(available: int, wanted: int) -> int:
    """Returns how many frames of a clip come before the first measured one.

    Args:
        available: Frames of the clip.
        wanted: Frames to measure.

    Returns:
        ``WARM_UP``, of a short clip at most half; more if otherwise more than the wanted frames would be left.
    """
    return max(min(WARM_UP, available // 2), available - wanted)


def run_interleaved(candidates: Sequence[Candidate], clip: Clip, skipped: int,
                    indices: Iterable[int]) -> tuple[list[Record], list[Any]]:
    """Runs the frames of a clip in order; every candidate processes every frame.

    The order of candidates is drawn anew for each round, always the same way: in a fixed order, or one that only
    rotates, a candidate would always follow the same other one.

    Args:
        candidates: What takes turns of ``FRAMES_PER_TURN`` frames.
        clip: The frames.
        skipped: Number of frames at the start that are not recorded.
        indices: 0, 1, ... len(clip.images) - 1.

    Returns:
        For each candidate a record, without ``head_rms`` and counts, and the raw head of its last step.
    """
    orders = np.random.default_rng(0)
    records = [Record() for _ in candidates]
    raw: dict[int, Any] = {}
    for turn in _split_turns(indices, skipped):
        for number in orders.permutation(len(candidates)).tolist():
            candidate, record = candidates[number], records[number]
            candidate.counting = False
            for index in turn:
                (raw[number], wall_s), spent_s = measure_cpu(functools.partial(_step, candidate, clip.images[index]))
                candidate.follow(raw[number])
                if index >= skipped:
                    if candidate.mac_share is not None:
                        record.mac_shares.append(candidate.mac_share)
                    record.ms.append(spent_s * 1e3)
                    record.wall_ms.append(wall_s * 1e3)
            if turn[0] >= skipped:
                record.cold_ms.append(record.ms[-len(turn)])
            candidate.counting = True
    return records, [raw[number] for number in sorted(raw)]


def _step(candidate: Candidate, image: np.ndarray) -> tuple[Any, float]:
    """What a step returns, and its wall time in seconds."""
    start = time.perf_counter()
    raw = candidate.step(image)
    return raw, time.perf_counter() - start


def _split_turns(indices: Iterable[int], skipped: int) -> Iterator[list[int]]:
    """Lists of up to ``FRAMES_PER_TURN`` indices; one begins with the first frame that is not skipped."""
    turn: list[int] = []
    for index in indices:
        if len(turn) == FRAMES_PER_TURN or (turn and index == skipped):
            yield turn
            turn = []
        turn.append(index)
    if turn:
        yield turn


def measure(network: Network, candidates: Sequence[ExactCandidate], clip: Clip, skipped: int,
            indices: Iterable[int]) -> list[Record]:
    """Runs candidates interleaved, counts their operations and compares their last heads with the dense evaluation.

    Args:
        network: The network of the candidates.
        candidates: What takes turns.
        clip: The frames.
        skipped: Number of frames at the start that are not recorded.
        indices: 0, 1, ... len(clip.images) - 1.

    Returns:
        A complete record for each candidate.
    """
    records, raw = run_interleaved(candidates, clip, skipped, indices)
    exact = exact_head(network, clip.images[-1])
    for record, candidate, head in zip(records, candidates, raw):
        if candidate.setting in (DENSE, UNMASKED):
            record.head_rms = rms(candidate.real_head(head), exact)
        count_operations(record, candidate, clip, skipped)
    return records


def exact_head(network: Network, image: np.ndarray) -> np.ndarray:
    """The dense evaluation, as ``ExactCandidate.real_head`` has it: of a branched network all heads in one row."""
    value = encode_exactly(network, image)
    if isinstance(network, BranchedNetwork):
        return np.concatenate([head.ravel() for head in dense_heads(network, value)])
    return dense_head(network, value)


def count_operations(record: Record, candidate: Candidate, clip: Clip, skipped: int) -> None:
    """Counts in a replay from the start: the integers, and so the counts, are those of the measured run.

    Args:
        record: Receives synops and events.
        candidate: Its last step was counted, unless it never counts.
        clip: The frames.
        skipped: Number of frames at the start that are not recorded.
    """
    if candidate.counts() is None:
        return
    candidate.reset()
    for index, image in enumerate(clip.images):
        candidate.follow(candidate.step(image))
        counts = candidate.counts()
        if counts is not None and index >= skipped:
            record.synops.append(int(counts.total_synops))
            record.events.append(int(counts.events))


def spread(ms: Sequence[float]) -> dict[str, float]:
    """Returns median_ms, p10_ms, p90_ms and p95_ms of times."""
    values = np.percentile(ms, (50, 10, 90, 95))
    return {name: round(float(value), 4) for name, value in zip(("median_ms", "p10_ms", "p90_ms", "p95_ms"), values)}


def subject(clip: Clip, candidate: Candidate) -> Row:
    """Returns the part of a row that says what it is about."""
    return {
        "sequence": clip.path,
        "network": candidate.network,
        "backend": candidate.backend,
        "setting": candidate.setting,
        "engine": candidate.engine,
        "path": candidate.path,
        "threads": candidate.threads,
        "input_size": "{}x{}".format(*clip.input_wh),
    }


def make_row(clip: Clip, candidate: Candidate, record: Record) -> Row:
    """Makes one row of the result, without ratios.

    Args:
        clip: The frames.
        candidate: Who ran them.
        record: What it did.

    Returns:
        The row. Counts are means over the frames; None if the engine never counts.
    """
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


def add_ratios(rows: Sequence[Row]) -> None:
    """Adds ``ratio_to``, ``ratio_to_cold`` and, where means are given, ``ratio_to_mean`` to the rows of one sequence.

    Args:
        rows: Changed in place. ``ratio_to``: median of each baseline over the row's own; ``ratio_to_cold``: the same of
            the first frames of turns; ``ratio_to_mean``: of the mean times.
    """
    for name, time_of in (("ratio_to", "median_ms"), ("ratio_to_cold", "cold_ms"), ("ratio_to_mean", "mean_ms")):
        if any(time_of not in row for row in rows):
            continue
        baselines = {row["engine"]: row[time_of] for row in rows if not is_own(row["engine"])}
        for row in rows:
            others = {baseline: median for baseline, median in baselines.items() if baseline != row["engine"]}
            row[name] = {baseline: round(median / row[time_of], 3) for baseline, median in others.items()}


def frame_series(clip: Clip, candidate: Candidate, record: Record) -> Row:
    """Returns time and synops of every measured frame of an engine that counts."""
    return {**subject(clip, candidate), "ms": [round(ms, 4) for ms in record.ms], "synops": record.synops}
