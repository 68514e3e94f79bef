"""Clips made in memory, for measuring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from regionmask_ros.lab.bench.clip import Clip


def as_clip(images: Sequence[np.ndarray], fps: float = 25.0) -> Clip:
    height, width = images[0].shape[:2]
    return Clip("made in memory", tuple(images), (width, height), (width, height), fps)


@pytest.fixture(scope="session", name="as_clip")
def as_clip_fixture():
    return as_clip


@pytest.fixture(scope="session")
def noise_clip():
    """Frames of noise: nothing in one of them is in the next."""
    def make(size_wh: tuple[int, int], frames: int, fps: float = 25.0) -> Clip:
        shape = (frames, size_wh[1], size_wh[0], 3)
        return as_clip(list(np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)), fps)

    return make
