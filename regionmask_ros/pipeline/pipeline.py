"""The one composition: frame in, detections and mask out.

Resize, mask, encode, detector process, decode. The node, the commands, the evaluation and the benchmark all call this;
it knows nothing of ROS.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..backends import Backend, BackendError, open_backend
from ..backends.base import BackendResult
from ..core.detections import Detections
from ..core.frame import Frame
from ..core.grid import RegionGrid
from ..core.result import Pending, StepCounts, StepResult, events_image
from ..detection.filter import DetectionFilter
from ..detection.yolo import decode
from ..encoder.encoder import Encoder, FrameView
from ..errors import UserError
from ..mask.adaptive import OccupancyStats
from ..mask.policy import ATTENTION, NO_BOXES, MaskComposer, MaskState, compose, initial_age, update_age
from ..mask.scheduling import frames_to_refresh, min_track_score
from ..network.graph import Network
from ..tracking.motion import OpticalFlow, downsample
from ..tracking.tracker import Tracks, update_tracks
from .backend_manager import BackendManager
from .policy import initial_mask_state, make_composer
from .settings import RECONFIGURABLE, PipelineSettings

ComposerFactory = Callable[[RegionGrid, "tuple[int, int]"], MaskComposer]


@dataclass
class _Camera:
    """State that depends on the camera's picture size: made with the first frame, remade when the size changes.

    unseen: a picture in the place of one that nobody looks at. seen, seen_at_first: where objects were, now and before
    the first frame. coarse: the last result's, see ``Pending``.
    shown: what the head of the last result shows; None when that is not known for the settings in force. shown_ids:
    int64, numbers of those of them that are followed; None when they are not known yet.
    """

    image_wh: tuple[int, int]
    input_wh: tuple[int, int]
    encoder: Encoder
    policy: MaskComposer
    blank_input: np.ndarray
    seen: OccupancyStats
    initial_occupancy: OccupancyStats
    age: np.ndarray
    state: MaskState = field(default_factory=MaskState.initial)
    coarse: np.ndarray | None = None
    shown: Detections | None = None
    displayed_ids: np.ndarray | None = None
    frame_id: str = ""
    stamp_ns: int = 0


class Pipeline:
    """One camera's detector. Not for use by two threads at a time, but any may look at its properties and settings.

    A stamp that jumps back, a change of the camera's frame or of the picture's size, another backend and the end of a
    restart period start afresh: references are forgotten and the next frame is a refresh frame. fresh_starts: how often
    that happened, resets included.

    Two parts can be brought along, for experiments. open_backend: makes the backend, called as
    ``backends.open_backend``. policy: makes the mask policy of a camera from the region grid and the picture's
    (width, height); ``settings.mask`` then decides nothing.
    """

    def __init__(self, network: Network, settings: PipelineSettings,
                 open_backend: Callable[..., Backend] = open_backend, policy: ComposerFactory | None = None) -> None:
        if network.head is None:
            raise UserError(f"network {network.name}: its output means no boxes, so it cannot detect anything")
        self.network, self.settings = network, settings.for_network(network)
        self._detection_filter, self._with_sequence_name = _detection_filter(settings, network), settings.active_sources
        self.backends, self._policy_maker = BackendManager(network, self.settings, open_backend), policy
        self._camera: _Camera | None = None
        self._attention = NO_BOXES
        self._frames = 0
        self.resets = 0

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Width and height of the network's input; None before the first frame when it follows the camera."""
        camera = self._camera
        return camera.input_wh if camera else None

    @property
    def grid(self) -> RegionGrid | None:
        """The region grid; None before the first frame."""
        camera = self._camera
        return camera.policy.grid if camera else None

    @property
    def kernels(self) -> str:
        """What the backend computes with; "" while none is open, as before the first frame."""
        backend = self.backends.current
        return backend.kernels if backend else ""

    @property
    def latency_steps(self) -> int | None:
        """Time steps, one a frame, from a frame's events to its head; None while no backend is open."""
        backend = self.backends.current
        return backend.latency_steps if backend else None

    @property
    def profile(self) -> dict[str, Any] | None:
        """What a profiler has measured on the backend's hardware; None where nothing was."""
        backend = self.backends.current
        return backend.profile if backend else None

    @property
    def frames_to_refresh(self) -> int | None:
        """How many frames from the next one on until a refresh frame (0: the next one); None when none is due."""
        camera = self._camera
        if camera is None:
            return 0
        period = (camera.policy.schedule or camera.policy).refresh_period if self.settings.deciding != "none" else 0
        return frames_to_refresh(camera.state.since_refresh, period)

    def process(self, frame: Frame, want_events: bool = False) -> list[StepResult]:
        """Takes a frame, returns the results that became ready: its own with the cpu backend, earlier ones with
        pipelined backends. want_events: its result shall show where events arose.

        Raises UserError when the static mask does not fit the camera. Raises BackendFailed when the backend has failed:
        the results of frames inside it are lost, and the next frame opens it anew.
        """
        start = time.perf_counter()
        camera, finished = self._camera_for(frame)
        camera.frame_id, camera.stamp_ns = frame.frame_id, frame.stamp_ns
        frame_view = FrameView(frame, camera.input_wh, camera.encoder)
        mask = compose(camera.policy, camera.state, self._attention, frame_view)
        camera.age = update_age(camera.age, mask.keep)
        # Where nothing is attended, nobody looks at the picture.
        image = frame_view.image if mask.keep.any() else camera.blank_input
        # Now, while some of the picture that the resize has read is still near.
        picture = downsample(frame.pixels) if camera.policy.schedule else None
        resized = time.perf_counter()
        events = camera.encoder.step(image, mask.keep)
        encoded = time.perf_counter()
        ms = {
            "total": 0.0,
            "resize": frame_view.resize_s * 1e3,
            "mask": (resized - start - frame_view.resize_s) * 1e3,
            "encode": (encoded - resized) * 1e3,
        }
        shown = events_image(events) if want_events else None
        pending = Pending(
            self._frames, camera.state.frame, frame, mask, self._mask_text(), camera.age, shown, len(events), picture,
            ms,
        )
        camera.state = replace(camera.state, frame=camera.state.frame + 1)
        self._frames += 1
        with self._closing_on_failure():
            self.backends.current.submit(events, pending)
            ms["total"] = (time.perf_counter() - start) * 1e3
            return finished + self._collect(camera)

    def drain(self) -> list[StepResult]:
        """The results of all frames that are still inside a pipelined backend."""
        if self._camera is None or self.backends.current is None:
            return []
        with self._closing_on_failure():
            self.backends.current.drain()
            return self._collect(self._camera)

    def reset(self) -> None:
        """Forgets what it has seen: the next frame is a first frame. Results not yet returned are dropped."""
        if self._camera:
            self._reset(self._camera)
            _see(self._camera, self._camera.policy, self._camera.initial_occupancy)

    def refresh(self) -> None:
        """The next frame is a refresh frame, and the count to the one after it starts there."""
        if self._camera:
            self._camera.state = self._camera.state.restart_refresh()

    def attend(self, boxes: np.ndarray) -> None:
        """From the next frame on, the regions of these boxes are attended besides what the masks say.

        boxes: float [n, 4], x0 y0 x1 y1 in picture pixels; they take the place of earlier ones.
        """
        self._attention = boxes

    def learned_mask(self) -> tuple[RegionGrid, np.ndarray, OccupancyStats]:
        """The grid, a static mask of what was seen (bool [rows, cols]), and what it is made of.

        The mask is the adaptive one in force or, without one, all regions in which objects were seen. Raises UserError
        before the first frame and when nothing was seen.
        """
        if self._camera is None:
            raise UserError("no picture has come yet")
        policy, seen = self._camera.policy, self._camera.seen
        ever = seen.mask()
        return policy.grid, ever if policy.adaptive is None else policy.static_region_mask, seen

    def reconfigure(self, settings: PipelineSettings) -> None:
        """Swaps masks, refresh and thresholds between two frames; the references stay.

        Raises UserError, and changes nothing, when a setting differs that needs a new pipeline, when the new static
        mask cannot be read or does not fit the camera, or when the network has no class of a name.
        """
        settings = settings.for_network(self.network)
        for name, value in vars(settings).items():
            if name not in RECONFIGURABLE and value != getattr(self.settings, name):
                raise UserError(f"{name} cannot change while the detector runs; restart it")
        selection = _detection_filter(settings, self.network)
        camera = self._camera
        if camera:
            policy = self._policy(settings, camera.policy.grid, camera.image_wh)
            first = initial_mask_state(policy)
            # What was seen stays known, unless the user brings another mask to start from.
            begins = first.share.any() and not np.array_equal(first.share, camera.initial_occupancy.share)
            camera.initial_occupancy = first
            _see(camera, policy, first if begins else camera.seen)
            camera.shown = camera.displayed_ids = None
        self.settings, self._detection_filter, self._with_sequence_name = settings, selection, settings.active_sources

    def input_for(self, settings: PipelineSettings) -> tuple[int, int] | None:
        """The size that the network's input would have; None before the first frame when it follows the camera.

        Raises UserError when the static mask does not fit it.
        """
        camera = self._camera
        if camera is None:
            return None if settings.input_size == "auto" else settings.input_size
        input_wh = settings.input_wh(camera.image_wh)
        if input_wh != camera.input_wh:
            self._policy(settings, RegionGrid.of_input(input_wh), camera.image_wh)
        return input_wh

    def take_over(
        self, settings: PipelineSettings, input_wh: tuple[int, int] | None = None, backend: Backend | None = None
    ) -> None:
        """Continues with the backend of these settings, reset with the next frame.

        The former backend closes in the background. Drain first: results that were not returned yet are dropped.

        Args:
            settings: They differ from the current ones in ``BACKEND_SETTINGS`` only.
            input_wh: Width and height of the input that ``backend`` is open for.
            backend: An open backend; None: one is opened with the next frame.
        """
        self.settings = settings.for_network(self.network)
        self.backends.exchange(self.settings, input_wh, backend)
        if self._camera and self.backends.is_open_for(self._camera.input_wh):
            self._camera.encoder = self._encoder(self._camera.input_wh)
            self._reset(self._camera)
        elif self._camera and backend is not None:
            # Another input size: nothing of the camera's state fits.
            self._camera, self.resets = None, self.resets + 1

    def adopt_opened(self) -> None:
        """Takes over the backend that ``backends`` has opened beside the current one, if one is ready. Drain first."""
        opened = self.backends.take_opened()
        if opened:
            settings, input_wh, backend = opened
            self.take_over(self.settings.keep_backend(settings), input_wh, backend)

    def close(self) -> None:
        """Frees the backend. Harmless when called twice."""
        self.backends.close()
        self._camera = None

    def _mask_text(self) -> str:
        """What decides about the coming frame, in words."""
        if not self._with_sequence_name:
            return "no mask"
        named = [*self._with_sequence_name, *[ATTENTION] * bool(len(self._attention))]
        ahead = self.frames_to_refresh
        refresh = {None: "", 0: ", refresh"}.get(ahead, f", refresh in {ahead}")
        return " + ".join(named) + refresh

    def _camera_for(self, frame: Frame) -> tuple[_Camera, list[StepResult]]:
        """The camera's state, afresh where this frame does not follow the last one or a restart period is over; and the
        results of earlier frames that were still inside a pipelined backend.
        """
        camera = self._camera
        if camera is None or camera.image_wh != frame.size_wh:
            return self._open(frame)
        if not self.backends.is_open_for(camera.input_wh):
            self.backends.ensure_open(camera.input_wh)
            camera.encoder = self._encoder(camera.input_wh)
            self._reset(camera)
        other_camera = frame.frame_id != camera.frame_id
        jumps = frame.stamp_ns < camera.stamp_ns
        restarts = 0 < self.settings.restart_period <= camera.state.frame
        if not (other_camera or jumps or restarts):
            return camera, []
        finished = self.drain()
        if other_camera:
            self.reset()
        else:
            self._reset(camera)
        return camera, finished

    @contextlib.contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        """A backend that has failed is of no more use. What is known of the camera stays."""
        try:
            yield
        except BackendError:
            self.backends.discard()
            raise

    def _reset(self, camera: _Camera) -> None:
        camera.encoder.reset()
        with self._closing_on_failure():
            if self.backends.current is not None:
                self.backends.current.reset()
        camera.state, camera.coarse, camera.shown, camera.displayed_ids = MaskState.initial(), None, None, None
        self.resets += 1

    def _open(self, frame: Frame) -> tuple[_Camera, list[StepResult]]:
        """A camera for pictures of this size, and what was still inside the one before it."""
        settings, image_wh = self.settings, frame.size_wh
        input_wh = settings.input_wh(image_wh)
        grid = RegionGrid.of_input(input_wh)
        policy = self._policy(settings, grid, image_wh)
        finished = self.drain()
        encoder = self._encoder(input_wh)
        self.backends.ensure_open(input_wh).reset()
        self.resets += self._camera is not None
        blank_input = np.zeros((input_wh[1], input_wh[0], 3), np.uint8)
        seen = initial_mask_state(policy)
        self._camera = _Camera(
            image_wh, input_wh, encoder, policy.with_static_mask(seen), blank_input, seen, seen, initial_age(grid)
        )
        return self._camera, finished

    def _encoder(self, input_wh: tuple[int, int]) -> Encoder:
        network = self.settings.network(self.network)
        return Encoder(network.input_table, network.encoder_threshold, input_wh)

    def _policy(self, settings: PipelineSettings, grid: RegionGrid, image_wh: tuple[int, int]) -> MaskComposer:
        if self._policy_maker is not None:
            return self._policy_maker(grid, image_wh)
        return make_composer(settings, grid, image_wh)

    def _collect(self, camera: _Camera) -> list[StepResult]:
        results = []
        while (raw := self.backends.current.poll(0.0)) is not None:
            results.append(self._finish(camera, raw))
        return results

    def _finish(self, camera: _Camera, raw: BackendResult) -> StepResult:
        start = time.perf_counter()
        pending, wanted, schedule = raw.tag, self._detection_filter, camera.policy.schedule
        lowest = min(wanted.lowest, min_track_score(schedule)) if schedule else wanted.lowest
        # Where synops are counted and there is none, no neuron has changed, and what the head shows is known.
        if camera.shown is None or not raw.synops or any(raw.synops):
            camera.displayed_ids = None
            camera.shown = decode(raw.head, self.network.head, camera.image_wh, lowest, self.settings.nms_iou)
        found, tracks = camera.shown, camera.state.tracks
        decoded = time.perf_counter()
        if schedule:
            tracks, found = _update_tracks(camera, pending, wanted.of_wanted_classes(found), min_track_score(schedule))
        camera.coarse, detections = pending.coarse, wanted.apply(found)
        camera.state = replace(camera.state, last=detections, tracks=tracks)
        if pending.mask.keep.all():
            camera.policy, camera.seen = camera.policy.after(camera.seen, detections.boxes)
        counts = StepCounts(pending.encoder_events, raw.layer_events, raw.synops)
        ended = time.perf_counter()
        ms = {**pending.ms, "engine": raw.engine_ms, "decode": (decoded - start) * 1e3}
        ms["mask"] += (ended - decoded) * 1e3
        ms["total"] += (ended - start) * 1e3
        return StepResult(
            pending.index, pending.frame, detections, pending.mask, pending.mask_text, pending.age, pending.events,
            raw.head, counts, ms,
        )


def _update_tracks(camera: _Camera, pending: Pending, found: Detections, lowest: float) -> tuple[Tracks, Detections]:
    """Objects of at least that score are followed; boxes whose regions rest are moved on."""
    steering, before, now = found.with_min_score(lowest), camera.coarse, pending.coarse
    motion = None if before is None or now is None else OpticalFlow(before, now)
    tracks, steering = update_tracks(
        camera.state.tracks, steering, pending.mask.keep, camera.image_wh, pending.number, motion, camera.displayed_ids)
    camera.displayed_ids = steering.track_ids
    if len(steering) == len(found):
        return tracks, steering
    # Detections come best first, so those that steer nothing are the last ones.
    return tracks, steering.concat(found.skip_first(len(steering)))


def _see(camera: _Camera, policy: MaskComposer, seen: OccupancyStats) -> None:
    camera.policy, camera.seen = policy.with_static_mask(seen), seen


def _detection_filter(settings: PipelineSettings, network: Network) -> DetectionFilter:
    return DetectionFilter.of(
        network.labels, settings.score_threshold, settings.classes, settings.class_thresholds, settings.max_detections
    )
