"""Turns, warm-up and ratios of an interleaved run."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from regionmask_ros.lab.bench.candidates import EventCandidate
from regionmask_ros.lab.bench.measure import add_ratios, make_row, measure, warm_up_frames


@pytest.mark.parametrize("there, wanted, warm", [(130, 120, 10), (13, 3, 10), (20, 120, 10), (12, 120, 6), (2, 9, 1)])
def test_warm_up_leaves_frames_to_measure(there, wanted, warm):
    assert warm_up_frames(there, wanted) == warm


class Watched(EventCandidate):
    """The real one, which also notes whose turn it was while time was measured."""

    turns: ClassVar[list[tuple[int, str]]] = []

    def step(self, image):
        if not self.counting:
            self.turns.append((int(image[0, 0, 0]), self.setting))
        return super().step(image)


def run(tiny_network, as_clip, frames, skipped):
    Watched.turns = []
    images = tuple(np.full((64, 64, 3), 4 * t, np.uint8) for t in range(frames))
    clip, names = as_clip(images), ("unmasked", "masked60", "dense")
    three = [Watched(tiny_network, (64, 64), name, np.ones((4, 4), bool)) for name in names]
    return clip, three, measure(tiny_network, three, clip, skipped, range(frames))


def test_every_candidate_sees_every_frame_once_and_in_order(tiny_network, as_clip):
    frames, skipped = 45, 13
    clip, three, records = run(tiny_network, as_clip, frames, skipped)
    for candidate in three:
        assert [at for at, name in Watched.turns if name == candidate.setting] == [4 * t for t in range(frames)]
    # Turns of ten, one of which begins with the first measured frame.
    lengths, orders, at = (10, 3, 10, 10, 10, 2), set(), 0
    for length in lengths:
        turn = [name for _, name in Watched.turns[at:at + 3 * length]]
        assert all(len(set(turn[k * length:(k + 1) * length])) == 1 for k in range(3))
        orders.add(tuple(turn[::length]))
        at += 3 * length
    assert len(orders) > 2 and all(len(set(order)) == 3 for order in orders)
    for record in records:
        assert len(record.ms) == len(record.synops) == frames - skipped and min(record.ms) > 0
        assert record.cold_ms == [record.ms[k] for k in (0, 10, 20, 30)]
    assert make_row(clip, three[0], records[0])["frames"] == frames - skipped


def test_counts_of_the_replay_are_those_of_the_run(tiny_network, as_clip):
    _, _, (record, *_) = run(tiny_network, as_clip, 8, 3)
    engine = EventCandidate(tiny_network, (64, 64), "unmasked", np.ones((4, 4), bool))
    counts = []
    for t in range(8):
        engine.step(np.full((64, 64, 3), 4 * t, np.uint8))
        counts.append(engine.counts())
    assert record.synops == [one.total_synops for one in counts[3:]] and sum(record.synops) > 0
    assert record.events == [one.events for one in counts[3:]]


def test_ratios_are_baseline_over_own():
    rows = [
        {"engine": "event", "median_ms": 2.0, "cold_ms": 4.0, "synops_per_frame": 5.0},
        {"engine": "one", "median_ms": 3.0, "cold_ms": 5.0, "synops_per_frame": None},
        {"engine": "two", "median_ms": 1.0, "cold_ms": 2.0, "synops_per_frame": None},
    ]
    add_ratios(rows)
    assert [row["ratio_to"] for row in rows] == [{"one": 1.5, "two": 0.5}, {"two": 0.333}, {"one": 3.0}]
    assert [row["ratio_to_cold"] for row in rows] == [{"one": 1.25, "two": 0.5}, {"two": 0.4}, {"one": 2.5}]
