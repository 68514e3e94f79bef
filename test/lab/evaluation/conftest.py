"""Fixtures that tests of the evaluation share."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from moving_square import moving_square


@pytest.fixture(scope="session")
def make_walk(tmp_path_factory):
    """A function that writes a folder of images, 192x128: a block moves over static noise.

    From the frame ``second_from`` on there is a second block, which stands still.
    """

    def make(frames: int, second_from: int | None = None) -> str:
        folder: Path = tmp_path_factory.mktemp("walk")
        for t, frame in enumerate(moving_square(
                frames, (192, 128), top=30, square_wh=(40, 50), grays=(230,), noise=120)):
            if second_from is not None and t >= second_from:
                frame.pixels[90:120, 140:180] = 255
            cv2.imwrite(str(folder / f"{t:02d}.png"), frame.pixels)
        return str(folder)

    return make
