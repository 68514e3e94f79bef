"""The one composition: frame in, detections and mask out.

Resize, mask, encode, detector process, decode. The node, the commands, the evaluation and the benchmark all call this;
it knows nothing of ROS.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Iterator, Mapping

import numpy as np

from .backends import Backend, BackendFailed, open_backend
from .backends.base import BackendResult
from .detection.detections import Detections
from .detection.selection import Selection
from .detection.tracks import follow, moved
from .detection.yolo import decode
from .encoder import Encoder, Events
from .errors import UserError
from .frames import Frame, choose_input_size
from .glance import Glance
from .grid import RegionGrid
from .mask.files import load_static_mask
from .mask.freshness import aged, never_sent
from .mask.looked import looked_at
from .mask.policy import ATTENTION, NO_BOXES, STATIC, MaskPolicy, MaskState, decide
from .mask.presets import preset
from .mask.region_mask import RegionMask
from .mask.schedule import frames_to_refresh
from .mask.scheduled import follow_threshold
from .mask.seen import SeenRegions
from .metrics.counts import StepCounts
from .network.spec import Network
from .pipeline_settings import RECONFIGURABLE, PipelineSettings

PolicyMaker = Callable[[RegionGrid, "tuple[int, int]"], MaskPolicy]


@dataclass(frozen=True)
class StepResult:
    """What became of one frame.

    index: 0 for the pipeline's first frame. frame: the input, its header included. head: int32 [rows, cols, channels].
    age: uint16 [rows, cols], frames since a region was last sent; 0: in this one.
    events: uint8 [height, width] of the network's input, 255 where a pixel sent events; None unless asked for.
    mask_text: what decided about this frame, for people, such as "tracking, refresh in 4".
    ms: wall time of each stage in ``metrics.run_summary.STAGES``; ``total`` is all the pipeline did for this frame.
    """

    index: int
    frame: Frame
    detections: Detections
    mask: RegionMask
    mask_text: str
    age: np.ndarray
    events: np.ndarray | None
    head: np.ndarray
    counts: StepCounts
    ms: Mapping[str, float]


@dataclass
class _Pending:
    """A frame on its way through the backend. number: since the last fresh start, as the mask's state counts."""

    index: int
    number: int
    frame: Frame
    mask: RegionMask
    mask_text: str
    age: np.ndarray
    events: np.ndarray | None
    encoder_events: int
    ms: dict[str, float]


@dataclass
class _Camera:
    """State that depends on the camera's picture size: made with the first frame, remade when the size changes.

    unseen: a picture in the place of one that nobody looks at.
    """

    picture_wh: tuple[int, int]
    input_wh: tuple[int, int]
    encoder: Encoder
    backend: Backend
    policy: MaskPolicy
    unseen: np.ndarray
    seen: SeenRegions
    age: np.ndarray
    state: MaskState = field(default_factory=MaskState.initial)
    frame_id: str = ""
    stamp_ns: int = 0


