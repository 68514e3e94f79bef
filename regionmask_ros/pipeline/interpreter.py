"""The last stage of the pipeline: from the network's output to the objects of a frame, over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.detections import Detections
from ..detection.events import decode_head
from ..detection.filter import DetectionFilter
from ..errors import UserError
from ..network.branched import LevelsHead
from ..network.chain import Network, YoloHead
from ..tracking.guard import Agreement, compare
from ..tracking.motion import UNKNOWN, OpticalFlow
from ..tracking.tracker import Tracks, predict, update_reach, update_tracks
from .settings import PipelineSettings


@dataclass
class InterpreterState:
    """What an interpreter knows from the frames before.

    Attributes:
        tracks: The tracked objects.
        image: The last frame, downsampled; None where it is not known.
        reach: How far boxes moved in the last frame, see ``motion.OpticalFlow``.
        agreement: Of predicted and found objects, in the last frame that was observed as a whole; None without one.
        displayed: What the last head shows. None: not known for the current settings.
        displayed_ids: int64, numbers of the tracked ones of them. None: not known yet.
    """

    tracks: Tracks = field(default_factory=Tracks.none)
    image: np.ndarray | None = None
    reach: float = UNKNOWN
    agreement: Agreement | None = None
    displayed: Detections | None = None
    displayed_ids: np.ndarray | None = None


@dataclass(frozen=True)
class Interpreter:
    """Decodes heads, tracks objects, and filters what is reported. Fixed; what changes is in an ``InterpreterState``.

    A schedule tracks only what it sends again. To have weak detections moved with their objects, too, as an evaluation
    needs them, give the same results to a second interpreter with lower thresholds and a state of its own.

    Attributes:
        head: What the head's channels mean. None: nothing can be detected.
        nms_iou: Overlap above which the weaker box of a class goes.
        reported: Which detections are reported.
        track_score: Lowest score of a detection that is tracked. None: nothing is tracked, and boxes stay where the
            network shows them.
    """

    head: YoloHead | LevelsHead | None
    nms_iou: float
    reported: DetectionFilter
    track_score: float | None = None

    @classmethod
    def of(cls, settings: PipelineSettings, network: Network) -> Interpreter:
        """Makes the interpreter that the settings ask for.

        Args:
            settings: What the user chose.
            network: The network.

        Returns:
            The interpreter.

        Raises:
            UserError: The network has no class of a name.
        """
        reported = DetectionFilter.of(network.labels, settings.score_threshold, settings.classes,
                                      settings.class_thresholds, settings.max_detections)
        schedule = settings.schedule
        return cls(network.head, settings.nms_iou, reported, schedule.min_score if schedule else None)

    def new_state(self) -> InterpreterState:
        """The state before the first frame."""
        return InterpreterState()

    def read(self, state: InterpreterState, head: Any, synops: Sequence[int], image_wh: tuple[int, int]
             ) -> Detections:
        """Decodes the head.

        Args:
            state: Of the frames before; changed.
            head: Of the backend, see ``detection.events.decode_head``.
            synops: Synaptic operations of each layer; empty where the backend does not count them.
            image_wh: Width and height of the camera's image.

        Returns:
            What the network shows, best score first.

        Raises:
            UserError: The outputs are not what the head says.
        """
        # Where synops are counted and there is none, no neuron has changed, and what the head shows is known.
        if state.displayed is None or not synops or any(synops):
            state.displayed_ids = None
            lowest = self.reported.lowest if self.track_score is None else min(self.reported.lowest, self.track_score)
            try:
                state.displayed = (Detections.empty() if self.head is None else
                                   decode_head(head, self.head, image_wh, lowest, self.nms_iou))
            except ValueError as error:
                raise UserError(f"the network's outputs do not fit its head: {error}") from error
        return state.displayed

    def track(self, state: InterpreterState, found: Detections, keep: np.ndarray, image_wh: tuple[int, int],
              number: int, image: np.ndarray | None) -> Detections:
        """Tracks objects, moves boxes whose regions are masked, and filters.

        Args:
            state: Of the frames before; changed.
            found: From ``read``.
            keep: bool [rows, cols], True = observed in this frame.
            image_wh: Width and height of the camera's image.
            number: Of the frame; rises from call to call.
            image: The frame, downsampled; None where nothing is tracked.

        Returns:
            The detections that are reported, best score first.
        """
        if self.track_score is not None:
            found = self.reported.of_wanted_classes(found)
            tracked = found.with_min_score(self.track_score)
            motion = OpticalFlow.between(state.image, image, image_wh, state.reach)
            weak = found.skip_first(len(tracked)) if len(tracked) < len(found) else None
            before = tracks = state.tracks
            if keep.all():
                # For once, all objects are predicted as if they were not observed, to see whether that holds.
                shown = before.last_detected >= before.last_frame
                tracks = predict(before, shown, motion, number)
                state.agreement = compare(tracks, shown, tracked)
            state.tracks, found = update_tracks(tracks, tracked, keep, image_wh, number, motion, state.displayed_ids)
            state.reach = update_reach(state.reach, before, state.tracks)
            state.displayed_ids = found.track_ids
            # Detections come best first, so those that are not tracked are the last ones.
            found = found if weak is None else found.concat(weak)
        state.image = image
        return self.reported.apply(found)
