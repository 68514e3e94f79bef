"""Frames for pipelines: static noise, and a square that moves over it; and their results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regionmask_ros.core.frame import Frame
from regionmask_ros.core.result import StepResult
from regionmask_ros.pipeline.pipeline import Pipeline

FRAME_NS = 40_000_000
FLICKER = (255, 235, 215)


def moving_square(count: int, size_wh: tuple[int, int], *, top: int = 20, square_wh: tuple[int, int] = (20, 20),
                  step: int = 4, grays: Sequence[int] = FLICKER, noise: int = 256, seed: int = 0, start_ns: int = 0,
                  frame_id: str = "camera") -> list[Frame]:
    """Frames in which the square moves ``step`` pixels to the right per frame, and its gray values take turns.

    The noise has values below ``noise``.
    """
    width, height = square_wh
    still = np.random.default_rng(seed).integers(0, noise, (size_wh[1], size_wh[0], 3)).astype(np.uint8)
    frames = []
    for t in range(count):
        pixels = still.copy()
        pixels[top:top + height, step * t:step * t + width] = grays[t % len(grays)]
        frames.append(Frame(pixels, "bgr", start_ns + t * FRAME_NS, frame_id))
    return frames


def play(pipeline: Pipeline, frames: Sequence[Frame]) -> list[StepResult]:
    """The results that the frames give, without those that a late backend still holds."""
    return [result for frame in frames for result in pipeline.process(frame)]
