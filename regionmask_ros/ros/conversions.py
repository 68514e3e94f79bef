"""From our arrays to ROS messages. What reads pictures is ``sources.image_message``."""

from __future__ import annotations

import sys

import cv2
import numpy as np
from builtin_interfaces.msg import Time
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

from ..detection.detections import UNTRACKED, Detections
from ..sources.image_message import NANOSECONDS

JPEG_QUALITY = 90


def stamp_of_ns(nanoseconds: int) -> Time:
    """The stamp of so many nanoseconds, which must fit its 32 bits of seconds."""
    sec, nanosec = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def image_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """A picture as a message. pixels: uint8 [height, width] or [height, width, channels], or uint16 [height, width].

    The bytes are appended to the array that a fresh message has: assigning them would check each one.
    """
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, encoding=encoding, height=pixels.shape[0], width=pixels.shape[1])
    message.step = pixels.nbytes // pixels.shape[0]
    message.is_bigendian = int(pixels.itemsize > 1 and sys.byteorder == "big")
    message.data.frombytes(memoryview(pixels.view(np.uint8)))
    return message


def png_message(grey: np.ndarray, header: Header) -> CompressedImage:
    """A mask as PNG, which keeps every value. grey: uint8 [height, width]."""
    return _compressed(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1], "mono8; png compressed ", header)


def jpeg_message(bgr: np.ndarray, header: Header) -> CompressedImage:
    """A picture for people as JPEG. bgr: uint8 [height, width, 3]."""
    return _compressed(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY], "bgr8; jpeg compressed bgr8", header)


def _compressed(
    suffix: str, pixels: np.ndarray, options: list[int], format_text: str, header: Header
) -> CompressedImage:
    """``format`` is written as image_transport's own plugins write it."""
    message = CompressedImage(header=header, format=format_text)
    message.data.frombytes(memoryview(cv2.imencode(suffix, pixels, options)[1]))
    return message


def detections_message(detections: Detections, labels: tuple[str, ...], header: Header) -> Detection2DArray:
    """All objects of a frame, none included. Boxes are centre and full size in the camera's pixels; ``id`` is the
    number of an object that is followed, else empty."""
    message = Detection2DArray(header=header)
    centres = (detections.boxes[:, :2] + detections.boxes[:, 2:]) / 2.0
    sizes = detections.boxes[:, 2:] - detections.boxes[:, :2]
    rows = zip(centres.tolist(), sizes.tolist(), detections.scores.tolist(), detections.class_ids.tolist(),
               detections.track_ids.tolist())
    message.detections = [_detection(header, *row, labels) for row in rows]
    return message


def _detection(
    header: Header, centre: list[float], size: list[float], score: float, class_id: int, track_id: int,
    labels: tuple[str, ...],
) -> Detection2D:
    box = BoundingBox2D(size_x=size[0], size_y=size[1])
    box.center.position.x, box.center.position.y = centre
    kind = ObjectHypothesisWithPose()
    kind.hypothesis.class_id = labels[class_id]
    kind.hypothesis.score = score
    return Detection2D(header=header, bbox=box, results=[kind], id="" if track_id == UNTRACKED else str(track_id))


def label_info_message(labels: tuple[str, ...], threshold: float, header: Header) -> LabelInfo:
    """Numbers and names of all classes, so that either leads to the other, and the lowest score that is reported."""
    classes = [VisionClass(class_id=number, class_name=name) for number, name in enumerate(labels)]
    return LabelInfo(header=header, class_map=classes, threshold=threshold)
