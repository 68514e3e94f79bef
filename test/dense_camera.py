"""Cameras with a dense network that finds bright blocks: pipelines that note what they compute, and frames for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from dense_networks import block_network
from moving_square import FRAME_NS

from regionmask_ros.backends import open_backend
from regionmask_ros.core.frame import Frame
from regionmask_ros.core.look import Look
from regionmask_ros.mask.schedule import PresetOverrides
from regionmask_ros.network.dense import DenseNetwork
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

SIZE_WH = (192, 128)


class NotingBackends:
    """Opens real backends and notes what they get.

    Attributes:
        looks: Those of each frame.
        prepared: Input shapes that were asked for, in order.
        opened: Names of the backends.
    """

    def __init__(self) -> None:
        self.looks: list[tuple[Look, ...]] = []
        self.prepared: list[tuple[int, int]] = []
        self.opened: list[str] = []

    def __call__(self, name: str, *arguments: Any) -> Any:
        backend: Any = open_backend(name, *arguments)
        submit, prepare = backend.submit, backend.prepare
        self.opened.append(name)
        self.prepared.append(arguments[1])

        def noting_submit(images: Sequence[Any], tag: Any) -> None:
            self.looks.append(tuple(image.look for image in images))
            submit(images, tag)

        def noting_prepare(shapes: Sequence[tuple[int, int]]) -> None:
            self.prepared.extend(shapes)
            prepare(shapes)

        backend.submit, backend.prepare = noting_submit, noting_prepare
        return backend

    @property
    def counts(self) -> list[int]:
        """Number of looks of each frame."""
        return list(map(len, self.looks))


def dense_settings(backend: str = "auto", preset: str = "", guard: float = 0.0, refresh: int = -1, **given: Any
                   ) -> PipelineSettings:
    """Settings; with a preset, these values of it. No guard: its schedule is as it says."""
    overrides = PresetOverrides(refresh_period=refresh, least_held=guard) if preset else PresetOverrides()
    return PipelineSettings(backend=backend, backend_options={"cache": "none"}, preset=preset, overrides=overrides,
                            **{"score_threshold": 0.3, **given})


def dense_pipeline(network: DenseNetwork | None = None, backend: str = "auto", **given: Any
                   ) -> tuple[Pipeline, NotingBackends]:
    """A pipeline, and what notes its looks."""
    noting = NotingBackends()
    return Pipeline(network or block_network(), dense_settings(backend, **given), noting), noting


def block_frames(count: int, size_wh: tuple[int, int] = SIZE_WH, step: int = 4) -> list[Frame]:
    """A block of 40 pixels over dark noise. It moves to the right, and begins far from the border, where the means of
    the network are of fewer pixels."""
    still = np.random.default_rng(0).integers(0, 120, (size_wh[1], size_wh[0], 3)).astype(np.uint8)
    frames = []
    for t in range(count):
        pixels = still.copy()
        x0, y0, x1, y1 = block_box(t, step).astype(int)
        pixels[y0:y1, x0:x1] = 250
        frames.append(Frame(pixels, "bgr", t * FRAME_NS, "camera"))
    return frames


def block_box(t: int, step: int = 4) -> np.ndarray:
    """Where the block is, float64 [4]."""
    left, top = 48 + step * t, 40
    return np.array([left, top, left + 40, top + 40], float)
