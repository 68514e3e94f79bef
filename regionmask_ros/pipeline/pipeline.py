"""The pipeline of one camera: frame in, detections and mask out.

Five stages: view, compose the mask, encode (``stages``), the backend (``backend_manager``), interpret
(``interpreter``). The node, the commands, the evaluation and the benchmark all run this; it does not depend on ROS.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..backends import Backend, BackendError, open_backend
from ..backends.base import BackendResult, DenseBackend
from ..core.events import Events
from ..core.frame import Frame
from ..core.grid import RegionGrid
from ..core.result import RegionMask, StepCounts, StepResult, make_events_image
from ..errors import UserError
from ..mask.learned import LearnedMask
from ..mask.remembered import RememberedMasks
from ..mask.source import ATTENTION, NO_BOXES
from ..network.dense import AnyNetwork
from .backend_manager import BackendManager
from .camera_maker import CameraMaker, input_shapes
from .camera_state import CameraState, ResetReason
from .composition import ComposerFactory
from .dense_interpreter import HeldState
from .interpreter import InterpreterState
from .schedule_text import describe_mask, describe_schedule
from .settings import RECONFIGURABLE, PipelineSettings
from .stages import prepare_frame


@dataclass(frozen=True)
class _Pending:
    """A frame inside the backend; the fields are those of ``StepResult`` and ``PreparedFrame``."""

    index: int
    number: int
    frame: Frame
    mask: RegionMask
    mask_text: str
    age: np.ndarray
    events: np.ndarray | None
    encoder_events: int | None
    small: np.ndarray | None
    ms: dict[str, float]


class Pipeline:
    """One camera's detector. One thread at a time may use it; any may read its properties and settings.

    ``ResetReason`` lists what resets it; the next frame is then a refresh frame.

    Args:
        network: The network with its trained thresholds.
        settings: What the user chose.
        open_backend: Opens a backend, called as ``backends.open_backend``; an experiment may observe it so.
        composer_factory: Makes the masks of a camera, for experiments. They replace those of the settings, whose preset
            still decides what is tracked.
        require_boxes: Whether a network whose output means no boxes is refused. Otherwise nothing is detected with it.

    Attributes:
        backends: The backend, and the one that is opening beside it.
        resets: How often the camera's state was reset.

    Raises:
        UserError: The settings do not fit the network.
    """

    def __init__(self, network: AnyNetwork, settings: PipelineSettings,
                 open_backend: Callable[..., Backend] = open_backend, composer_factory: ComposerFactory | None = None,
                 require_boxes: bool = True) -> None:
        if network.head is None and require_boxes:
            raise UserError(f"network {network.name}: its output means no boxes, so it cannot detect anything")
        self.network, self.settings = network, settings.for_network(network)
        self.backends = BackendManager(network, self.settings, open_backend)
        self._make = CameraMaker(network, composer_factory)
        self._interpreter = self._make.interpreter(self.settings)
        self._camera: CameraState | None = None
        self._attention = NO_BOXES
        self._frames = 0
        self.resets = 0

    @property
    def static_masks(self) -> RememberedMasks:
        """Reads static masks, for what the settings name now."""
        return self._make.static_masks

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Width and height of the network's input; None before the first frame when it follows the camera."""
        camera = self._camera
        return camera.input_wh if camera else None

    @property
    def grid(self) -> RegionGrid | None:
        """The region grid; None before the first frame."""
        camera = self._camera
        return camera.grid if camera else None

    @property
    def refresh_period(self) -> int:
        """Frames from one refresh frame to the next; 0: only the first one, or not known before the first frame."""
        camera = self._camera
        return camera.composer.refresh_period if camera else self.settings.effective_refresh_period

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
    def profile(self) -> Mapping[str, Any] | None:
        """What a profiler has measured on the backend's hardware; None where nothing was."""
        backend = self.backends.current
        return backend.profile if backend else None

    @property
    def frames_to_refresh(self) -> int | None:
        """Number of frames until a refresh frame (0: the next one is one); None when none comes."""
        camera = self._camera
        if camera is None:
            return 0
        return camera.frames_to_refresh

    def process(self, frame: Frame, want_events: bool = False) -> list[StepResult]:
        """Takes a frame.

        Args:
            frame: The camera's image.
            want_events: Whether its result shows where events arose.

        Returns:
            The results that became ready: its own with the cpu backend, earlier ones with pipelined backends.

        Raises:
            UserError: The static mask does not fit the camera, or no backend can be opened.
            BackendError: The backend has failed. The results of frames inside it are lost, and the next frame opens it
                anew.
        """
        start = time.perf_counter()
        camera, finished = self._camera_for(frame)
        followed = time.perf_counter()
        mask_text = self._mask_text()
        prepared = prepare_frame(camera, frame, self._attention, self._interpreter.track_score is not None)
        prepared.ms["mask"] += (followed - start) * 1e3
        sent = prepared.sent
        events = sent if isinstance(sent, Events) else None
        pending = _Pending(
            self._frames, prepared.number, frame, prepared.mask, mask_text, prepared.age,
            make_events_image(events) if want_events and events is not None else None,
            None if events is None else len(events), prepared.small, {"total": 0.0, **prepared.ms})
        self._frames += 1
        with self._discarding_on_failure():
            self.backends.ensure_open(camera.input_wh).submit(sent, pending)
            pending.ms["total"] = (time.perf_counter() - start) * 1e3
            return finished + self._collect(camera)

    def drain(self) -> list[StepResult]:
        """Waits for all frames that are still inside a pipelined backend, and returns their results."""
        if self._camera is None or self.backends.current is None:
            return []
        with self._discarding_on_failure():
            self.backends.current.drain()
            return self._collect(self._camera)

    def reset(self) -> None:
        """Forgets what it has seen: the next frame is a first frame. Results not yet returned are dropped."""
        if self._camera:
            self._reset(self._camera, ResetReason.REQUESTED)

    def refresh(self) -> None:
        """Makes the next frame a refresh frame; the refresh period counts from it."""
        if self._camera:
            self._camera.refresh_from = self._camera.frame

    def attend(self, boxes: np.ndarray) -> None:
        """From the next frame on, observes the regions of these boxes besides what the masks observe.

        Args:
            boxes: float [n, 4], x0 y0 x1 y1 in image pixels. They replace earlier ones.
        """
        self._attention = boxes

    def learned_mask(self) -> LearnedMask:
        """Makes a static mask of what was seen, see ``MaskComposer.learned_mask``; its cover is the adaptive mask's.

        Returns:
            The mask.

        Raises:
            UserError: No frame has come, or nothing was seen.
        """
        if self._camera is None:
            raise UserError("no image has come yet")
        return self._camera.composer.learned_mask(self.settings.adaptive.cover)

    def reconfigure(self, settings: PipelineSettings) -> None:
        """Changes masks, refresh and thresholds between two frames; the references stay.

        Args:
            settings: They may differ from the current ones in ``RECONFIGURABLE`` only.

        Raises:
            UserError: Another setting differs, the static mask cannot be read or does not fit the camera, or the
                network has no class of a name. Nothing has changed then.
        """
        settings = settings.for_network(self.network)
        for name, value in vars(settings).items():
            if name not in RECONFIGURABLE and value != getattr(self.settings, name):
                raise UserError(f"{name} cannot change while the detector runs; restart it")
        interpreter = self._make.interpreter(settings)
        camera = self._camera
        if camera:
            tiling = self._make.tiling(settings, camera.grid, camera.image_wh, camera.input_wh)
            composer = self._make.composer(settings, camera.grid, camera.image_wh, tiling)
            composer.learner.continue_from(camera.composer.learner)
            camera.composer, camera.tiling, camera.level = composer, tiling, self._make.level(settings)
            if isinstance(camera.objects, InterpreterState):
                camera.objects.displayed = camera.objects.displayed_ids = None
            elif interpreter.track_score is None:
                camera.objects = HeldState()
            elif self._interpreter.track_score is None:
                # Nothing is held yet, so there is nothing to show before the next refresh frame.
                camera.refresh_from = camera.frame
            if isinstance(camera.objects, HeldState):
                # Other tiles may have another resolution.
                camera.objects.full_scale = math.inf
                camera.objects.head = None
        self.settings, self._interpreter = settings, interpreter

    def input_for(self, settings: PipelineSettings) -> tuple[int, int] | None:
        """The size that the network's input would have with other settings.

        Args:
            settings: The other settings.

        Returns:
            Width and height; None before the first frame when they follow the camera.

        Raises:
            UserError: The static mask does not fit it.
        """
        camera = self._camera
        if camera is None:
            return settings.fixed_input_wh
        input_wh = settings.input_wh(camera.image_wh, self.network)
        if input_wh != camera.input_wh:
            grid = self._make.grid(input_wh)
            self._make.composer(settings, grid, camera.image_wh,
                                self._make.tiling(settings, grid, camera.image_wh, input_wh))
        return input_wh

    def take_over(self, settings: PipelineSettings, input_wh: tuple[int, int] | None = None,
                  backend: Backend | None = None) -> None:
        """Continues with the backend of these settings, reset with the next frame.

        The former backend closes in the background. Drain first: results that were not returned yet are dropped.

        Args:
            settings: They differ from the current ones in ``BACKEND_SETTINGS`` only.
            input_wh: Width and height of the input that ``backend`` is open for.
            backend: An open backend; None: one is opened with the next frame.
        """
        self.settings = settings.for_network(self.network)
        self.backends.exchange(self.settings, input_wh, backend)
        camera = self._camera
        if camera and self.backends.is_open_for(camera.input_wh):
            self._change_backend(camera)
        elif camera and backend is not None:
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
        self._camera = None
        self.backends.close()

    def _mask_text(self) -> str:
        """What decides about the coming frame, for people."""
        named = self.settings.active_sources
        if len(self._attention) and named:
            named = [*named, ATTENTION]
        return describe_mask(named, self._camera, self.frames_to_refresh)

    @property
    def schedule_text(self) -> str:
        """How long the schedule is, for people; "" without a guard."""
        return describe_schedule(self._camera) if self._camera else ""

    def _camera_for(self, frame: Frame) -> tuple[CameraState, list[StepResult]]:
        """The camera's state, reset if need be; and results of earlier frames that a pipelined backend still had."""
        camera = self._camera
        if camera is None or camera.image_wh != frame.size_wh:
            return self._open_camera(frame.size_wh)
        if not self.backends.is_open_for(camera.input_wh):
            self.backends.ensure_open(camera.input_wh)
            self._change_backend(camera)
        reason = camera.reset_reason(frame, self.settings.restart_period)
        if reason is None:
            return camera, []
        finished = self.drain()
        self._reset(camera, reason)
        return camera, finished

    @contextlib.contextmanager
    def _discarding_on_failure(self) -> Iterator[None]:
        """A backend that has failed is of no more use. What is known of the camera stays."""
        try:
            yield
        except BackendError:
            self.backends.discard()
            raise

    def _reset(self, camera: CameraState, reason: ResetReason) -> None:
        with self._discarding_on_failure():
            if self.backends.current is not None:
                self.backends.current.reset()
        camera.reset(reason)
        self.resets += 1

    def _change_backend(self, camera: CameraState) -> None:
        """Thresholds may differ, so the encoder is another one, too; a runtime and the tile engine have other masks."""
        settings = self.settings
        camera.encoder, camera.level = self._make.encoder(settings, camera.input_wh), self._make.level(settings)
        tiling = self._make.tiling(settings, camera.grid, camera.image_wh, camera.input_wh)
        if (tiling is None) != (camera.tiling is None):
            composer = self._make.composer(settings, camera.grid, camera.image_wh, tiling)
            composer.learner.continue_from(camera.composer.learner)
            camera.composer, camera.tiling = composer, tiling
            self._interpreter = self._make.interpreter(settings)
        self._reset(camera, ResetReason.BACKEND_CHANGED)

    def _open_camera(self, image_wh: tuple[int, int]) -> tuple[CameraState, list[StepResult]]:
        """A state for images of this size, and the results that were still to come from the one before it."""
        input_wh = self.settings.input_wh(image_wh, self.network)
        grid = self._make.grid(input_wh)
        tiling = self._make.tiling(self.settings, grid, image_wh, input_wh)
        composer = self._make.composer(self.settings, grid, image_wh, tiling)
        finished, encoder = self.drain(), self._make.encoder(self.settings, input_wh)
        backend = self.backends.ensure_open(input_wh)
        backend.reset()
        if tiling is not None:
            cast(DenseBackend, backend).prepare(input_shapes(composer, tiling))
        self.resets += self._camera is not None
        self._camera = CameraState(
            image_wh, input_wh, composer, self._interpreter.new_state(), encoder, tiling,
            self._make.level(self.settings))
        return self._camera, finished

    def _collect(self, camera: CameraState) -> list[StepResult]:
        """The results that are ready."""
        backend, results = self.backends.current, []
        while backend is not None and (raw := backend.poll(0.0)) is not None:
            results.append(self._interpret(camera, raw))
        return results

    def _interpret(self, camera: CameraState, raw: BackendResult) -> StepResult:
        """Stage 5: detections, and what masks learn from them."""
        start = time.perf_counter()
        pending, objects = raw.tag, camera.objects
        # The interpreter and the state of a camera are of one kind.
        interpreter: Any = self._interpreter
        found = interpreter.read(objects, raw.head, raw.synops, camera.image_wh)
        decoded = time.perf_counter()
        camera.last = interpreter.track(
            objects, found, pending.mask.keep, camera.image_wh, pending.number, pending.small)
        camera.learn(pending.number, pending.mask.refresh, raw.head)
        encoded = pending.encoder_events
        counts = None if encoded is None else StepCounts(encoded, raw.layer_events, raw.synops)
        ms = {**pending.ms, "engine": raw.engine_ms, "decode": (decoded - start) * 1e3}
        result = StepResult(
            pending.index, pending.frame, camera.last, pending.mask, pending.mask_text, pending.age, pending.events,
            raw.head, counts, ms, raw.tile_counts)
        camera.composer.observe(result)
        ended = time.perf_counter()
        ms["mask"] += (ended - decoded) * 1e3
        ms["total"] += (ended - start) * 1e3
        return result
