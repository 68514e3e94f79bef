"""The node's outputs: messages made from results, their topics and QoS.

Results are reliable, so that subscribers of any reliability receive them. Images are made only while there is a
subscriber. ``sources.image_message`` reads images.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from ..core.detections import UNTRACKED, Detections
from ..core.result import StepResult
from ..errors import UserError
from ..mask.region_age import find_unobserved
from ..mask.schedule import BORDER, OBJECTS
from ..mask.source import DYNAMIC, STATIC
from ..mask.tile_schedule import ROLLING
from ..report.overlay import Overlay, caption_line, keep_to_image
from ..sources.image_message import NANOSECONDS
from .qos import advertise

JPEG_QUALITY = 90


def stamp_from_ns(nanoseconds: int) -> Time:
    """Returns the stamp of that time, whose seconds must fit 32 bits."""
    sec, nanosec = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def image_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Makes a message of an image.

    Args:
        pixels: uint8 [height, width] or [height, width, channels], or uint16 [height, width].
        encoding: As in ``sensor_msgs/image_encodings.hpp``.
        header: Of the message.

    Returns:
        The message.
    """
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, encoding=encoding, height=pixels.shape[0], width=pixels.shape[1])
    message.step = pixels.nbytes // pixels.shape[0]
    message.is_bigendian = int(pixels.itemsize > 1 and sys.byteorder == "big")
    # Appended to the empty array of a new message: an assignment would check each byte.
    message.data.frombytes(pixels.view(np.uint8).data)
    return message


def png_message(gray: np.ndarray, header: Header) -> CompressedImage:
    """Returns a mask, uint8 [height, width], as PNG, which keeps every value."""
    return _compress(".png", gray, [cv2.IMWRITE_PNG_COMPRESSION, 1], "mono8; png compressed ", header)


def jpeg_message(bgr: np.ndarray, header: Header) -> CompressedImage:
    """Returns an image, uint8 [height, width, 3] in BGR, as JPEG."""
    return _compress(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY], "bgr8; jpeg compressed bgr8", header)


def _compress(suffix: str, pixels: np.ndarray, options: list[int], format_text: str, header: Header) -> CompressedImage:
    """``format_text`` is what image_transport's own plugins write."""
    message = CompressedImage(header=header, format=format_text)
    message.data.frombytes(cv2.imencode(suffix, pixels, options)[1].data)
    return message


def detections_message(detections: Detections, labels: tuple[str, ...], header: Header) -> Detection2DArray:
    """Makes a message of a frame's detections.

    Args:
        detections: Any number of them, none included.
        labels: The class names.
        header: Of the message and of each detection.

    Returns:
        The message. Boxes have center and full size in the camera's pixels; ``id`` is the number of a tracked object,
        else empty.
    """
    message = Detection2DArray(header=header)
    centers = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2.0
    sizes = detections.boxes[:, 2:] - detections.boxes[:, :2]
    rows = zip(centers.tolist(), sizes.tolist(), detections.scores.tolist(), detections.class_ids.tolist(),
               detections.track_ids.tolist())
    message.detections = [_detection(header, *row, labels) for row in rows]
    return message


def _detection(header: Header, center: list[float], size: list[float], score: float, class_id: int, track_id: int,
               labels: tuple[str, ...]) -> Detection2D:
    box = BoundingBox2D(size_x=size[0], size_y=size[1])
    box.center.position.x, box.center.position.y = center
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = labels[class_id]
    result.hypothesis.score = score
    return Detection2D(header=header, bbox=box, results=[result], id="" if track_id == UNTRACKED else str(track_id))


def label_info_message(labels: tuple[str, ...], threshold: float, header: Header) -> LabelInfo:
    """Returns the numbers and names of all classes and the lowest score that is reported."""
    classes = [VisionClass(class_id=number, class_name=name) for number, name in enumerate(labels)]
    return LabelInfo(header=header, class_map=classes, threshold=threshold)


def _qos(reliability: ReliabilityPolicy, depth: int,
         durability: DurabilityPolicy = DurabilityPolicy.VOLATILE) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


CAMERA = _qos(ReliabilityPolicy.BEST_EFFORT, 5)
"""As camera drivers publish images."""

RESULTS = _qos(ReliabilityPolicy.RELIABLE, 10)

IMAGES = _qos(ReliabilityPolicy.RELIABLE, 4)
"""Images that the node publishes; they are large, so the queue is shorter than that of results."""

LATCHED = _qos(ReliabilityPolicy.RELIABLE, 1, DurabilityPolicy.TRANSIENT_LOCAL)
"""The last message is kept for late subscribers, which must request transient local, too."""

