"""Everything that the pipeline knows of one camera, and what each kind of reset keeps of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from ..core.detections import Detections
from ..core.frame import Frame
from ..core.grid import RegionGrid
from ..core.look import LookOutput
from ..encoder.encoder import Encoder
from ..mask.composer import MaskComposer
from ..mask.region_age import initial_age
from ..mask.source import FrameView, MaskContext
from ..mask.tiling import Tiling
from ..tiles.partial_resize import PartialResize
from ..tracking.guard import FORGET, Agreement, Guard
from .dense_interpreter import HeldState
from .interpreter import InterpreterState


class ResetReason(Enum):
    """Why a camera's state is reset. In all cases the next frame is a refresh frame."""

    REQUESTED = "a reset was requested"
    NEW_CAMERA = "the camera's frame has changed"
    SIZE_CHANGED = "the size of the image or of the network's input has changed"
    STAMP_JUMPED = "a stamp lies before the one of the frame before"
    RESTART_PERIOD = "the restart period is over"
    BACKEND_CHANGED = "another backend, or the same one opened anew"


KEEPS_PLACE: Mapping[ResetReason, bool] = {
    ResetReason.REQUESTED: False,
    ResetReason.NEW_CAMERA: False,
    ResetReason.SIZE_CHANGED: False,
    ResetReason.STAMP_JUMPED: True,
    ResetReason.RESTART_PERIOD: True,
    ResetReason.BACKEND_CHANGED: True,
}
"""Whether a reset keeps what was learned of the place: where objects were seen, and the adaptive mask that is made of
it. Every reset keeps the sizes, the masks' settings and the ages of the regions, except after SIZE_CHANGED: then the
pipeline makes a new state. No reset keeps references, tracks, the last result or what a mask network remembers."""


