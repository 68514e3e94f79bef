"""Several cameras that share weights: each is the camera that it would be alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.engine.engine import PackedNetwork
from regionmask_ros.lab.bench.clip import Clip
from regionmask_ros.lab.bench.engine import EventCandidate
from regionmask_ros.lab.bench.speed import ping_pong_index, stream_row

SIZE_WH = (96, 64)
EVERYTHING = np.ones((4, 6), bool)


@pytest.fixture(scope="module")
def clip() -> Clip:
    rng = np.random.default_rng(5)
    images = [rng.integers(0, 256, (SIZE_WH[1], SIZE_WH[0], 3)).astype(np.uint8) for _ in range(6)]
    return Clip("by hand", tuple(images), SIZE_WH, SIZE_WH, 10.0)


@given(st.integers(0, 500), st.integers(1, 40))
def test_forth_and_back_has_no_cut_and_misses_nothing(start, length):
    indices = [ping_pong_index(position, length) for position in range(start, start + 2 * length)]
    assert set(indices) == set(range(length))
    assert all(abs(one - other) == (length > 1) for one, other in zip(indices, indices[1:]))


def test_cameras_with_shared_weights_do_not_disturb_each_other(tiny_network, clip):
    packed = PackedNetwork(tiny_network)
    alone = [EventCandidate(tiny_network, SIZE_WH, "unmasked", EVERYTHING) for _ in range(3)]
    together = [EventCandidate(tiny_network, SIZE_WH, "unmasked", EVERYTHING, packed=packed) for _ in range(3)]
    for t in range(5):
        for camera, (one, other) in enumerate(zip(alone, together)):
            image = clip.images[ping_pong_index(t + 2 * camera, len(clip.images))]
            assert np.array_equal(one.step(image), other.step(image))


@pytest.mark.parametrize("cameras", [1, 3])
def test_row_says_what_a_core_can_serve_and_what_a_camera_takes(tiny_network, clip, cameras):
    row = stream_row(tiny_network, clip, "unmasked", EVERYTHING, cameras, 4, iter)
    assert (row["engine"], row["threads"], row["input_size"], row["cameras"]) == ("event", 1, "96x64", cameras)
    served = row["cameras_per_core"]
    assert served["at_fps"] == pytest.approx(1000 / row["mean_ms"] / 10.0, rel=0.01)
    assert served["at_30"] == pytest.approx(1000 / row["mean_ms"] / 30.0, rel=0.02)
    assert 0 < row["p10_ms"] <= row["median_ms"] <= row["p90_ms"]
    # A small network's camera is far below the resolution of resident memory; it takes little, and does not shrink.
    assert 0 < row["state_mb"] < 2 and -2 < row["memory_mb"] < 4


def test_state_grows_with_the_picture_and_leaves_weights_out(tiny_network):
    def state(size_wh, packed=None):
        keep = np.ones((size_wh[1] // 16, size_wh[0] // 16), bool)
        return EventCandidate(tiny_network, size_wh, "unmasked", keep, packed=packed).state_bytes()

    small, large = state((96, 64)), state((384, 256))
    assert 10 * small < large < 20 * small
    assert state((96, 64), PackedNetwork(tiny_network)) == small