class Pipeline:
    """One camera's detector. Not for use by two threads at a time.

    A stamp that jumps back, a change of the camera's frame or of the picture's size, and the end of a restart period
    start afresh: references are forgotten and the next frame is a refresh frame. fresh_starts: how often that happened,
    resets included.

    Two parts can be brought along, for experiments. open_backend: makes the backend, called as
    ``backends.open_backend``. policy: makes the mask policy of a camera from the region grid and the picture's
    (width, height); ``settings.mask`` then decides nothing.
    """

    def __init__(self, network: Network, settings: PipelineSettings,
                 open_backend: Callable[..., Backend] = open_backend, policy: PolicyMaker | None = None) -> None:
        if network.head is None:
            raise UserError(f"network {network.name}: its output means no boxes, so it cannot detect anything")
        self.network, self.settings = network, settings
        self._selection = _selection(settings, network)
        self._open_backend, self._policy_maker = open_backend, policy
        self._camera: _Camera | None = None
        self._attention = NO_BOXES
        self._frames = 0
        self.fresh_starts = 0

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Width and height of the network's input; None before the first frame when it follows the camera."""
        return self._camera.input_wh if self._camera else None

    @property
    def grid(self) -> RegionGrid | None:
        """The region grid; None before the first frame."""
        return self._camera.policy.grid if self._camera else None

    @property
    def kernels(self) -> str:
        """What the backend computes with; "" before the first frame."""
        return self._camera.backend.kernels if self._camera else ""

    @property
    def latency_steps(self) -> int | None:
        """Time steps, one a frame, from a frame's events to its head; None before the first frame."""
        return self._camera.backend.latency_steps if self._camera else None

    @property
    def profile(self) -> dict[str, Any] | None:
        """What a profiler has measured on the backend's hardware; None where nothing was."""
        return self._camera.backend.profile if self._camera else None

    @property
    def frames_to_refresh(self) -> int | None:
        """How many frames from the next one on until a refresh frame (0: the next one); None when none is due."""
        frame = self._camera.state.since_refresh if self._camera else 0
        masked = self.settings.deciding != "none"
        return frames_to_refresh(frame, self.settings.deciding_refresh_period if masked else 0)

    def process(self, frame: Frame, want_events: bool = False) -> list[StepResult]:
        """Takes a frame, returns the results that became ready: its own with the cpu backend, earlier ones with
        pipelined backends. want_events: its result shall show where events arose.

        Raises UserError when the static mask does not fit the camera. Raises BackendFailed when the backend has failed:
        the results of frames inside it are lost, and the next frame opens it anew.
        """
        start = time.perf_counter()
        camera, finished = self._camera_for(frame)
        camera.frame_id, camera.stamp_ns = frame.frame_id, frame.stamp_ns
        glance = Glance(frame, camera.input_wh, camera.encoder)
        mask = decide(camera.policy, camera.state, self._attention, glance)
        camera.age = aged(camera.age, mask.keep)
        # Where nothing is attended, nobody looks at the picture.
        image = glance.image if mask.keep.any() else camera.unseen
        resized = time.perf_counter()
        events = camera.encoder.step(image, mask.keep)
        encoded = time.perf_counter()
        ms = {
            "total": 0.0,
            "resize": glance.resize_s * 1e3,
            "mask": (resized - start - glance.resize_s) * 1e3,
            "encode": (encoded - resized) * 1e3,
        }
        shown = _events_picture(events) if want_events else None
        pending = _Pending(
            self._frames, camera.state.frame, frame, mask, self._mask_text(), camera.age, shown, len(events), ms
        )
        camera.state = replace(camera.state, frame=camera.state.frame + 1)
        self._frames += 1
        with self._closed_when_failed():
            camera.backend.submit(events, pending)
            ms["total"] = (time.perf_counter() - start) * 1e3
            return finished + self._collect(camera)

    def drain(self) -> list[StepResult]:
        """The results of all frames that are still inside a pipelined backend."""
        if self._camera is None:
            return []
        with self._closed_when_failed():
            self._camera.backend.drain()
            return self._collect(self._camera)

    def reset(self) -> None:
        """Forgets what it has seen: the next frame is a first frame. Results not yet returned are dropped."""
        if self._camera:
            self._start_afresh(self._camera)
            self._camera.seen = SeenRegions(self._camera.policy.grid)

    def refresh(self) -> None:
        """The next frame is a refresh frame, and the count to the one after it starts there."""
        if self._camera:
            self._camera.state = self._camera.state.refreshed()

    def attend(self, boxes: np.ndarray) -> None:
        """From the next frame on, the regions of these boxes are attended besides what the masks say.

        boxes: float [n, 4], x0 y0 x1 y1 in picture pixels; they take the place of earlier ones.
        """
        self._attention = boxes

    def seen_mask(self) -> tuple[RegionGrid, np.ndarray, int]:
        """The grid, the regions in which objects were seen (bool [rows, cols]), and in how many whole frames.

        Raises UserError before the first frame and when nothing was seen.
        """
        if self._camera is None:
            raise UserError("no picture has come yet")
        return self._camera.policy.grid, self._camera.seen.mask(), self._camera.seen.frames

    def reconfigure(self, settings: PipelineSettings) -> None:
        """Swaps masks, refresh and thresholds between two frames; the references stay.

        Raises UserError, and changes nothing, when a setting differs that needs a new pipeline, when the new static
        mask cannot be read or does not fit the camera, or when the network has no class of a name.
        """
        for name, value in vars(settings).items():
            if name not in RECONFIGURABLE and value != getattr(self.settings, name):
                raise UserError(f"{name} cannot change while the detector runs; restart it")
        selection = _selection(settings, self.network)
        if self._camera:
            self._camera.policy = self._policy(settings, self._camera.policy.grid, self._camera.picture_wh)
        self.settings, self._selection = settings, selection

    def close(self) -> None:
        """Frees the backend. Harmless when called twice."""
        if self._camera:
            self._camera.backend.close()
            self._camera = None

    def _mask_text(self) -> str:
        """What decides about the coming frame, in words."""
        settings = self.settings
        named = [STATIC] * settings.uses_static + [settings.dynamic] * settings.uses_dynamic
        named += [settings.preset] * bool(settings.preset)
        if not named:
            return "no mask"
        named += [ATTENTION] * bool(len(self._attention))
        ahead = self.frames_to_refresh
        refresh = {None: "", 0: ", refresh"}.get(ahead, f", refresh in {ahead}")
        return " + ".join(named) + refresh

    def _camera_for(self, frame: Frame) -> tuple[_Camera, list[StepResult]]:
        """The camera's state, afresh where this frame does not follow the last one or a restart period is over; and the
        results of earlier frames that were still inside a pipelined backend."""
        camera = self._camera
        if camera is None or camera.picture_wh != frame.size_wh:
            return self._open(frame)
        other_camera = frame.frame_id != camera.frame_id
        jumps = frame.stamp_ns < camera.stamp_ns
        restarts = 0 < self.settings.restart_period <= camera.state.frame
        if not (other_camera or jumps or restarts):
            return camera, []
        finished = self.drain()
        if other_camera:
            self.reset()
        else:
            self._start_afresh(camera)
        return camera, finished

    @contextlib.contextmanager
    def _closed_when_failed(self) -> Iterator[None]:
        """A backend that has failed is of no more use."""
        try:
            yield
        except BackendFailed:
            self.fresh_starts += self._camera is not None
            self.close()
            raise

    def _start_afresh(self, camera: _Camera) -> None:
        camera.encoder.reset()
        with self._closed_when_failed():
            camera.backend.reset()
        camera.state = MaskState.initial()
        self.fresh_starts += 1

    def _open(self, frame: Frame) -> tuple[_Camera, list[StepResult]]:
        """A camera for pictures of this size, and what was still inside the one before it."""
        settings, picture_wh = self.settings, frame.size_wh
        auto = settings.input_size == "auto"
        input_wh = choose_input_size(picture_wh, settings.max_pixels) if auto else settings.input_size
        grid = RegionGrid.of_input(input_wh)
        policy = self._policy(settings, grid, picture_wh)
        finished = self.drain()
        self.fresh_starts += self._camera is not None
        self.close()
        encoder = Encoder(self.network.input_table, self.network.encoder_threshold, input_wh)
        backend = self._open_backend(
            settings.backend, self.network, input_wh, settings.arithmetic, settings.backend_options
        )
        unseen = np.zeros((input_wh[1], input_wh[0], 3), np.uint8)
        self._camera = _Camera(
            picture_wh, input_wh, encoder, backend, policy, unseen, SeenRegions(grid), never_sent(grid)
        )
        return self._camera, finished

    def _policy(self, settings: PipelineSettings, grid: RegionGrid, picture_wh: tuple[int, int]) -> MaskPolicy:
        if self._policy_maker is not None:
            return self._policy_maker(grid, picture_wh)
        static = load_static_mask(settings.static_mask, grid, picture_wh) if settings.uses_static else None
        dynamic = settings.dynamic_choice.make(settings.refresh_period, static) if settings.uses_dynamic else None
        return MaskPolicy(grid, picture_wh, static, dynamic, settings.refresh_period, preset(settings.preset))

    def _collect(self, camera: _Camera) -> list[StepResult]:
        results = []
        while (raw := camera.backend.poll(0.0)) is not None:
            results.append(self._finish(camera, raw))
        return results

    def _finish(self, camera: _Camera, raw: BackendResult) -> StepResult:
        start = time.perf_counter()
        pending, wanted, schedule = raw.tag, self._selection, camera.policy.schedule
        lowest = min(wanted.lowest, follow_threshold(schedule)) if schedule else wanted.lowest
        found = decode(raw.head, self.network.head, camera.picture_wh, lowest, self.settings.nms_iou)
        decoded = time.perf_counter()
        if schedule:
            found = self._followed(camera, pending, wanted.of_wanted_classes(found), follow_threshold(schedule))
        detections = wanted.apply(found)
        camera.state = replace(camera.state, last=detections)
        camera.seen.add(detections, pending.mask.keep, camera.picture_wh)
        counts = StepCounts(pending.encoder_events, raw.layer_events, raw.synops)
        ended = time.perf_counter()
        ms = {**pending.ms, "engine": raw.engine_ms, "decode": (decoded - start) * 1e3}
        ms["mask"] += (ended - decoded) * 1e3
        ms["total"] += (ended - start) * 1e3
        return StepResult(
            pending.index, pending.frame, detections, pending.mask, pending.mask_text, pending.age, pending.events,
            raw.head, counts, ms,
        )

    def _followed(self, camera: _Camera, pending: _Pending, found: Detections, lowest: float) -> Detections:
        """Objects of at least that score are followed; boxes whose regions rest are moved on."""
        steering = found.above(lowest)
        looked = looked_at(steering.boxes, pending.mask.keep, camera.picture_wh)
        tracks, object_of = follow(camera.state.tracks, steering, looked, pending.number)
        camera.state = replace(camera.state, tracks=tracks)
        # Detections come best first, so those that steer nothing are the last ones.
        return moved(steering, looked, tracks, object_of, pending.number, camera.picture_wh).followed_by(
            found.behind(len(steering)))


def _events_picture(events: Events) -> np.ndarray:
    height, width, channels = events.shape
    picture = np.zeros(height * width, np.uint8)
    picture[events.index // channels] = 255
    return picture.reshape(height, width)


def _selection(settings: PipelineSettings, network: Network) -> Selection:
    return Selection.of(
        network.labels, settings.score_threshold, settings.classes, settings.class_thresholds, settings.max_detections
    )
