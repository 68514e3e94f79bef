"""What every mask source is: a class that says, frame by frame, which regions it wants to observe.

To add a source, write one class that has the methods of ``MaskSource``, and add a line to the table of
``pipeline.composition``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..core.detections import Detections
from ..core.grid import RegionGrid
from ..core.result import StepResult
from ..tracking.tracker import Tracks

STATIC, ADAPTIVE, DYNAMIC, ATTENTION = "static", "adaptive", "dynamic", "attention"

NO_BOXES = np.zeros((0, 4))


class FrameView(Protocol):
    """The frame itself, before anything of it is encoded. Both properties are computed on first access."""

    @property
    def image(self) -> np.ndarray:
        """The network's input: uint8 [height, width, 3], RGB."""

    @property
    def change(self) -> np.ndarray:
        """Share of each region that would send events if it were observed: float32 [rows, cols], 0 to 1."""


@dataclass(frozen=True)
class MaskContext:
    """What a mask source may use before a frame is encoded.

    Attributes:
        last: Objects of the last result.
        grid: The region grid of the network's input.
        image_wh: Width and height of the camera's image, in pixels.
        frame: Number of the frame since the last reset.
        frame_view: The frame itself. None where it is not available, which only sources that never use it accept.
        since_refresh: Number of the frame, counted from the one at which the refresh period starts.
        tracks: The objects that are tracked, for schedules.
        horizon: Frames over which predictions hold, see ``tracking.guard``; 0: there is no guard.
        interval_s: Seconds since the image before, by their stamps; 0: not known.
        attention: Boxes that a planner wants to be observed: float [n, 4], x0 y0 x1 y1 in image pixels.
    """

    last: Detections
    grid: RegionGrid
    image_wh: tuple[int, int]
    frame: int = 0
    frame_view: FrameView | None = None
    since_refresh: int = 0
    tracks: Tracks = field(default_factory=Tracks.none)
    attention: np.ndarray = field(default_factory=lambda: NO_BOXES)
    horizon: int = 0
    interval_s: float = 0.0


class MaskSource(Protocol):
    """Proposes regions for one camera.

    Attributes:
        name: Key of the proposal in ``RegionMask.sources``, which topics and diagnostics use.
    """

    name: str

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """Chooses regions of the next frame. Called once a frame, in order.

        Args:
            context: What is known before the frame is encoded.

        Returns:
            bool [rows, cols], True = observed. None when the source has nothing to say about this frame: it is then
            not listed in the frame's mask.
        """

    def observe(self, result: StepResult) -> None:
        """Learns from a result. With a pipelined backend, results come some frames after their proposals."""

    def reset(self) -> None:
        """Forgets what holds from frame to frame: the references are gone, and the next frame is a refresh frame."""


class StatelessSource:
    """Base of sources that depend on nothing but the context."""

    def observe(self, result: StepResult) -> None:
        """Does nothing."""

    def reset(self) -> None:
        """Does nothing."""


class IdleSource(StatelessSource):
    """Proposes no region: only refresh frames observe anything.

    Args:
        name: Key of the proposal.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """No region, bool [rows, cols]."""
        return context.grid.full(False)
