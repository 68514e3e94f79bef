"""The node's outputs, and the quality of service of everything that it sends.

Results go out reliable, because everybody hears that. Whatever is a picture is made only while somebody looks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from ..detection.detections import Detections
from ..errors import UserError
from ..mask.freshness import is_stale
from ..mask.policy import DYNAMIC, STATIC
from ..mask.scheduled import BORDER, OBJECTS
from ..overlay import caption_line, draw_overlay, keep_to_picture
from ..pipeline import StepResult
from .conversions import (
    detections_message,
    image_message,
    jpeg_message,
    label_info_message,
    png_message,
)
from .qos_events import advertise


def _qos(
    reliability: ReliabilityPolicy, depth: int, durability: DurabilityPolicy = DurabilityPolicy.VOLATILE
) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


CAMERA = _qos(ReliabilityPolicy.BEST_EFFORT, 5)
"""As camera drivers publish."""

RESULTS = _qos(ReliabilityPolicy.RELIABLE, 10)

PICTURES = _qos(ReliabilityPolicy.RELIABLE, 4)
"""Pictures that we publish. Less deep than results: they are large."""

LATCHED = _qos(ReliabilityPolicy.RELIABLE, 1, DurabilityPolicy.TRANSIENT_LOCAL)
"""The last message is kept for whoever comes later; subscribers must ask for transient local, too."""

MASK, MASK_PNG, OVERLAY, OVERLAY_JPEG = "mask", "mask/compressed", "overlay", "overlay/compressed"
STATIC_MASK, DYNAMIC_MASK, AGE, EVENTS = "mask/static", "mask/dynamic", "mask/age", "events"

LAZY = {
    MASK: Image, MASK_PNG: CompressedImage, STATIC_MASK: Image, DYNAMIC_MASK: Image, AGE: Image, OVERLAY: Image,
    OVERLAY_JPEG: CompressedImage, EVENTS: Image,
}
"""Topics that are served only while somebody subscribes, and their messages."""


class Outputs:
    """The publishers that belong to frames. They exist while the node is configured and speak while it is active.

    Raises UserError for quality of service that was overridden with something that makes no sense.
    """

    def __init__(self, node: LifecycleNode, labels: tuple[str, ...]) -> None:
        self._node, self._labels = node, labels
        self._all: list[Publisher] = []
        try:
            self._detections = self._advertise(Detection2DArray, "detections", RESULTS)
            self._label_info = self._advertise(LabelInfo, "label_info", LATCHED)
            self._lazy = {topic: self._advertise(kind, topic, PICTURES) for topic, kind in LAZY.items()}
        except UserError:
            self.destroy()
            raise

    def _advertise(self, kind: type, topic: str, qos: QoSProfile) -> Publisher:
        self._all.append(advertise(self._node, kind, topic, qos))
        return self._all[-1]

    @property
    def want_events(self) -> bool:
        """Somebody looks at where events arise, which must be known before the frame is worked on."""
        return self._lazy[EVENTS].get_subscription_count() > 0

    def publish_labels(self, score_threshold: float) -> None:
        """Sends the class names and the threshold in force; latched."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._label_info.publish(label_info_message(self._labels, score_threshold, header))

    def publish(self, result: StepResult, header: Header, drop_stale: bool = False) -> None:
        """Sends what came of a frame, all with the frame's own header. Pictures are made only if somebody looks.

        drop_stale: leaves out boxes in regions that were not sent in this frame.
        """
        if drop_stale:
            result = replace(result, detections=_without_stale(result))
        self._detections.publish(detections_message(result.detections, self._labels, header))
        wanted = {topic: p for topic, p in self._lazy.items() if p.get_subscription_count()}
        if wanted:
            self._publish_masks(wanted, result, header)
            self._publish_pictures(wanted, result, header)

    def _publish_masks(self, wanted: dict[str, Publisher], result: StepResult, header: Header) -> None:
        mask = result.mask
        if MASK in wanted or MASK_PNG in wanted:
            picture = keep_to_picture(mask.keep, result.frame.size_wh)
            if MASK in wanted:
                wanted[MASK].publish(image_message(picture, "mono8", header))
            if MASK_PNG in wanted:
                wanted[MASK_PNG].publish(png_message(picture, header))
        for topic, sources in ((STATIC_MASK, (STATIC,)), (DYNAMIC_MASK, (DYNAMIC, OBJECTS, BORDER))):
            if topic in wanted:
                # A mask that is not in use adds nothing to what is attended.
                shares = [mask.sources[source] for source in sources if source in mask.sources]
                share = np.logical_or.reduce([np.zeros_like(mask.keep), *shares])
                wanted[topic].publish(image_message(share.astype(np.uint8) * np.uint8(255), "mono8", header))
        if AGE in wanted:
            wanted[AGE].publish(image_message(result.age, "16UC1", header))

    def _publish_pictures(self, wanted: dict[str, Publisher], result: StepResult, header: Header) -> None:
        if OVERLAY in wanted or OVERLAY_JPEG in wanted:
            picture = draw_overlay(result.frame, result.detections, result.mask, self._labels, _caption(result))
            if OVERLAY in wanted:
                wanted[OVERLAY].publish(image_message(picture, "bgr8", header))
            if OVERLAY_JPEG in wanted:
                wanted[OVERLAY_JPEG].publish(jpeg_message(picture, header))
        # None: the subscriber came while this frame was being worked on.
        if EVENTS in wanted and result.events is not None:
            wanted[EVENTS].publish(image_message(result.events, "mono8", header))

    def destroy(self) -> None:
        for publisher in self._all:
            self._node.destroy_lifecycle_publisher(publisher)


def _without_stale(result: StepResult) -> Detections:
    found = result.detections
    if not len(found) or result.mask.keep.all():
        return found
    return found.take(~is_stale(found, result.mask.keep, result.frame.size_wh))


def _caption(result: StepResult) -> str:
    counts = result.counts
    return caption_line(
        result.mask.masked_share, counts.events, counts.total_synops, result.ms["total"], result.mask_text
    )
