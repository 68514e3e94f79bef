"""Between ROS messages and our arrays. No cv_bridge: a reshape and at most one change of channels do.

Reading makes no copy when a picture has three channels in rgb or bgr order and rows without padding.
"""

from __future__ import annotations

from typing import Callable

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
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
from ..errors import UserError
from ..frames import Frame

NANOSECONDS = 1_000_000_000

Reader = Callable[[np.ndarray], np.ndarray]


def _grey_of_16_bits(picture: np.ndarray) -> np.ndarray:
    """65535 becomes 255; the nearest value, as there are no ties."""
    grey = ((picture[:, :, 0].astype(np.uint32) + 128) // 257).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def _by_opencv(code: int) -> Reader:
    def read(picture: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(np.ascontiguousarray(picture), code)

    return read


# name: (channels, bytes a channel, order of the result, how it is read). OpenCV names a Bayer pattern by the pixels of
# the second row from the second column on, ROS by those of the first row: what ROS calls RGGB is OpenCV's BG.
_ENCODINGS: dict[str, tuple[int, int, str, Reader]] = {
    "rgb8": (3, 1, "rgb", np.ascontiguousarray),
    "bgr8": (3, 1, "bgr", np.ascontiguousarray),
    "8UC3": (3, 1, "bgr", np.ascontiguousarray),
    "rgba8": (4, 1, "bgr", _by_opencv(cv2.COLOR_RGBA2BGR)),
    "bgra8": (4, 1, "bgr", _by_opencv(cv2.COLOR_BGRA2BGR)),
    "mono8": (1, 1, "bgr", _by_opencv(cv2.COLOR_GRAY2BGR)),
    "8UC1": (1, 1, "bgr", _by_opencv(cv2.COLOR_GRAY2BGR)),
    "mono16": (1, 2, "bgr", _grey_of_16_bits),
    "16UC1": (1, 2, "bgr", _grey_of_16_bits),
    "bayer_rggb8": (1, 1, "bgr", _by_opencv(cv2.COLOR_BayerBG2BGR)),
    "bayer_bggr8": (1, 1, "bgr", _by_opencv(cv2.COLOR_BayerRG2BGR)),
    "bayer_gbrg8": (1, 1, "bgr", _by_opencv(cv2.COLOR_BayerGR2BGR)),
    "bayer_grbg8": (1, 1, "bgr", _by_opencv(cv2.COLOR_BayerGB2BGR)),
    "yuv422": (2, 1, "bgr", _by_opencv(cv2.COLOR_YUV2BGR_UYVY)),
    "uyvy": (2, 1, "bgr", _by_opencv(cv2.COLOR_YUV2BGR_UYVY)),
    "yuv422_yuy2": (2, 1, "bgr", _by_opencv(cv2.COLOR_YUV2BGR_YUY2)),
    "yuyv": (2, 1, "bgr", _by_opencv(cv2.COLOR_YUV2BGR_YUY2)),
}

ENCODINGS = tuple(_ENCODINGS)
"""Names of sensor_msgs/Image encodings that can be read."""

_PAIRED_COLUMNS = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")


def frame_from(message: Image) -> Frame:
    """The picture in a message. Its pixels may be the message's own memory, which they keep alive.

    Raises UserError, naming what is wrong, for a picture that is broken or has an unknown encoding.
    """
    if message.encoding not in _ENCODINGS:
        raise UserError(f"encoding {message.encoding!r}: unknown; known are {', '.join(ENCODINGS)}")
    channels, size, order, read = _ENCODINGS[message.encoding]
    rows = _rows(message, channels * size)
    if size == 2:
        samples = np.ascontiguousarray(rows).view(">u2" if message.is_bigendian else "<u2")
    else:
        samples = rows
    pixels = read(samples.reshape(message.height, message.width, channels))
    return Frame(pixels, order, stamp_ns(message.header.stamp), message.header.frame_id)


def _rows(message: Image, pixel_bytes: int) -> np.ndarray:
    """uint8 [height, width * pixel_bytes]: the message's memory without the padding at the end of rows."""
    width, height, step = message.width, message.height, message.step
    if not width or not height:
        raise UserError(f"picture of {width}x{height} pixels: empty")
    if message.encoding in _PAIRED_COLUMNS and width % 2:
        raise UserError(f"picture {width} pixels wide: {message.encoding} needs an even width")
    if step < width * pixel_bytes:
        raise UserError(f"step is {step}, but {width} pixels of {message.encoding} need {width * pixel_bytes} bytes")
    if len(message.data) < step * height:
        raise UserError(f"data has {len(message.data)} bytes, but {height} rows of step {step} need {step * height}")
    data = np.frombuffer(message.data, np.uint8, step * height).reshape(height, step)
    return data[:, :width * pixel_bytes]


def stamp_ns(stamp: Time) -> int:
    """Nanoseconds."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def stamp_of_ns(nanoseconds: int) -> Time:
    """The stamp of so many nanoseconds, which must fit its 32 bits of seconds."""
    sec, nanosec = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def image_message(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """A picture as a message. pixels: uint8 [height, width] or [height, width, channels].

    The bytes are appended to the array that a fresh message has: assigning them would check each one.
    """
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, encoding=encoding, height=pixels.shape[0], width=pixels.shape[1])
    message.step = pixels.nbytes // pixels.shape[0]
    message.data.frombytes(memoryview(pixels))
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
