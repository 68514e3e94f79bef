"""The node: a life cycle around one subscription, one worker and the outputs.

unconfigured -> configure (network, pipeline, publishers) -> inactive -> activate (subscription, worker) -> active, and
the same way back. Whatever a transition made, its opposite frees.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from vision_msgs.msg import BoundingBox2DArray

from ..backends import BACKENDS, check_backend
from ..core.frame import Frame
from ..core.options import Value
from ..errors import UserError
from ..mask.static import read_static_mask, save_static_mask
from ..network.files import find_network, load_network
from ..network.graph import Network
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings, make_settings
from ..sources.image_message import decode_compressed_image
from .attention import AttentionRequests
from .camera import CameraInput, Picture, choose_reading, image_topic
from .diagnostics import FrameStats, NodeFacts
from .health import HealthReporter
from .parameters import (
    BACKEND_PARAMETERS,
    declare_all,
    find_changes,
    make_response_settings,
    read_all,
)
from .publishers import RESULTS, Outputs
from .qos import TriggerServices
from .worker import DropReason, Worker

NODE_NAME = "detector"
STOP_TIMEOUT_S = 10.0

DEFAULT_CAMERA_WH = (640, 480)
"""The most common image size, assumed until the first image."""

T = TypeVar("T")

SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE, TransitionCallbackReturn.ERROR
)


@dataclass
class _Configured:
    """What exists from configure to cleanup. read: from a message to its picture."""

    network: Network
    pipeline: Pipeline
    read: Callable[[Picture], Frame]
    converter: str
    outputs: Outputs
    frame_stats: FrameStats
    attention: AttentionRequests
    health: HealthReporter
    services: TriggerServices
    last_failure: DropReason = DropReason()

    def destroy(self) -> None:
        self.services.destroy()
        self.health.destroy()
        self.outputs.destroy()
        self.pipeline.close()


@dataclass
class _Active:
    """What exists from activate to deactivate."""

    camera: CameraInput
    attention: Subscription
    worker: Worker


def load_installed(network_file: str) -> Network:
    """The network of that file; of the one that the set-up installed when the name is empty."""
    return load_network(find_network(network_file))


class DetectorNode(LifecycleNode):
    """Pictures in, detections, masks and diagnostics out.

    load: from the parameter ``network_file`` to a network. Other arguments go to the node. Raises UserError when a
    parameter's first value is illegal.
    """

    def __init__(self, load: Callable[[str], Network] = load_installed, **node_arguments: object) -> None:
        super().__init__(NODE_NAME, **node_arguments)
        self._load = load
        self._configured: _Configured | None = None
        self._active: _Active | None = None
        self._backend_guard = self.create_guard_condition(self._on_backend_change)
        self._refusal = ""
        declare_all(self)
        self._warn_of_unknown_parameters()
        self.add_on_set_parameters_callback(self._on_set_parameters)

    def start(self) -> None:
        """Configures and activates, if the parameter ``autostart`` says so. Raises UserError when that fails."""
        if not self.get_parameter("autostart").value:
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            self._refusal = ""
            if transition() is not SUCCESS:
                raise UserError(self._refusal or "the node could not be started")

    # Transitions. rclpy hides exceptions of these: everything that can fail is told here.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            values = read_all(self)
            settings = self._settings(values)
            network = self._load(values["network_file"])
            pipeline = Pipeline(network, settings)
            check_backend(settings.backend, settings.backend_options)
            self._configured = self._open(network, pipeline, values["image_transport"])
            input_wh = settings.input_wh(DEFAULT_CAMERA_WH)
            # Opens nothing, as it is the current backend: the manager notes the parameters.
            pipeline.backends.request(pipeline.settings, input_wh, _backend_parameters(values))
            pipeline.backends.on_change = self._backend_guard.trigger
            if BACKENDS[settings.backend].quick_to_open:
                # Otherwise the camera's first images would be dropped meanwhile.
                pipeline.backends.ensure_open(input_wh, warm_up=True)
        except Exception as error:  # noqa: BLE001
            self._free()
            return self._refuse("configure", error)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        configured = self._configured
        try:
            outcome = super().on_activate(state)
            configured.outputs.publish_labels(configured.pipeline.settings.score_threshold)
            self._active = self._work(configured, read_all(self))
        except Exception as error:  # noqa: BLE001
            super().on_deactivate(state)
            return self._refuse("activate", error)
        self.get_logger().info(f"active: pictures from {self._active.camera.topic}")
        return outcome

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        stopped = self._stop()
        super().on_deactivate(state)
        return SUCCESS if stopped else ERROR

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._free()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._free()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._free()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Frees everything, in whatever state the node is."""
        self._free()
        super().destroy_node()

    def _warn_of_unknown_parameters(self) -> None:
        """ROS itself ignores a misspelt name in a file. A file may also serve other nodes, so it is no error."""
        given = getattr(self, "_parameter_overrides", {})
        for name in given:
            if not self.has_parameter(name) and not name.startswith("qos_overrides."):
                self.get_logger().warning(f"parameter {name}: unknown, ignored")

    # What the transitions make and free.

    def _open(self, network: Network, pipeline: Pipeline, transport: str) -> _Configured:
        read, converter = choose_reading() if transport == "raw" else (decode_compressed_image, "OpenCV")
        frame_stats = FrameStats(time.monotonic())
        outputs = Outputs(self, network.labels)
        services = TriggerServices(self, {
            "reset": self._on_reset, "refresh": self._on_refresh, "save_static_mask": self._on_save_static_mask,
        })
        health = HealthReporter(self, frame_stats, self._facts)
        return _Configured(
            network, pipeline, read, converter, outputs, frame_stats, AttentionRequests(), health, services
        )

    def _work(self, configured: _Configured, values: dict[str, Value]) -> _Active:
        worker = Worker(
            configured.pipeline, make_response_settings(values), configured.read, configured.attention,
            configured.outputs, configured.frame_stats, lambda: self.get_clock().now().nanoseconds, self.get_logger(),
        )
        try:
            camera = CameraInput(
                self, values["image_transport"], values["image_reliability"], worker.put, configured.frame_stats
            )
        except Exception:
            worker.stop(STOP_TIMEOUT_S)
            raise
        attention = self.create_subscription(BoundingBox2DArray, "attention", self._on_attention, RESULTS)
        return _Active(camera, attention, worker)

    def _stop(self) -> bool:
        active, self._active = self._active, None
        if active is None:
            return True
        active.camera.destroy()
        self.destroy_subscription(active.attention)
        stopped = active.worker.stop(STOP_TIMEOUT_S)
        self._configured.last_failure = active.worker.last_failure
        if not stopped:
            self.get_logger().error(f"the detector did not stop within {STOP_TIMEOUT_S:.0f} s and was given up")
        return stopped

    def _free(self) -> None:
        self._stop()
        configured, self._configured = self._configured, None
        if configured is not None:
            configured.destroy()

    def _refuse(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        """A user's error fails the transition; anything else is a fault of ours, and is told with its type."""
        known = isinstance(error, UserError)
        self._refusal = str(error) if known else f"{type(error).__name__}: {error}"
        # With autostart the command prints the reason and ends.
        if not self.get_parameter("autostart").value:
            self.get_logger().error(f"cannot {transition}: {self._refusal}")
        return FAILURE if known else ERROR

    # What comes in besides pictures.

    def _on_attention(self, message: BoundingBox2DArray) -> None:
        configured = self._configured
        try:
            if configured is not None:
                configured.attention.put(message, self.get_clock().now().nanoseconds)
        except UserError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)

    def _run_between_frames(self, action: Callable[[Pipeline], T]) -> T:
        """Calls with the pipeline while nothing else uses it. Raises UserError when there is none."""
        active, configured = self._active, self._configured
        if configured is None:
            raise UserError("the detector is not configured")
        return active.worker.run_between_frames(action) if active else action(configured.pipeline)

    def _on_backend_change(self) -> None:
        """Logs what has happened to backends, lets one that is ready take over, and corrects the parameters."""
        active, configured = self._active, self._configured
        if configured is None:
            return
        pipeline, backends = configured.pipeline, configured.pipeline.backends
        if backends.is_ready:
            if active:
                active.worker.wake()
            else:
                pipeline.adopt_opened()
        for event in backends.poll():
            if event.is_warning:
                self.get_logger().warning(event.line)
            else:
                self.get_logger().info(event.line)
        if not backends.opening:
            self._restore_parameters({**backends.parameters, "backend": pipeline.settings.backend})

    def _restore_parameters(self, values: Mapping[str, Value]) -> None:
        """Sets the parameters of the backend to what runs: a request that failed has changed them."""
        wrong = {name: value for name, value in values.items() if self.get_parameter(name).value != value}
        if not wrong:
            return
        result = self.set_parameters_atomically([Parameter(name, value=value) for name, value in wrong.items()])
        if not result.successful:
            self.get_logger().error(f"parameters {', '.join(wrong)} could not be set back: {result.reason}")

    def _on_reset(self) -> str:
        def reset(pipeline: Pipeline) -> None:
            pipeline.reset()
            if pipeline.backends.health.given_up_s is not None:
                pipeline.backends.clear_failures()

        self._run_between_frames(reset)
        return "the detector has forgotten what it has seen; the next picture is sent as a whole"

    def _on_refresh(self) -> str:
        self._run_between_frames(Pipeline.refresh)
        return "the next picture is sent as a whole"

    def _on_save_static_mask(self) -> str:
        grid, keep, seen = self._run_between_frames(Pipeline.learned_mask)
        path = Path(self.get_parameter("static_mask_output").value).absolute()
        save_static_mask(str(path), keep, grid.region_px, seen.share)
        return f"{path}: {np.count_nonzero(keep)} of {keep.size} regions attended, from {seen.frames} whole frames"

    # Parameters and diagnostics.

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Validates a set as a whole; then all of it is in force from the next frame on, or nothing has changed."""
        try:
            current = read_all(self)
            changes = find_changes(parameters, current, self._configured is not None)
            self._apply({**current, **changes}, changes)
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, values: dict[str, Value], changes: dict[str, Value]) -> None:
        settings, configured, active = self._settings(values), self._configured, self._active
        if configured is None or not changes:
            return
        pipeline, backends = configured.pipeline, configured.pipeline.backends
        input_wh = settings.input_wh(DEFAULT_CAMERA_WH)
        if backends.is_new(settings):
            check_backend(settings.backend, settings.backend_options)
            input_wh = pipeline.input_for(settings) or input_wh
        if active and changes.keys() <= {"fallback", *BACKEND_PARAMETERS}:
            # Not at a border: a backend that hangs must not keep anybody from setting another one.
            active.worker.set_response(make_response_settings(values))
        elif active:
            active.worker.reconfigure(settings, make_response_settings(values))
        else:
            pipeline.reconfigure(settings.keep_backend(pipeline.settings))
        backends.request(settings, input_wh, _backend_parameters(values))
        if "score_threshold" in changes:
            configured.outputs.publish_labels(settings.score_threshold)

    def _settings(self, values: dict[str, Value]) -> PipelineSettings:
        """Raises UserError also for a mask file that cannot be read; the first picture tells whether it fits."""
        settings = make_settings(values)
        if self._configured is not None:
            settings = settings.for_network(self._configured.network)
        if settings.reads_static_mask:
            read_static_mask(settings.static_mask)
        elif settings.static_mask:
            self.get_logger().warning(f"static_mask is set, but mask_mode {values['mask_mode']} does not use it")
        return settings

    def _facts(self) -> NodeFacts | None:
        active, configured = self._active, self._configured
        if configured is None:
            return None
        failure = active.worker.last_failure if active else configured.last_failure
        pipeline, transport = configured.pipeline, self.get_parameter("image_transport").value
        return NodeFacts(
            name=f"{self.get_fully_qualified_name()[1:]}: pictures",
            state=self._state_machine.current_state[1],
            topic=image_topic(self, transport),
            transport=transport,
            converter=configured.converter,
            backend=pipeline.settings.backend,
            kernels=pipeline.kernels,
            arithmetic=pipeline.settings.arithmetic,
            thresholds=pipeline.settings.thresholds,
            mask_mode=pipeline.settings.deciding,
            network=configured.network.source_file or configured.network.name,
            latency_steps=pipeline.latency_steps,
            profile=pipeline.profile,
            input_wh=pipeline.input_size,
            resets=pipeline.resets,
            last_error=failure.reason,
            failing=failure.ours,
            opening=pipeline.backends.opening,
            restarts=pipeline.backends.health.restarts,
            notice=pipeline.backends.notice,
            last_notice=pipeline.backends.last_notice.line,
        )


def _backend_parameters(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: values[name] for name in BACKEND_PARAMETERS}
