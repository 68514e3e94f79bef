"""The detector node: a life cycle around one subscription, one worker and the outputs.

unconfigured -> configure (network, pipeline, publishers) -> inactive -> activate (subscription, worker) -> active, and
the same way back. What a transition has made, its opposite frees.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from vision_msgs.msg import BoundingBox2DArray

from ..backends import AUTO, BACKENDS, check_backend, choose_backend
from ..errors import UserError
from ..files.output_folder import find_output_folder, write_below
from ..importing.opening import name_network, open_network
from ..mask.static import encode_static_mask, read_static_mask
from ..network.dense import AnyNetwork
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings, check_tuned, make_settings
from .attention import AttentionRequests
from .camera import CameraInput, CameraState, ImageReader
from .diagnostics import DiagnosticsReporter
from .facts import collect_facts
from .frame_stats import FrameStats
from .guarded_node import GuardedNode, guard_transition
from .health import NodeFacts
from .parameters import (
    BACKEND_PARAMETERS,
    backend_values,
    declare_all,
    find_changes,
    make_response_settings,
    read_all,
    split_mask_output,
)
from .publishers import RESULTS, Outputs
from .qos import TriggerServices
from .refusals import FileRefusals
from .worker import Worker

NODE_NAME = "detector"
STOP_TIMEOUT_S = 10.0

DEFAULT_CAMERA_WH = (640, 480)
"""The most common image size, assumed until the first image."""

T = TypeVar("T")

SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE, TransitionCallbackReturn.ERROR)


@dataclass
class _Configured:
    """What exists from configure to cleanup."""

    pipeline: Pipeline
    read: ImageReader
    frame_stats: FrameStats
    attention: AttentionRequests
    outputs: Outputs
    services: TriggerServices
    diagnostics: DiagnosticsReporter

    def destroy(self) -> None:
        # All of them, whatever one of them raises.
        with ExitStack() as stack:
            for free in (self.pipeline.close, self.outputs.destroy, self.diagnostics.destroy, self.services.destroy):
                stack.callback(free)


@dataclass
class _Active:
    """What exists from activate to deactivate."""

    camera: CameraInput
    attention: Subscription
    worker: Worker


class DetectorNode(GuardedNode):
    """Takes images, publishes detections, masks and diagnostics.

    Args:
        load: Makes a network from the parameter ``network_file``.
        on_failure: Called with one line if the node's thread has ended: the process is of no more use.
        node_arguments: For ``rclpy.node.Node``.

    Raises:
        UserError: A parameter has an illegal value.
    """

    def __init__(self, load: Callable[[str], AnyNetwork] = open_network,
                 on_failure: Callable[[str], None] | None = None, **node_arguments: Any) -> None:
        super().__init__(NODE_NAME, **node_arguments)
        self._load, self._on_failure = load, on_failure or self._log_failure
        self._configured: _Configured | None = None
        self._active: _Active | None = None
        self._backend_guard = self.create_guard_condition(self._on_backend_change)
        self._transition_error = ""
        declare_all(self)
        self._refusals = FileRefusals(read_all(self))
        # ROS ignores a misspelt name in a parameter file. A file may serve other nodes too, so it is no error.
        for name in getattr(self, "_parameter_overrides", {}):
            if not self.has_parameter(name) and not name.startswith("qos_overrides."):
                self.get_logger().warning(f"parameter {name}: unknown, ignored")
        self.add_on_set_parameters_callback(self._on_set_parameters)

    def _log_failure(self, line: str) -> None:
        self.get_logger().fatal(line)

    def start(self) -> None:
        """Configures and activates if the parameter ``autostart`` says so.

        Raises:
            UserError: A transition fails.
        """
        if not self.get_parameter("autostart").value:
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            self._transition_error = ""
            if transition() is not SUCCESS:
                raise UserError(self._transition_error or "the node could not be started")

    # Transitions.

    @guard_transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the network, makes pipeline and publishers, and opens the backend if that is quick."""
        try:
            values: dict[str, Any] = read_all(self)
            settings = self._make_settings(values)
            pipeline = Pipeline(self._load(name_network(values)), settings)
            settings = pipeline.settings
            check_tuned(values, settings)
            if settings.reads_static_mask:
                pipeline.static_masks.read(settings.static_mask, settings.max_image_pixels)
            check_backend(settings.backend, settings.backend_options)
            self._configured = self._make_configured(pipeline, values["image_transport"])
            input_wh = settings.input_wh(DEFAULT_CAMERA_WH, pipeline.network)
            # The current backend: nothing opens, and the manager learns its parameters.
            pipeline.backends.request(pipeline.settings, input_wh, backend_values(values))
            pipeline.backends.on_change = self._backend_guard.trigger
            if BACKENDS[settings.backend].quick_to_open:
                # Otherwise the camera's first images would be dropped meanwhile.
                pipeline.backends.ensure_open(input_wh, warm_up=True)
        except Exception as error:  # noqa: BLE001
            self._free()
            return self._fail_transition("configure", error)
        return super().on_configure(state)

    @guard_transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes to images and starts the worker."""
        configured = self._require_configured()
        try:
            outcome = super().on_activate(state)
            configured.outputs.publish_labels(configured.pipeline.settings.score_threshold)
            self._active = self._make_active(configured, read_all(self))
        except Exception as error:  # noqa: BLE001
            super().on_deactivate(state)
            return self._fail_transition("activate", error)
        self.get_logger().info(f"active: images from {self._active.camera.topic}")
        return outcome

    @guard_transition
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Finishes the images that are in and stops the worker."""
        is_stopped = self._stop()
        super().on_deactivate(state)
        return SUCCESS if is_stopped else ERROR

    @guard_transition
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything."""
        self._free()
        return super().on_cleanup(state)

    @guard_transition
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything."""
        self._free()
        return super().on_shutdown(state)

    @guard_transition
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Frees everything."""
        self._free()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Frees everything, in whatever state the node is."""
        self._free()
        super().destroy_node()

    def _make_configured(self, pipeline: Pipeline, transport: str) -> _Configured:
        read = ImageReader(transport, lambda: pipeline.settings, self.get_logger().warning)
        frame_stats = FrameStats(time.monotonic())
        return _Configured(
            pipeline,
            read,
            frame_stats,
            AttentionRequests(),
            Outputs(self, pipeline.network.labels),
            TriggerServices(self, {
                "reset": self._on_reset, "refresh": self._on_refresh, "save_static_mask": self._on_save_static_mask}),
            DiagnosticsReporter(self, frame_stats, self._collect_facts),
        )

    def _make_active(self, configured: _Configured, values: dict[str, Any]) -> _Active:
        worker = Worker(
            configured.pipeline, make_response_settings(values, configured.pipeline.network), configured.read,
            configured.attention, configured.outputs, configured.frame_stats,
            lambda: self.get_clock().now().nanoseconds, self.get_logger(), self.error_log, self._on_failure,
            self._refusals.describe)
        try:
            camera = CameraInput(
                self, values["image_transport"], values["image_reliability"], worker.put, configured.frame_stats)
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
        is_stopped = active.worker.stop(STOP_TIMEOUT_S)
        if not is_stopped:
            self.get_logger().error(f"the detector did not stop within {STOP_TIMEOUT_S:.0f} s and was abandoned")
        return is_stopped

    def _free(self) -> None:
        self._stop()
        configured, self._configured = self._configured, None
        if configured is not None:
            configured.destroy()

    def _fail_transition(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        """A user's error fails the transition; any other is a bug and is logged with its type."""
        is_known = isinstance(error, UserError)
        self._transition_error = (
            self._refusals.describe(error) if isinstance(error, UserError)
            else self.error_log.report(f"transition {transition}", error))
        # With autostart the command prints the reason and ends.
        if not self.get_parameter("autostart").value:
            self.get_logger().error(f"cannot {transition}: {self._transition_error}")
        return FAILURE if is_known else ERROR

    # Attention and services.

    def _on_attention(self, message: BoundingBox2DArray) -> None:
        configured = self._configured
        try:
            if configured is not None:
                configured.attention.put(message, self.get_clock().now().nanoseconds)
        except UserError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)

    def _require_configured(self) -> _Configured:
        if self._configured is None:
            raise UserError("the detector is not configured")
        return self._configured

    def _run_between_frames(self, action: Callable[[Pipeline], T]) -> T:
        """Calls the action with the pipeline while nothing else uses it. Raises UserError if there is no pipeline."""
        pipeline = self._require_configured().pipeline
        return self._active.worker.run_between_frames(action) if self._active else action(pipeline)

    def _on_reset(self) -> str:
        def reset(pipeline: Pipeline) -> None:
            pipeline.reset()
            if pipeline.backends.health.given_up_s is not None:
                pipeline.backends.clear_failures()

        self._run_between_frames(reset)
        return "the detector is reset; the next image is observed as a whole"

    def _on_refresh(self) -> str:
        self._run_between_frames(Pipeline.refresh)
        return "the next image is observed as a whole"

    def _on_save_static_mask(self) -> str:
        learned = self._run_between_frames(Pipeline.learned_mask)
        path = write_below(
            find_output_folder(self.get_parameter("output_directory").value),
            split_mask_output(self.get_parameter("static_mask_output").value, self.get_fully_qualified_name()),
            encode_static_mask(learned.keep, learned.grid.region_px, learned.heat))
        if learned.warning:
            self.get_logger().warning(f"{path}: {learned.warning}")
        return "; warning: ".join(filter(None, (f"{path}: {learned.text}", learned.warning)))

    # Parameters.

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Validates a set as a whole; then all of it applies from the next frame on, or nothing has changed."""
        try:
            current = read_all(self)
            changes = find_changes(parameters, current, self._configured is not None)
            self._apply({**current, **changes}, changes)
        except UserError as error:
            return SetParametersResult(successful=False, reason=self._refusals.describe(error))
        except Exception as error:  # noqa: BLE001  a bug is refused, and nothing has changed
            return SetParametersResult(successful=False, reason=self.error_log.report("parameters", error))
        return SetParametersResult(successful=True)

    def _apply(self, values: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        settings, configured, active = self._make_settings(values), self._configured, self._active
        if configured is None or not changes:
            return
        pipeline, backends = configured.pipeline, configured.pipeline.backends
        input_wh = settings.input_wh(DEFAULT_CAMERA_WH, pipeline.network)
        if backends.is_new(settings):
            check_backend(settings.backend, settings.backend_options)
            input_wh = pipeline.input_for(settings) or input_wh
        if active and changes.keys() <= {"fallback", *BACKEND_PARAMETERS}:
            # Not between frames: a backend that hangs must not keep users from choosing another one.
            active.worker.set_response(make_response_settings(values, pipeline.network))
        elif active:
            active.worker.reconfigure(settings, make_response_settings(values, pipeline.network))
        else:
            pipeline.reconfigure(settings.keep_backend(pipeline.settings))
        backends.request(settings, input_wh, backend_values(values))
        if "score_threshold" in changes:
            configured.outputs.publish_labels(settings.score_threshold)

    def _make_settings(self, values: Mapping[str, Any]) -> PipelineSettings:
        """Raises UserError also for a mask file that cannot be read. Whether it fits shows with the first image."""
        settings = make_settings(values)
        if self._configured is not None:
            settings = settings.for_network(self._configured.pipeline.network)
            check_tuned(values, settings)
        if settings.reads_static_mask:
            # A file in use that has vanished does not keep other parameters from being set.
            is_in_use = settings.static_mask == self.get_parameter("static_mask").value
            configured = self._configured if is_in_use else None
            read = configured.pipeline.static_masks.read if configured else read_static_mask
            read(settings.static_mask, settings.max_image_pixels)
        elif settings.static_mask:
            self.get_logger().warning(f"static_mask is set, but mask_mode {values['mask_mode']} does not use it")
        return settings

    def _on_backend_change(self) -> None:
        """Lets a backend that is ready take over, logs what has happened, and corrects the parameters.

        A request is answered before the backend opens, so its parameters run ahead. They are set back when it fails to
        open, and when the fallback has taken over: they name what runs or is opening.
        """
        if self._configured is None:
            return
        pipeline, backends = self._configured.pipeline, self._configured.pipeline.backends
        if backends.is_ready:
            if self._active:
                self._active.worker.wake()
            else:
                pipeline.adopt_opened()
        for event in backends.poll():
            if event.is_warning:
                self.get_logger().warning(event.line)
            else:
                self.get_logger().info(event.line)
        if not backends.opening:
            self._restore_parameters({**backends.parameters, "backend": self._name_backend(pipeline)})

    @staticmethod
    def _name_backend(pipeline: Pipeline) -> str:
        """The parameter ``backend`` for what runs: ``auto`` stays where it means the same."""
        running = pipeline.settings.backend
        is_chosen = pipeline.backends.parameters.get("backend") == AUTO
        return AUTO if is_chosen and choose_backend(AUTO, pipeline.network) == running else running

    def _restore_parameters(self, values: Mapping[str, object]) -> None:
        wrong = {name: value for name, value in values.items() if self.get_parameter(name).value != value}
        if not wrong:
            return
        result = self.set_parameters_atomically([Parameter(name, value=value) for name, value in wrong.items()])
        if not result.successful:
            self.get_logger().error(f"parameters {', '.join(wrong)} could not be set back: {result.reason}")

    def _collect_facts(self) -> NodeFacts | None:
        configured, active = self._configured, self._active
        if configured is None:
            return None
        return collect_facts(self, configured.pipeline, configured.frame_stats.last_drop, configured.read.name,
                             active.camera.state if active else CameraState(),
                             self._refusals.describe_mask(configured.pipeline))