MASK, MASK_PNG, OVERLAY, OVERLAY_JPEG = "mask", "mask/compressed", "overlay", "overlay/compressed"
STATIC_MASK, DYNAMIC_MASK, AGE, EVENTS = "mask/static", "mask/dynamic", "mask/age", "events"

LAZY = {
    MASK: Image, MASK_PNG: CompressedImage, STATIC_MASK: Image, DYNAMIC_MASK: Image, AGE: Image, OVERLAY: Image,
    OVERLAY_JPEG: CompressedImage, EVENTS: Image,
}
"""Topics that are published only while there is a subscriber, and their messages."""


class Outputs:
    """The publishers of a frame's results. They exist while the node is configured and publish while it is active.

    Args:
        node: Gets the publishers.
        labels: The class names.

    Raises:
        UserError: An override of QoS is invalid.
    """

    def __init__(self, node: LifecycleNode, labels: tuple[str, ...]) -> None:
        self._node, self._labels = node, labels
        self._overlay = Overlay(labels)
        self._all: list[LifecyclePublisher] = []
        try:
            self._detections = self._advertise(Detection2DArray, "detections", RESULTS)
            self._label_info = self._advertise(LabelInfo, "label_info", LATCHED)
            self._lazy = {topic: self._advertise(kind, topic, IMAGES) for topic, kind in LAZY.items()}
        except UserError:
            self.destroy()
            raise

    def _advertise(self, kind: type, topic: str, qos: QoSProfile) -> LifecyclePublisher:
        self._all.append(advertise(self._node, kind, topic, qos))
        return self._all[-1]

    @property
    def want_events(self) -> bool:
        """Whether there is a subscriber to images of events, which must be known before a frame is processed."""
        return self._lazy[EVENTS].get_subscription_count() > 0

    def publish_labels(self, score_threshold: float) -> None:
        """Publishes the class names and the current threshold; latched."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._label_info.publish(label_info_message(self._labels, score_threshold, header))

    def publish(self, result: StepResult, header: Header, drop_stale: bool = False) -> None:
        """Publishes the results of a frame. Images are made only if there is a subscriber.

        Args:
            result: The frame's result.
            header: The header of the frame's image; each message gets it.
            drop_stale: Whether detections in regions that were masked in this frame are left out.
        """
        if drop_stale:
            result = replace(result, detections=_drop_unobserved(result))
        self._detections.publish(detections_message(result.detections, self._labels, header))
        wanted = {topic: p for topic, p in self._lazy.items() if p.get_subscription_count()}
        if wanted:
            self._publish_masks(wanted, result, header)
            self._publish_images(wanted, result, header)

    def _publish_masks(self, wanted: dict[str, LifecyclePublisher], result: StepResult, header: Header) -> None:
        mask = result.mask
        if MASK in wanted or MASK_PNG in wanted:
            image = keep_to_image(mask.keep, result.frame.size_wh)
            if MASK in wanted:
                wanted[MASK].publish(image_message(image, "mono8", header))
            if MASK_PNG in wanted:
                wanted[MASK_PNG].publish(png_message(image, header))
        for topic, sources in ((STATIC_MASK, (STATIC,)), (DYNAMIC_MASK, (DYNAMIC, OBJECTS, BORDER, ROLLING))):
            if topic in wanted:
                # A mask that is not in use keeps nothing.
                shares = [mask.sources[source] for source in sources if source in mask.sources]
                share = np.logical_or.reduce([np.zeros_like(mask.keep), *shares])
                wanted[topic].publish(image_message(share.astype(np.uint8) * np.uint8(255), "mono8", header))
        if AGE in wanted:
            wanted[AGE].publish(image_message(result.age, "16UC1", header))

    def _publish_images(self, wanted: dict[str, LifecyclePublisher], result: StepResult, header: Header) -> None:
        if OVERLAY in wanted or OVERLAY_JPEG in wanted:
            image = self._overlay.draw(result, _caption(result))
            if OVERLAY in wanted:
                wanted[OVERLAY].publish(image_message(image, "bgr8", header))
            if OVERLAY_JPEG in wanted:
                wanted[OVERLAY_JPEG].publish(jpeg_message(image, header))
        # None: the subscriber came while this frame was being processed.
        if EVENTS in wanted and result.events is not None:
            wanted[EVENTS].publish(image_message(result.events, "mono8", header))

    def destroy(self) -> None:
        """Destroys the publishers."""
        for publisher in self._all:
            self._node.destroy_lifecycle_publisher(publisher)


def _drop_unobserved(result: StepResult) -> Detections:
    found = result.detections
    if not len(found) or result.mask.keep.all():
        return found
    return found.take(~find_unobserved(found, result.mask.keep, result.frame.size_wh))


def _caption(result: StepResult) -> str:
    return caption_line(result.mask.masked_share, result.counts, result.ms["total"], result.mask_text,
                        result.tile_counts)
