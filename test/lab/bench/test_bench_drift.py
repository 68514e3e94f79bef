from __future__ import annotations

import numpy as np

from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.lab.bench.clip import Clip
from regionmask_ros.lab.bench.quality import OBSERVED, drift_rows


def test_the_head_stays_near_the_dense_one(trained):
    """A bright square moves over noise; a head that has lost events, or low bits, would leave the dense one behind."""
    rng = np.random.default_rng(0)
    ground, images = rng.integers(60, 120, (64, 64, 3)).astype(np.uint8), []
    for x in range(0, 40, 4):
        image = ground.copy()
        image[20:40, x:x + 20] = 220
        images.append(image)
    clip = Clip("square", tuple(images), (64, 64), (64, 64), 25.0)
    rows = drift_rows(trained, clip, 200, RegionGrid.of_input((64, 64)).full(True), lambda frames: frames)
    assert [row["played"] for row in rows] == sorted([*range(9, 200, 18), *(n for n in OBSERVED if n < 200)])
    at_end = [row["head_rms"] for row in rows if row["picture"] == 9]
    assert max(at_end) < 0.35 * rows[0]["output_rms"]
    assert max(at_end[2:]) <= 1.15 * max(at_end[:2])
