"""Where the time of a frame goes: layers, the slowest frame, and the stages before the network."""

from __future__ import annotations

import time

import numpy as np
import pytest

from regionmask_ros.engine.engine import available_kernel_sets
from regionmask_ros.lab.bench.candidates import EventCandidate
from regionmask_ros.lab.bench.clip import Clip, load_clip
from regionmask_ros.lab.bench.measure import count_operations, make_row, run_interleaved
from regionmask_ros.lab.bench.speed import (
    REFRESH_PERIOD,
    REPLAYS,
    add_worst,
    encode_row,
    layer_rows,
    resize_row,
    worst_frames,
)
from regionmask_ros.mask.schedule import is_refresh

FRAMES = 12


class Slow(EventCandidate):
    """The real one, which also burns time in chosen frames: always in one, in every other replay in another."""

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
def clip(noise_clip) -> Clip:
    return noise_clip((64, 64), FRAMES)


def slow(network, setting: str, **where) -> Slow:
    candidate = Slow(network, (64, 64), setting, np.ones((4, 4), bool))
    vars(candidate).update(where)
    return candidate


def test_the_slowest_frame_is_chosen_by_the_least_time_of_each_frame(tiny_network, clip):
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


def test_without_a_mask_there_is_no_replay_with_refresh_frames(tiny_network, clip):
    words = []
    worst_frames([slow(tiny_network, "unmasked")], clip, lambda indices, text: words.append(text) or indices)
    assert len(words) == REPLAYS


def test_the_slowest_frame_is_compared_with_the_median_of_onnxruntime_int8():
    rows = [{"engine": "event", "median_ms": 2.0}, {"engine": "onnxruntime_int8", "median_ms": 4.0}]
    add_worst(rows, [{"worst_ms": 6.0}, {"worst_ms": 4.2}])
    assert [row["worst_to_int8"] for row in rows] == [1.5, 1.05]
    add_worst(rows[:1], [{"worst_ms": 6.0}])
    assert rows[0]["worst_to_int8"] is None


@pytest.mark.parametrize("path", available_kernel_sets())
def test_layers_add_up_to_the_run(tiny_network, path, noise_clip):
    clip = noise_clip((96, 64), 6)
    candidate = EventCandidate(tiny_network, (96, 64), "unmasked", np.ones((4, 6), bool), path)
    [record], _ = run_interleaved([candidate], clip, 2, range(6))
    count_operations(record, candidate, clip, 2)
    whole = make_row(clip, candidate, record)
    rows = layer_rows(tiny_network, candidate, clip, 2, range(6))
    assert [row["layer"] for row in rows] == ["encoder", "input", "c1", "c2", "c3", "head", "output"]
    assert sum(row["share"] for row in rows) == pytest.approx(1.0, abs=1e-3)
    assert all(row["engine"] == f"event:{path}" and row["median_ms"] > 0 for row in rows)
    for name in ("synops_per_frame", "events_per_frame"):
        assert sum(row[name] or 0 for row in rows) == pytest.approx(whole[name], abs=0.5)
    assert rows[1]["synops_per_frame"] is None and rows[5]["events_per_frame"] is None

    named: list[str] = []
    candidate.watch(named.append)
    candidate.step(clip.images[0])
    candidate.watch(None)
    candidate.step(clip.images[1])
    assert named == ["encoder", "input", "c1", "c2", "c3", "head"]


def test_stages_are_measured_at_the_sizes_that_they_name(tiny_network, make_clip):
    clip = load_clip(make_clip(8, 6), (96, 64), 8)
    resize = resize_row()
    assert (resize["picture"], resize["input_size"], resize["limit_ms"]) == ("1280x720", "736x416", 0.6)
    keep = np.zeros((4, 6), bool)
    rows = [encode_row(tiny_network, clip, setting, keep, 4, range(8)) for setting in ("unmasked", "masked60")]
    for row in rows:
        assert (row["picture"], row["input_size"], row["frames"], row["limit_ms"]) == ("160x96", "96x64", 4, 0.3)
    assert all(0 < row["p10_ms"] <= row["median_ms"] <= row["p90_ms"] for row in (resize, *rows))
