"""The slowest frame, found among replays of the same history."""

from __future__ import annotations

import time

import numpy as np
import pytest

from regionmask_ros.lab.bench.clip import Clip
from regionmask_ros.lab.bench.engine import EventCandidate
from regionmask_ros.lab.bench.speed import REFRESH_PERIOD, REPLAYS, add_worst, worst_frames
from regionmask_ros.mask.schedule import is_refresh

FRAMES = 12


class Slow(EventCandidate):
    """The real one, which also burns time in chosen frames: always in one, now and then in another."""

    replays, at, seldom = 0, -1, -1
    on_refresh = False

    def reset(self, refresh_period: int = 0) -> None:
        super().reset(refresh_period)
        self.frame, self.period = 0, refresh_period
        self.replays += 1

    def step(self, image: np.ndarray) -> np.ndarray:
        refreshed = self.on_refresh and self.frame > 0 and is_refresh(self.frame, self.period)
        if self.frame == self.at or refreshed or (self.frame == self.seldom and self.replays % 2):
            end = time.process_time() + 0.02
            while time.process_time() < end:
                pass
        self.frame += 1
        return super().step(image)


@pytest.fixture
def clip() -> Clip:
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (64, 64, 3)).astype(np.uint8) for _ in range(FRAMES)]
    return Clip("by hand", tuple(images), (64, 64), (64, 64), 25.0)


def slow(network, setting: str, **where) -> Slow:
    candidate = Slow(network, (64, 64), setting, np.ones((4, 4), bool))
    vars(candidate).update(where)
    return candidate


def test_worst_is_the_slowest_of_the_frames_least_times(tiny_network, clip):
    other = slow(tiny_network, "unmasked", at=5, seldom=7)
    first = slow(tiny_network, "unmasked", at=0, on_refresh=True)
    refreshed = slow(tiny_network, "masked60", on_refresh=True)
    words = []

    def progress(indices, text):
        words.append(text)
        return indices

    found = worst_frames([other, first, refreshed], clip, progress)
    assert [(one["worst_frame"], one["worst_kind"]) for one in found] == [
        (5, "other"), (0, "first"), (REFRESH_PERIOD, "refresh"),
    ]
    assert all(20 <= one["worst_ms"] < 40 for one in found)
    assert len(words) == 2 * REPLAYS and sum("refresh" in text for text in words) == REPLAYS


def test_without_a_mask_nothing_is_replayed_with_refresh(tiny_network, clip):
    words = []
    worst_frames([slow(tiny_network, "unmasked")], clip, lambda indices, text: words.append(text) or indices)
    assert len(words) == REPLAYS


def test_refresh_frames_attend_everything_and_the_rest_does_not(tiny_network, clip):
    keep = np.zeros((4, 4), bool)
    candidate = EventCandidate(tiny_network, (64, 64), "masked60", keep)

    def sending(refresh_period: int) -> list[int]:
        candidate.reset(refresh_period)
        events = []
        for image in clip.images:
            candidate.step(image)
            events.append(candidate.counts().encoder_events)
        return [frame for frame, count in enumerate(events) if count]

    assert sending(REFRESH_PERIOD) == [0, 8] and sending(0) == [0] and sending(4) == [0, 4, 8]


def test_ratio_is_to_the_median_of_onnxruntime_int8():
    rows = [{"engine": "event", "median_ms": 2.0}, {"engine": "onnxruntime_int8", "median_ms": 4.0}]
    add_worst(rows, [{"worst_ms": 6.0}, {"worst_ms": 4.2}])
    assert [row["worst_to_int8"] for row in rows] == [1.5, 1.05]
    add_worst(rows[:1], [{"worst_ms": 6.0}])
    assert rows[0]["worst_to_int8"] is None
