"""The trained network in Lava's simulator gives the CPU engine's integers on real video.

A few frames of each video; `python -m regionmask_ros compare` does the same for whole videos.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from regionmask_ros.backends import open_backend
from regionmask_ros.core.frame import resize_frame
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.lab.backend_comparison import BackendComparison
from regionmask_ros.sources import open_source

UNMASKED, MASKED = 3, 4
"""Number of frames of each kind: first those without a mask, then those with one."""


@pytest.fixture(scope="module")
def simulators(lava_python, trained):
    """A function that returns the running simulator of an input size, in its initial state."""
    opened = {}

    def simulator(input_wh):
        if input_wh in opened:
            opened[input_wh].reset()
        else:
            opened[input_wh] = open_backend("lava_sim", trained, input_wh)
        return opened[input_wh]

    yield simulator
    for backend in opened.values():
        backend.close()


@pytest.mark.parametrize("name, input_wh", [
    ("vtest.avi", (448, 448)), ("bikes.mp4", (448, 448)), ("kitti-0017", (448, 448)), ("bikes.mp4", (448, 192)),
], ids=lambda value: value if isinstance(value, str) else "x".join(map(str, value)))
def test_every_integer_and_count_is_the_same(name, input_wh, simulators, trained, real_video, labelled_clip):
    path = real_video(name) if "." in name else labelled_clip(name)
    grid, rng = RegionGrid.of_input(input_wh), np.random.default_rng(1)
    encoder = Encoder(trained.input_table, trained.encoder_threshold, input_wh)
    simulator = simulators(input_wh)
    comparison = BackendComparison({"cpu": open_backend("cpu", trained, input_wh, "lava"), "lava_sim": simulator})
    sent, before = 0, simulator.wire_bytes
    with open_source(path) as source:
        for number, frame in enumerate(islice(source.frames(), UNMASKED + MASKED)):
            keep = grid.full(True) if number < UNMASKED else rng.random(grid.shape) < 0.4
            events = encoder.step(resize_frame(frame, input_wh), keep)
            sent += len(events)
            comparison.submit(events, number)
    comparison.drain()
    assert comparison.frames == UNMASKED + MASKED and comparison.first is None and comparison.equal
    assert simulator.wire_bytes - before == 4 * (UNMASKED + MASKED) + 5 * sent
