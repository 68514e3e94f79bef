"""The node: a life cycle around one subscription, one worker and the outputs.

unconfigured -> configure (network, pipeline, publishers) -> inactive -> activate (subscription, worker) -> active, and
the same way back. Whatever a transition made, its opposite frees.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ..backends import BACKENDS, check_backend
from ..errors import UserError
from ..frames import Frame
from ..mask.files import read_static_mask
from ..network.files import find_network, load_network
from ..network.spec import Network
from ..pipeline import Pipeline, PipelineSettings
from .declaration import changes_in, declare_all, read_all
from .diagnostics import NodeReport, message_of
from .loss import subscribe
from .parameters import Value, check, settings_from
from .publishers import NEWEST_PICTURE, RESULTS, Outputs
from .traffic import FrameCounts, Traffic
from .worker import Failure, Worker

NODE_NAME = "detector"
REPORT_PERIOD_S = 1.0
WARNING_REPORTS = 5
"""A warning stays in as many reports, so that somebody who looks now and then sees it."""

STOP_TIMEOUT_S = 10.0

USUAL_CAMERA_WH = (640, 480)

SUCCESS, FAILURE, ERROR = (
    TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE, TransitionCallbackReturn.ERROR
)


@dataclass
class _Configured:
    """What exists from configure to cleanup."""

    network: Network
    pipeline: Pipeline
    outputs: Outputs
    diagnostics: Publisher
    timer: Timer
    reliability: str
    traffic: Traffic
    earlier: deque[FrameCounts] = field(default_factory=lambda: deque([FrameCounts()], WARNING_REPORTS))
    last_failure: Failure = Failure()


@dataclass
class _Active:
    """What exists from activate to deactivate."""

    subscription: Subscription
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
        self._refusal = ""
        self._warned_of_zero_stamp = False
        declare_all(self)
        check(read_all(self))
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
            if BACKENDS[settings.backend].quick_to_open:
                _rehearse(network, settings)
            self._configured = self._open(network, pipeline, values["image_reliability"])
        except Exception as error:  # noqa: BLE001
            self._free()
            return self._refuse("configure", error)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        configured = self._configured
        try:
            outcome = super().on_activate(state)
            configured.outputs.publish_labels(configured.pipeline.settings.score_threshold)
            worker = Worker(
                configured.pipeline, configured.traffic, configured.outputs.publish,
                lambda: self.get_clock().now().nanoseconds, self.get_logger(),
            )
            self._active = _Active(self._subscribe(configured, worker), worker)
        except Exception as error:  # noqa: BLE001
            return self._refuse("activate", error)
        self.get_logger().info(f"active: pictures from {self._active.subscription.topic_name}")
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

    def _open(self, network: Network, pipeline: Pipeline, reliability: str) -> _Configured:
        outputs = Outputs(self, network.labels)
        diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RESULTS)
        # On simulated time a timer stops with the bag, and what diagnoses the node must not.
        timer = self.create_timer(REPORT_PERIOD_S, self._report, clock=Clock(clock_type=ClockType.STEADY_TIME))
        traffic = Traffic(time.monotonic())
        return _Configured(network, pipeline, outputs, diagnostics, timer, reliability, traffic)

    def _subscribe(self, configured: _Configured, worker: Worker) -> Subscription:
        def take(message: Image) -> None:
            stamp = message.header.stamp
            if not (stamp.sec or stamp.nanosec or self._warned_of_zero_stamp):
                self._warned_of_zero_stamp = True
                self.get_logger().warning(
                    "pictures have no time stamp: passed on as they are, to be joined with nothing"
                )
            worker.put(message)

        def lost(more: int) -> None:
            configured.traffic.count(lost=more)
            self.get_logger().warning(
                "pictures are lost on the way here: "
                "give the camera's process the DDS profile for pictures (see README)",
                once=True,
            )

        return subscribe(self, Image, "image", take, NEWEST_PICTURE[configured.reliability], lost=lost)

    def _stop(self) -> bool:
        active, self._active = self._active, None
        if active is None:
            return True
        self.destroy_subscription(active.subscription)
        stopped = active.worker.stop(STOP_TIMEOUT_S)
        self._configured.last_failure = active.worker.last_failure
        if not stopped:
            self.get_logger().error(f"the detector did not stop within {STOP_TIMEOUT_S:.0f} s and was given up")
        return stopped

    def _free(self) -> None:
        self._stop()
        configured, self._configured = self._configured, None
        if configured is not None:
            self.destroy_timer(configured.timer)
            self.destroy_publisher(configured.diagnostics)
            configured.outputs.destroy()
            configured.pipeline.close()

    def _refuse(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        """A user's error fails the transition; anything else is a fault of ours, and is told with its type."""
        known = isinstance(error, UserError)
        self._refusal = str(error) if known else f"{type(error).__name__}: {error}"
        # With autostart the command prints the reason and ends.
        if not self.get_parameter("autostart").value:
            self.get_logger().error(f"cannot {transition}: {self._refusal}")
        return FAILURE if known else ERROR

    # Parameters and diagnostics.

    def _on_set_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Validates a set as a whole; then all of it is in force from the next frame on, or nothing has changed."""
        try:
            current = read_all(self)
            changes = changes_in(parameters, current, self._configured is not None)
            self._apply({**current, **changes}, changes)
        except UserError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, values: dict[str, Value], changes: dict[str, Value]) -> None:
        settings = self._settings(values)
        configured = self._configured
        if configured is None or not changes:
            return
        if self._active:
            self._active.worker.reconfigure(settings)
        else:
            configured.pipeline.reconfigure(settings)
        if "score_threshold" in changes:
            configured.outputs.publish_labels(settings.score_threshold)

    def _settings(self, values: dict[str, Value]) -> PipelineSettings:
        """Raises UserError also for a mask file that cannot be read; the first picture tells whether it fits."""
        settings = settings_from(values)
        if settings.uses_static:
            read_static_mask(settings.static_mask)
        elif settings.static_mask:
            self.get_logger().warning(f"static_mask is set, but mask_mode {settings.mask} does not use it")
        return settings

    def _report(self) -> None:
        configured = self._configured
        if configured is None:
            return
        failure = self._active.worker.last_failure if self._active else configured.last_failure
        settings, counts = configured.pipeline.settings, configured.traffic.counts
        report = NodeReport(
            name=f"{self.get_fully_qualified_name()[1:]}: pictures",
            state=self._state_machine.current_state[1],
            topic=self.resolve_topic_name("image"),
            backend=settings.backend,
            kernels=configured.pipeline.kernels,
            arithmetic=settings.arithmetic,
            mask_mode=settings.mask,
            network=configured.network.source_file or configured.network.name,
            latency_steps=configured.pipeline.latency_steps,
            profile=configured.pipeline.profile,
            counts=counts,
            earlier=configured.earlier[0],
            figures=configured.traffic.figures(time.monotonic()),
            input_wh=configured.pipeline.input_size,
            last_error=failure.reason,
            failing=failure.ours,
        )
        configured.earlier.append(counts)
        configured.diagnostics.publish(message_of(report, Header(stamp=self.get_clock().now().to_msg())))


def _rehearse(network: Network, settings: PipelineSettings) -> None:
    """One grey picture through a pipeline of its own: it loads the kernels and warms the network up for its input size.

    Otherwise the camera's first pictures would be dropped meanwhile. An automatic input size is not known yet: VGA is
    the commonest guess.
    """
    width, height = USUAL_CAMERA_WH if settings.input_size == "auto" else settings.input_size
    rehearsal = Pipeline(network, replace(settings, mask="none"))
    rehearsal.process(Frame(np.full((height, width, 3), 128, np.uint8), "bgr", 0, ""))
    rehearsal.close()
