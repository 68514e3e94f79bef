"""Laps of a replay: complete, in order, and with the counts of an ordinary run."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.engine.engine import available_kernel_sets
from regionmask_ros.lab.bench.clip import Clip
from regionmask_ros.lab.bench.engine import EventCandidate
from regionmask_ros.lab.bench.measure import count, make_row, run_interleaved
from regionmask_ros.lab.bench.speed import layer_rows


@pytest.mark.parametrize("path", available_kernel_sets())
def test_layers_add_up_to_the_run(tiny_network, path):
    rng = np.random.default_rng(2)
    images = tuple(rng.integers(0, 256, (64, 96, 3)).astype(np.uint8) for _ in range(6))
    clip = Clip("by hand", images, (96, 64), (96, 64), 25.0)
    candidate = EventCandidate(tiny_network, (96, 64), "unmasked", np.ones((4, 6), bool), path)
    [record], _ = run_interleaved([candidate], clip, 2, range(6))
    count(record, candidate, clip, 2)
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
    candidate.step(images[0])
    candidate.watch(None)
    candidate.step(images[1])
    assert named == ["encoder", "input", "c1", "c2", "c3", "head"]
