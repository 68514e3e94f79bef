"""Turns, warm-up and ratios of an interleaved run."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.bench.clip import Clip
from regionmask_ros.bench.event_engine import EventContestant
from regionmask_ros.bench.measure import add_ratios, measure, row_of, warm_up_frames


@pytest.mark.parametrize("there, wanted, warm", [(130, 120, 10), (13, 3, 10), (20, 120, 10), (12, 120, 6), (2, 9, 1)])
def test_warm_up_leaves_frames_to_measure(there, wanted, warm):
    assert warm_up_frames(there, wanted) == warm


def test_every_contestant_sees_every_frame_once_and_in_order(tiny_network):
    class Watched(EventContestant):
        """The real one, which also writes down whose turn it was."""

        def step(self, image):
            turns.append((int(image[0, 0, 0]), self.setting))
            return super().step(image)

    turns: list[tuple[int, str]] = []
    images = tuple(np.full((64, 64, 3), 30 * t, np.uint8) for t in range(8))
    clip, names = Clip("by hand", images, (64, 64), (64, 64), 25.0), ("unmasked", "masked60", "dense")
    three = [Watched(tiny_network, (64, 64), name, np.ones((4, 4), bool)) for name in names]
    records = measure(tiny_network, three, clip, 3, range(8))
    assert [frame for frame, _ in turns] == [30 * t for t in range(8) for _ in range(3)]
    orders = {tuple(name for _, name in turns[at:at + 3]) for at in range(0, 24, 3)}
    assert len(orders) > 2 and all(sorted(order) == sorted(names) for order in orders)
    assert all(len(record.ms) == len(record.synops) == 5 and min(record.ms) > 0 for record in records)
    assert row_of(clip, three[0], records[0])["frames"] == 5


def test_ratios_are_peer_over_own():
    rows = [
        {"engine": "event", "median_ms": 2.0, "synops_per_frame": 5.0},
        {"engine": "one", "median_ms": 3.0, "synops_per_frame": None},
        {"engine": "two", "median_ms": 1.0, "synops_per_frame": None},
    ]
    add_ratios(rows)
    assert [row["ratio_to"] for row in rows] == [{"one": 1.5, "two": 0.5}, {"two": 0.333}, {"one": 3.0}]
