"""The one composition: frame in, detections and mask out.

Resize, mask, encode, detector process, decode. The node, the commands, the evaluation and the benchmark all call this;
it knows nothing of ROS.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Callable, Mapping

import numpy as np

from .backends import Backend, open_backend, resolve_arithmetic
from .backends.base import BackendResult
from .detection.detections import Detections
from .detection.tracks import follow, moved
from .detection.yolo import decode
from .encoder import Encoder
from .errors import UserError
from .frames import MAX_PIXELS, Frame, check_input_size, choose_input_size, make_view
from .grid import RegionGrid
from .mask.dynamic import dynamic_mask
from .mask.files import load_static_mask
from .mask.looked import looked_at
from .mask.policy import DYNAMIC, MODES, STATIC, MaskPolicy, MaskState, decide
from .mask.presets import preset
from .mask.region_mask import RegionMask
from .mask.schedule import frames_to_refresh
from .mask.scheduled import follow_threshold
from .metrics.counts import StepCounts
from .network.spec import Network

PolicyMaker = Callable[[RegionGrid, "tuple[int, int]"], MaskPolicy]


@dataclass(frozen=True)
class PipelineSettings:
    """Everything a user can choose. Raises UserError for a value that makes no sense, naming it.

    input_size: ``auto`` (the camera's shape within ``max_pixels``) or (width, height), multiples of 32.
    mask: one of ``none``, ``static``, ``dynamic``, ``static+dynamic``. static_mask: file, for the static ones.
    preset: "", or ``careful``, ``balanced`` or ``fast``: a schedule that decides what is sent, refresh included,
    instead of ``mask`` and ``refresh_period`` (see ``mask.scheduled``). Boxes move on while their regions rest.
    refresh_period: every so many frames everything is attended; 0: the first frame only.
    score_threshold: lowest score reported. nms_iou: overlap above which the weaker box of a class goes.
    arithmetic: ``carry``, ``lava``, ``snap`` (see ``engine.arithmetic``) or "" for the backend's default.
    """

    input_size: str | tuple[int, int] = "auto"
    max_pixels: int = MAX_PIXELS
    mask: str = "none"
    static_mask: str = ""
    dynamic: str = "tracking"
    preset: str = ""
    refresh_period: int = 8
    score_threshold: float = 0.4
    nms_iou: float = 0.45
    backend: str = "cpu"
    arithmetic: str = ""

    def __post_init__(self) -> None:
        if self.input_size == "auto":
            choose_input_size((32, 32), self.max_pixels)
        else:
            check_input_size(self.input_size)
        if self.mask not in MODES:
            raise UserError(f"mask {self.mask!r}: unknown; use {', '.join(MODES)}")
        if self.uses_static and not self.static_mask:
            raise UserError(f"mask {self.mask}: needs a static mask file (a .png or .npz)")
        dynamic_mask(self.dynamic)
        if preset(self.preset) and self.mask != "none":
            raise UserError(f"preset {self.preset} decides the mask itself: leave out mask {self.mask}")
        if self.refresh_period < 0:
            raise UserError(f"refresh period {self.refresh_period}: must be 0 (first frame only) or more")
        for name, value in (("score threshold", self.score_threshold), ("NMS IoU", self.nms_iou)):
            if not 0.0 <= value <= 1.0:
                raise UserError(f"{name} {value}: must lie between 0 and 1")
        object.__setattr__(self, "arithmetic", resolve_arithmetic(self.backend, self.arithmetic))

    @property
    def uses_static(self) -> bool:
        return STATIC in self.mask.split("+")

    @property
    def uses_dynamic(self) -> bool:
        return DYNAMIC in self.mask.split("+")


RECONFIGURABLE = ("mask", "static_mask", "dynamic", "preset", "refresh_period", "score_threshold", "nms_iou")
"""Settings that ``Pipeline.reconfigure`` can change while a camera runs."""


@dataclass(frozen=True)
class StepResult:
    """What became of one frame.

    index: 0 for the pipeline's first frame. frame: the input, its header included. head: int32 [rows, cols, channels].
    mask_text: what decided about this frame, for people, such as "tracking, refresh in 4".
    ms: wall time of each stage in ``metrics.run_summary.STAGES``; ``total`` is all the pipeline did for this frame.
    """

    index: int
    frame: Frame
    detections: Detections
    mask: RegionMask
    mask_text: str
    head: np.ndarray
    counts: StepCounts
    ms: Mapping[str, float]


@dataclass
class _Pending:
    """A frame on its way through the backend."""

    index: int
    number: int
    frame: Frame
    mask: RegionMask
    mask_text: str
    encoder_events: int
    ms: dict[str, float]


@dataclass
class _Camera:
    """State that depends on the camera's picture size: made with the first frame, remade when the size changes."""

    picture_wh: tuple[int, int]
    input_wh: tuple[int, int]
    encoder: Encoder
    backend: Backend
    policy: MaskPolicy
    unseen: np.ndarray
    state: MaskState = field(default_factory=MaskState.initial)
    frame_id: str = ""
    stamp_ns: int = 0


class Pipeline:
    """One camera's detector. Not for use by two threads at a time.

    A stamp that jumps back, a change of the camera's frame or of the picture's size starts afresh: references are
    forgotten and the next frame is a refresh frame.

    Two parts can be brought along, for experiments. open_backend: makes the backend, called as
    ``backends.open_backend``. policy: makes the mask policy of a camera from the region grid and the picture's
    (width, height); ``settings.mask`` then decides nothing.
    """

    def __init__(self, network: Network, settings: PipelineSettings,
                 open_backend: Callable[..., Backend] = open_backend, policy: PolicyMaker | None = None) -> None:
        if network.head is None:
            raise UserError(f"network {network.name}: its output means no boxes, so it cannot detect anything")
        self.network, self.settings = network, settings
        self._open_backend, self._policy_maker = open_backend, policy
        self._camera: _Camera | None = None
        self._frames = 0

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
    def frames_to_refresh(self) -> int | None:
        """How many frames from the next one on until a refresh frame (0: the next one); None when none is due."""
        settings, schedule = self.settings, preset(self.settings.preset)
        period = settings.refresh_period if settings.uses_static or settings.uses_dynamic else 0
        frame = self._camera.state.frame if self._camera else 0
        return frames_to_refresh(frame, schedule.refresh_period if schedule else period)

    def process(self, frame: Frame) -> list[StepResult]:
        """Takes a frame, returns the results that became ready: its own with the cpu backend, earlier ones with
        pipelined backends. Raises UserError when the static mask does not fit the camera."""
        start = time.perf_counter()
        camera = self._camera_for(frame)
        mask = decide(camera.policy, camera.state)
        masked = time.perf_counter()
        # Where nothing is attended, nobody looks at the picture.
        image = make_view(frame, camera.input_wh).image if mask.keep.any() else camera.unseen
        resized = time.perf_counter()
        events = camera.encoder.step(image, mask.keep)
        encoded = time.perf_counter()
        ms = {
            "total": 0.0,
            "resize": (resized - masked) * 1e3,
            "mask": (masked - start) * 1e3,
            "encode": (encoded - resized) * 1e3,
        }
        pending = _Pending(self._frames, camera.state.frame, frame, mask, self._mask_text(), len(events), ms)
        camera.state = replace(camera.state, frame=camera.state.frame + 1)
        self._frames += 1
        camera.backend.submit(events, pending)
        ms["total"] = (time.perf_counter() - start) * 1e3
        return self._collect(camera)

    def drain(self) -> list[StepResult]:
        """The results of all frames that are still inside a pipelined backend."""
        if self._camera is None:
            return []
        self._camera.backend.drain()
        return self._collect(self._camera)

    def reset(self) -> None:
        """Forgets what it has seen: the next frame is a first frame. Results not yet returned are dropped."""
        if self._camera:
            self._camera.encoder.reset()
            self._camera.backend.reset()
            self._camera.state = MaskState.initial()

    def reconfigure(self, settings: PipelineSettings) -> None:
        """Swaps masks, refresh and thresholds between two frames; the references stay.

        Raises UserError, and changes nothing, when a setting differs that needs a new pipeline, or when the new static
        mask cannot be read or does not fit the camera.
        """
        for name, value in vars(settings).items():
            if name not in RECONFIGURABLE and value != getattr(self.settings, name):
                raise UserError(f"{name} cannot change while the detector runs; restart it")
        if self._camera:
            self._camera.policy = self._policy(settings, self._camera.policy.grid, self._camera.picture_wh)
        self.settings = settings

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
        ahead = self.frames_to_refresh
        refresh = {None: "", 0: ", refresh"}.get(ahead, f", refresh in {ahead}")
        return " + ".join(named) + refresh

    def _camera_for(self, frame: Frame) -> _Camera:
        camera = self._camera
        if camera is None or camera.picture_wh != frame.size_wh:
            camera = self._open(frame)
        elif frame.stamp_ns < camera.stamp_ns or frame.frame_id != camera.frame_id:
            self.reset()
        camera.frame_id, camera.stamp_ns = frame.frame_id, frame.stamp_ns
        return camera

    def _open(self, frame: Frame) -> _Camera:
        settings, picture_wh = self.settings, frame.size_wh
        auto = settings.input_size == "auto"
        input_wh = choose_input_size(picture_wh, settings.max_pixels) if auto else settings.input_size
        policy = self._policy(settings, RegionGrid.of_input(input_wh), picture_wh)
        self.close()
        encoder = Encoder(self.network.input_table, self.network.encoder_threshold, input_wh)
        backend = self._open_backend(settings.backend, self.network, input_wh, settings.arithmetic)
        unseen = np.zeros((input_wh[1], input_wh[0], 3), np.uint8)
        self._camera = _Camera(picture_wh, input_wh, encoder, backend, policy, unseen)
        return self._camera

    def _policy(self, settings: PipelineSettings, grid: RegionGrid, picture_wh: tuple[int, int]) -> MaskPolicy:
        if self._policy_maker is not None:
            return self._policy_maker(grid, picture_wh)
        static = load_static_mask(settings.static_mask, grid, picture_wh) if settings.uses_static else None
        dynamic = dynamic_mask(settings.dynamic) if settings.uses_dynamic else None
        return MaskPolicy(grid, picture_wh, static, dynamic, settings.refresh_period, preset(settings.preset))

    def _collect(self, camera: _Camera) -> list[StepResult]:
        results = []
        while (raw := camera.backend.poll(0.0)) is not None:
            results.append(self._finish(camera, raw))
        return results

    def _finish(self, camera: _Camera, raw: BackendResult) -> StepResult:
        start = time.perf_counter()
        pending, settings, schedule = raw.tag, self.settings, camera.policy.schedule
        lowest = settings.score_threshold
        if schedule is not None:
            lowest = min(lowest, follow_threshold(schedule))
        found = decode(raw.head, self.network.head, camera.picture_wh, lowest, settings.nms_iou)
        decoded = time.perf_counter()
        if schedule is not None:
            found = self._followed(camera, pending, found, follow_threshold(schedule))
        detections = found if lowest == settings.score_threshold else found.above(settings.score_threshold)
        camera.state = replace(camera.state, last=detections)
        counts = StepCounts(pending.encoder_events, raw.layer_events, raw.synops)
        ended = time.perf_counter()
        ms = {**pending.ms, "engine": raw.engine_ms, "decode": (decoded - start) * 1e3}
        ms["mask"] += (ended - decoded) * 1e3
        ms["total"] += (ended - start) * 1e3
        return StepResult(
            pending.index, pending.frame, detections, pending.mask, pending.mask_text, raw.head, counts, ms
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
