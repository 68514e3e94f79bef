"""Fixtures that tests of the evaluation share."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def make_walk(tmp_path_factory):
    """A function that writes a folder of images, 192x128: a block moves over static noise.

    From the frame ``second_from`` on there is a second block, which stands still.
    """

    def make(frames: int, second_from: int | None = None) -> str:
        folder: Path = tmp_path_factory.mktemp("walk")
        still = np.random.default_rng(0).integers(0, 120, (128, 192, 3)).astype(np.uint8)
        for t in range(frames):
            image = still.copy()
            image[30:80, 4 * t:4 * t + 40] = 230
            if second_from is not None and t >= second_from:
                image[90:120, 140:180] = 255
            cv2.imwrite(str(folder / f"{t:02d}.png"), image)
        return str(folder)

    return make
