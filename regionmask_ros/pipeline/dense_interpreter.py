"""The last stage of a dense network: from the outputs of its looks to the objects of a frame, over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..core.detections import Detections
from ..core.grid import is_observed
from ..core.look import LookOutput
from ..detection.filter import DetectionFilter
from ..detection.heads import LookDetections, decode_looks
from ..errors import UserError
from ..network.dense import DenseNetwork, HeadSpec
from ..tracking.guard import Agreement
from ..tracking.held import HeldObjects, hold_objects
from ..tracking.motion import UNKNOWN, OpticalFlow
from ..tracking.tracker import Tracks, update_reach
from .settings import PipelineSettings

HELD_SHARE = 0.6
"""Of the lowest reported score: from there on a detection is held, so that an object whose score falls below the
threshold for a while is not lost."""


@dataclass
class HeldState:
    """What the interpreter knows from the frames before.

    Attributes:
        held: The objects.
        image: The last frame, downsampled; None where it is not known.
        reach: How far boxes moved in the last frame, see ``motion.OpticalFlow``.
        full_scale: Image pixels per input pixel of the looks so far at the highest resolution.
        head: The last outputs that were decoded; None without any, or where they must be decoded again.
        shown: What they show.
    """

    held: HeldObjects = field(default_factory=HeldObjects)
    image: np.ndarray | None = None
    reach: float = UNKNOWN
    full_scale: float = math.inf
    head: Sequence[LookOutput] | None = None
    shown: LookDetections = field(default_factory=LookDetections)

    @property
    def tracks(self) -> Tracks:
        """The objects, for mask sources."""
        return self.held.tracks

    @property
    def agreement(self) -> Agreement | None:
        """Of predicted and found objects in the last frame with looks."""
        return self.held.agreement


@dataclass(frozen=True)
class DenseInterpreter:
    """Decodes the outputs of looks, holds objects between looks, and filters what is reported.

    Attributes:
        head: What the outputs mean.
        nms_iou: Overlap above which the weaker box of a class goes.
        reported: Which detections are reported.
        held_score: Lowest score of a detection that is held. None: nothing is held, every frame stands for itself.
    """

    head: HeadSpec
    nms_iou: float
    reported: DetectionFilter
    held_score: float | None = None

    @classmethod
    def of(cls, settings: PipelineSettings, network: DenseNetwork, is_masked: bool) -> DenseInterpreter:
        """Makes the interpreter that the settings ask for.

        Args:
            settings: What the user chose.
            network: The network.
            is_masked: Whether there are masks, so that objects are held between the looks that show them.

        Returns:
            The interpreter.

        Raises:
            UserError: The network has no class of a name.
        """
        reported = DetectionFilter.of(network.labels, settings.score_threshold, settings.classes,
                                      settings.class_thresholds, settings.max_detections)
        held = HELD_SHARE * reported.lowest if is_masked else None
        return cls(network.head, settings.nms_iou, reported, held)

    @property
    def track_score(self) -> float | None:
        """As ``held_score``."""
        return self.held_score

    def new_state(self) -> HeldState:
        """The state before the first frame."""
        return HeldState()

    def read(self, state: HeldState, head: Sequence[LookOutput], synops: Sequence[int], image_wh: tuple[int, int]
             ) -> LookDetections:
        """Decodes the outputs.

        Args:
            state: Of the frames before; changed.
            head: Of the frame's looks. The very object of the frame before is not decoded again.
            synops: Not used.
            image_wh: Width and height of the camera's image.

        Returns:
            What the looks show.

        Raises:
            UserError: The outputs are not what the head says.
        """
        if state.head is not None and state.head is head:
            return state.shown
        lowest = self.reported.lowest if self.held_score is None else min(self.reported.lowest, self.held_score)
        try:
            state.shown = decode_looks(head, self.head, image_wh, lowest, self.nms_iou)
        except ValueError as error:
            raise UserError(f"the network's outputs do not fit its head, {error}; try another input size, or import "
                            "the network with another --head") from error
        state.head = head
        return state.shown

    def track(self, state: HeldState, found: LookDetections, keep: np.ndarray, image_wh: tuple[int, int],
              number: int, image: np.ndarray | None) -> Detections:
        """Holds objects, and filters.

        Args:
            state: Of the frames before; changed.
            found: From ``read``.
            keep: bool [rows, cols], True = observed in this frame. What lies outside is not reported.
            image_wh: Width and height of the camera's image.
            number: Of the frame; rises from call to call.
            image: The frame, downsampled; None where nothing is held.

        Returns:
            The detections that are reported, best score first.
        """
        # A window is larger than the regions that it was made for.
        found = found.take(is_observed(found.found.boxes, keep, image_wh))
        if self.held_score is None:
            return self.reported.apply(found.found)
        if not self.reported.selects_all:
            found = found.take(np.isfinite(self.reported.thresholds[found.found.class_ids]))
        state.full_scale = min([state.full_scale, *(max(look.scale) for look in found.looks)])
        motion = OpticalFlow.between(state.image, image, image_wh, state.reach)
        before = state.tracks
        state.held, objects = hold_objects(
            state.held, found.found, found.cut, found.looks, keep, image_wh, state.full_scale, number, motion)
        state.image, state.reach = image, update_reach(state.reach, before, state.tracks)
        return self.reported.apply(objects)