@dataclass
class CameraState:
    """The state of one camera.

    Attributes:
        image_wh: Width and height of the camera's image.
        input_wh: Width and height of the network's input.
        composer: The masks, with what they have learned.
        objects: Tracks, and what the last head shows; of a dense network, the held objects.
        encoder: The encoder, with the references of all input values; None for a dense network.
        tiling: The windows of a dense runtime; None for one of our own engines.
        level: Index of the tile engine's thresholds, see ``core.look.MaskedImage``.
        age: uint16 [rows, cols], frames since a region was last sent.
        frame: Number of the next frame since the last reset.
        refresh_from: The frame from which the refresh period counts.
        guard: What was learned about predictions; it may shorten the refresh period, or idle frames.
        refreshed: Number of the last refresh frame that has a result.
        last: Objects of the last result.
        frame_id: Coordinate frame of the last image.
        stamp_ns: Stamp of the last image.
        interval_s: Seconds from the stamp before to that one; 0 at a first image.
        small: The last image, downsampled, for a dense network; None before the first.
        blank_input: uint8 [height, width, 3], stands for an input of which nothing is sent.
    """

    image_wh: tuple[int, int]
    input_wh: tuple[int, int]
    composer: MaskComposer
    objects: InterpreterState | HeldState
    encoder: Encoder | None = None
    tiling: Tiling | None = None
    level: int | None = None
    age: np.ndarray = field(init=False)
    frame: int = 0
    refresh_from: int = 0
    guard: Guard = field(default_factory=Guard)
    refreshed: int = 0
    last: Detections = field(default_factory=Detections.empty)
    frame_id: str = ""
    stamp_ns: int = 0
    interval_s: float = 0.0
    small: np.ndarray | None = None
    blank_input: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.age = initial_age(self.grid)
        self.blank_input = np.zeros((self.input_wh[1], self.input_wh[0], 3), np.uint8)

    @cached_property
    def partial_resize(self) -> PartialResize:
        """Makes the input of the tile engine."""
        return PartialResize(self.image_wh, self.input_wh)

    @property
    def grid(self) -> RegionGrid:
        """The region grid of the network's input."""
        return self.composer.grid

    @property
    def since_refresh(self) -> int:
        """Number of the next frame, counted from the one at which the refresh period starts."""
        return self.frame - self.refresh_from

    @property
    def horizon(self) -> int:
        """Frames over which predictions hold; 0 without a guard."""
        return self.guard.horizon if self.composer.least_held else 0

    @property
    def effective_period(self) -> int:
        """Frames from one refresh frame to the next, as the guard allows; 0: no refresh frame comes."""
        composer = self.composer
        if not composer.sources or not composer.refresh_period:
            return 0
        return self.guard.limit(composer.refresh_period) if composer.least_held else composer.refresh_period

    @property
    def frames_to_refresh(self) -> int | None:
        """Number of frames until a refresh frame (0: the next one is one); None when none comes."""
        period, since = self.effective_period, self.since_refresh
        if since == 0 or not period:
            return None if since else 0
        return max(0, period - (since - 1) % self.composer.refresh_period - 1)

    def take(self, frame: Frame) -> None:
        """Notes the coordinate frame and the stamp of the next image."""
        self.interval_s = (frame.stamp_ns - self.stamp_ns) * 1e-9 if self.frame else 0.0
        self.frame_id, self.stamp_ns = frame.frame_id, frame.stamp_ns

    def reset_reason(self, frame: Frame, restart_period: int) -> ResetReason | None:
        """Finds why the state must be reset before a frame.

        Args:
            frame: The next frame.
            restart_period: Frames after which everything is reset; 0: never.

        Returns:
            The reason; None: the frame follows the one before.
        """
        if frame.frame_id != self.frame_id:
            return ResetReason.NEW_CAMERA
        if frame.stamp_ns < self.stamp_ns:
            return ResetReason.STAMP_JUMPED
        return ResetReason.RESTART_PERIOD if 0 < restart_period <= self.frame else None

    def start_period(self) -> None:
        """Lets the refresh period start with the next frame if the guard wants a refresh frame now."""
        if self.frames_to_refresh == 0 and self.since_refresh % max(self.composer.refresh_period, 1):
            self.refresh_from = self.frame

    def learn(self, number: int, is_refresh: bool, head: Any) -> None:
        """Lets the guard learn from a result.

        Args:
            number: Of the frame since the last reset.
            is_refresh: Whether it was a refresh frame.
            head: The backend's output.
        """
        objects = self.objects
        if isinstance(objects, HeldState) and not self.composer.refresh_period:
            if len(head) and objects.held.agreement:
                self._learn_from_looks(objects.held.agreement, objects.held.elapsed, head)
        elif is_refresh:
            self._learn_from_refresh(number, objects.agreement)

    def _learn_from_looks(self, agreement: Agreement, elapsed: int, outputs: Sequence[LookOutput]) -> None:
        """Lets the guard learn from looks at parts of the image.

        Args:
            agreement: Of predicted and found objects.
            outputs: Of the looks.
            elapsed: Frames since these objects were last observed; 0: nothing was predicted.
        """
        if self.composer.least_held and elapsed > 0:
            # Objects are seen at different times: about half of the horizon is as much as a rotation shows of it.
            reached = max(elapsed, self.guard.horizon) if 2 * elapsed >= self.guard.horizon else elapsed
            # As much is forgotten in a rotation as in a refresh frame.
            seen = sum(math.prod(output.look.input_wh) for output in outputs) / math.prod(self.input_wh)
            forget = FORGET ** min(seen, 1.0)
            self.guard = self.guard.update(agreement, reached, self.composer.least_held, forget)

    def _learn_from_refresh(self, number: int, agreement: Agreement | None) -> None:
        """Lets the guard learn from the result of a refresh frame.

        Args:
            number: Of the frame since the last reset.
            agreement: Of predicted and found objects; None where nothing is tracked.
        """
        elapsed, self.refreshed = number - self.refreshed, number
        if agreement is not None and self.composer.least_held and elapsed > 0:
            self.guard = self.guard.update(agreement, elapsed, self.composer.least_held)

    def context(self, view: FrameView, attention: np.ndarray) -> MaskContext:
        """What the mask sources may use before the next frame is encoded.

        Args:
            view: The frame.
            attention: Boxes that a planner asks for, float [n, 4].

        Returns:
            The context.
        """
        return MaskContext(self.last, self.grid, self.image_wh, self.frame, view, self.since_refresh,
                           self.objects.tracks, attention, self.horizon, self.interval_s)

    def reset(self, reason: ResetReason) -> None:
        """Forgets what the reason says, see ``KEEPS_PLACE``."""
        if self.encoder is not None:
            self.encoder.reset()
        self.composer.reset()
        if not KEEPS_PLACE[reason]:
            self.composer.learner.forget()
        self.objects = type(self.objects)()
        self.small = None
        self.frame = self.refresh_from = self.refreshed = 0
        self.guard = Guard()
        self.last = Detections.empty()
