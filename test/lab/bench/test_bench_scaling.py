"""How cost grows: lines of least squares, and cameras that share weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.engine.engine import PackedNetwork
from regionmask_ros.lab.bench.candidates import EventCandidate
from regionmask_ros.lab.bench.clip import Clip
from regionmask_ros.lab.bench.scaling import fit_line, linearity_rows, ping_pong_index, stream_row

number = st.floats(-1e3, 1e3)


@given(st.lists(number, min_size=2, max_size=20, unique=True), number, number)
def test_points_on_a_line_give_the_line(x, slope, intercept):
    if np.ptp(x) < 1e-3:
        return
    line = fit_line(x, [slope * one + intercept for one in x])
    assert line.slope == pytest.approx(slope, abs=1e-3)
    ends = np.array([min(x), max(x)])
    assert line.slope * ends + line.intercept == pytest.approx(slope * ends + intercept, abs=1e-3)


@given(st.lists(st.tuples(number, number), min_size=3, max_size=20))
def test_r2_is_a_share(points):
    x, y = zip(*points)
    line = fit_line(x, y)
    if line is None:
        assert np.ptp(x) < 1e-100
    elif not np.isnan(line.r2):
        assert -1e-6 <= line.r2 <= 1 + 1e-6


def test_r2_of_a_known_case():
    line = fit_line([0, 1, 2, 3], [0, 2, 1, 3])
    assert (line.slope, line.intercept, line.r2) == pytest.approx((0.8, 0.3, 0.64))


def test_a_row_for_each_sequence_engine_and_quantity():
    scale = [
        {"sequence": name, "setting": setting, "engine": engine, "pixels": pixels, "median_ms": 2e-6 * pixels + 1,
         "synops_per_frame": None if setting == "dense" else 100.0 * pixels}
        for pixels in (1e6, 2e6, 4e6) for name in ("b", "a")
        for engine, setting in (("event", "unmasked"), ("onnxruntime_int8", "dense"))
    ]
    frames = [{"sequence": "a", "setting": setting, "engine": "event", "input_size": "64x64",
               "synops": [1_000_000, 3_000_000], "ms": [1.0, 2.0]} for setting in ("unmasked", "masked60")]
    rows = linearity_rows(scale, frames)
    assert [(row["sequence"], row["engine"], row["against"]) for row in rows[:3]] == [
        ("a", "event", "Mpixel, by size"), ("a", "event", "Msynop, by size"),
        ("a", "onnxruntime_int8", "Mpixel, by size"),
    ]
    assert len(rows) == 8 and rows[0]["points"] == 3
    assert (rows[0]["slope_ms"], rows[0]["intercept_ms"], rows[0]["r2"]) == (2.0, 1.0, 1.0)
    assert rows[1]["slope_ms"] == 0.02
    assert [(row["setting"], row["against"], row["slope_ms"]) for row in rows[6:]] == [
        ("unmasked", "Msynop, by frame", 0.5), ("masked60", "Msynop, by frame", 0.5),
    ]


def test_no_line_through_one_size():
    assert linearity_rows([{"sequence": "a", "setting": "dense", "engine": "torch_fp32", "pixels": 1, "median_ms": 1.0,
                            "synops_per_frame": None}], []) == []


SIZE_WH = (96, 64)
FULL = np.ones((4, 6), bool)


@pytest.fixture(scope="module")
def clip(noise_clip) -> Clip:
    return noise_clip(SIZE_WH, 6, fps=10.0)


@given(st.integers(0, 500), st.integers(1, 40))
def test_ping_pong_has_no_cut_and_misses_no_frame(start, length):
    indices = [ping_pong_index(position, length) for position in range(start, start + 2 * length)]
    assert set(indices) == set(range(length))
    assert all(abs(one - other) == (length > 1) for one, other in pairwise(indices))


def test_cameras_with_shared_weights_do_not_disturb_each_other(tiny_network, clip):
    packed = PackedNetwork(tiny_network)
    alone = [EventCandidate(tiny_network, SIZE_WH, "unmasked", FULL) for _ in range(3)]
    together = [EventCandidate(tiny_network, SIZE_WH, "unmasked", FULL, packed=packed) for _ in range(3)]
    for t in range(5):
        for camera, (one, other) in enumerate(zip(alone, together)):
            image = clip.images[ping_pong_index(t + 2 * camera, len(clip.images))]
            assert np.array_equal(one.step(image), other.step(image))


@pytest.mark.parametrize("cameras", [1, 3])
def test_a_row_tells_the_cameras_per_core_and_the_memory_of_a_camera(tiny_network, clip, cameras):
    row = stream_row(tiny_network, clip, "unmasked", FULL, cameras, 4, iter)
    assert (row["engine"], row["threads"], row["input_size"], row["cameras"]) == ("event", 1, "96x64", cameras)
    served = row["cameras_per_core"]
    assert served["at_fps"] == pytest.approx(1000 / row["mean_ms"] / 10.0, rel=0.01)
    assert served["at_30"] == pytest.approx(1000 / row["mean_ms"] / 30.0, rel=0.02)
    assert 0 < row["p10_ms"] <= row["median_ms"] <= row["p90_ms"]
    # A small network's camera is far below the resolution of resident memory; it takes little, and does not shrink.
    assert 0 < row["state_mb"] < 2 and -2 < row["memory_mb"] < 4
