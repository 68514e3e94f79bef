"""The unmasked twin of a run: the same frames through a second pipeline, side by side with the masked one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np

from ..core.detections import Detections
from ..core.frame import Frame
from ..core.option_table import OPTIONS
from ..core.options import Value
from ..core.result import StepResult
from ..errors import UserError
from ..network.dense import AnyNetwork
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings, make_settings
from .against import Comparison, compare_runs
from .overlay import Overlay, caption_line
from .run_page import FrameRecord, record_of, summarize
from .video_file import VideoWriter

NONE = "none"
"""What ``--against`` takes: the mask of the twin."""

SIDE_WIDTH = 640
"""Largest width of one side of the video of both."""


def twin_settings(values: Mapping[str, Value], settings: PipelineSettings) -> PipelineSettings:
    """The settings of the twin.

    Args:
        values: A value for every option.
        settings: Those of the masked run, made from the same values.

    Returns:
        The settings without any mask.

    Raises:
        UserError: The run has no mask itself.
    """
    if settings.mask_name == NONE:
        raise UserError("--against none: this run is unmasked itself; leave it out, or choose another --mask")
    return make_settings({**values, "mask_mode": NONE, "target_masked": OPTIONS["target_masked"].default})


class Twin:
    """The unmasked run beside the masked one. Context manager; leaving it closes its pipeline.

    Args:
        network: The network of both.
        settings: From `twin_settings`.
        video: As the attribute.

    Attributes:
        comparison: Of all frames so far.
        video: Where frames of both are written, side by side; None: nowhere.
    """

    def __init__(self, network: AnyNetwork, settings: PipelineSettings, video: VideoWriter | None = None) -> None:
        self._pipeline = Pipeline(network, settings)
        self.comparison = Comparison(network.labels)
        self.video, self._overlay = video, Overlay(network.labels)
        self._records: list[FrameRecord] = []
        self._masked: deque[tuple[int, Detections, np.ndarray | None]] = deque()
        self._unmasked: deque[StepResult] = deque()

    def __enter__(self) -> Twin:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pipeline.close()

    def process(self, frame: Frame) -> None:
        """Gives the twin the next frame."""
        self._take(self._pipeline.process(frame))

    def drain(self) -> None:
        """Takes what is still inside of a backend that answers later."""
        self._take(self._pipeline.drain())

    def add_masked(self, index: int, detections: Detections, drawn: np.ndarray | None) -> None:
        """Takes the next result of the masked run.

        Args:
            index: Number of the frame, which thumbnails name.
            detections: What was found.
            drawn: The annotated image, which the video shows on the left.
        """
        self._masked.append((index, detections, drawn))
        self._compare()

    def summary(self, masked: Mapping[str, Any]) -> dict[str, Any]:
        """What the summary has under ``against``, see `compare_runs`.

        Args:
            masked: The summary of the masked run.

        Returns:
            Values for JSON.
        """
        return compare_runs(masked, {**summarize(self._records), "mask": NONE}, self.comparison)

    def _take(self, results: Iterable[StepResult]) -> None:
        for result in results:
            self._records.append(record_of(result))
            self._unmasked.append(result)
            self._compare()

    def _compare(self) -> None:
        """Compares the frames that both have answered, in their order."""
        while self._masked and self._unmasked:
            (index, detections, drawn), unmasked = self._masked.popleft(), self._unmasked.popleft()
            self.comparison.add(index, unmasked.frame, detections, unmasked.detections)
            if self.video and drawn is not None:
                caption = caption_line(None, unmasked.counts, unmasked.ms["total"], "", unmasked.tile_counts)
                self.video.add(join_sides(drawn, self._overlay.draw(unmasked, caption, "right")))


def join_sides(left: np.ndarray, right: np.ndarray, most: int = SIDE_WIDTH) -> np.ndarray:
    """Puts two images of the same size beside each other.

    Args:
        left: uint8 [height, width, 3].
        right: Of the same shape.
        most: A wider image is scaled down to this width.

    Returns:
        uint8 [height', 2 width', 3]; both sides are even.
    """
    height, width = left.shape[:2]
    scale = min(1.0, most / width)
    side = tuple(max(2, 2 * round(length * scale / 2)) for length in (width, height))
    both: np.ndarray = np.hstack([
        image if (width, height) == side else cv2.resize(image, side, interpolation=cv2.INTER_AREA)
        for image in (left, right)])
    return both
