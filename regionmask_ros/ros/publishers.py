"""The node's outputs, and the quality of service of everything that it sends and receives.

Pictures come in best effort, because that hears every camera; results go out reliable, because everybody hears that.
"""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from ..overlay import caption_line, draw_overlay, keep_to_picture
from ..pipeline import StepResult
from .conversions import detections_message, image_message, label_info_message


def _qos(
    reliability: ReliabilityPolicy, depth: int, durability: DurabilityPolicy = DurabilityPolicy.VOLATILE
) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


NEWEST_PICTURE = {
    "best_effort": _qos(ReliabilityPolicy.BEST_EFFORT, 1),
    "reliable": _qos(ReliabilityPolicy.RELIABLE, 1),
}
"""Subscription to the camera: only the newest picture is of use."""

CAMERA = _qos(ReliabilityPolicy.BEST_EFFORT, 5)
"""As camera drivers publish."""

RESULTS = _qos(ReliabilityPolicy.RELIABLE, 10)

PICTURES = _qos(ReliabilityPolicy.RELIABLE, 4)
"""Pictures that we publish. Less deep than results: they are large."""

LATCHED = _qos(ReliabilityPolicy.RELIABLE, 1, DurabilityPolicy.TRANSIENT_LOCAL)
"""The last message is kept for whoever comes later; subscribers must ask for transient local, too."""


class Outputs:
    """The publishers that belong to frames. They exist while the node is configured and speak while it is active."""

    def __init__(self, node: LifecycleNode, labels: tuple[str, ...]) -> None:
        self._node, self._labels = node, labels
        self._detections = node.create_lifecycle_publisher(Detection2DArray, "detections", RESULTS)
        self._label_info = node.create_lifecycle_publisher(LabelInfo, "label_info", LATCHED)
        self._mask = node.create_lifecycle_publisher(Image, "mask", PICTURES)
        self._overlay = node.create_lifecycle_publisher(Image, "overlay", PICTURES)

    def publish_labels(self, score_threshold: float) -> None:
        """Sends the class names and the threshold in force; latched."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._label_info.publish(label_info_message(self._labels, score_threshold, header))

    def publish(self, result: StepResult, header: Header) -> None:
        """Sends what came of a frame, all with the frame's own header. Pictures are made only if somebody looks."""
        self._detections.publish(detections_message(result.detections, self._labels, header))
        if self._mask.get_subscription_count():
            picture = keep_to_picture(result.mask.keep, result.frame.size_wh)
            self._mask.publish(image_message(picture, "mono8", header))
        if self._overlay.get_subscription_count():
            picture = draw_overlay(result.frame, result.detections, result.mask, self._labels, _caption(result))
            self._overlay.publish(image_message(picture, "bgr8", header))

    def destroy(self) -> None:
        for publisher in (self._detections, self._label_info, self._mask, self._overlay):
            self._node.destroy_lifecycle_publisher(publisher)


def _caption(result: StepResult) -> str:
    counts = result.counts
    return caption_line(
        result.mask.masked_share, counts.events, counts.total_synops, result.ms["total"], result.mask_text
    )
