"""From sensor_msgs pictures to frames: a view of the message's memory, and at most one change of channels.

Knows the messages by their fields alone, so that it reads those of ROS as well as those of a bag without ROS. No copy
is made of a picture that has three channels in rgb or bgr order and rows without padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np

from ..core.frame import Frame
from ..errors import UserError
from .images import find_damage

NANOSECONDS = 1_000_000_000

Reader = Callable[[np.ndarray], np.ndarray]


class Encoding(NamedTuple):
    """How a picture lies in memory. sample_bytes: of one channel. order: of the channels that ``read`` returns.

    read: from samples [rows, width, channels] to uint8 [height, width, 3]. pairs: colour is shared by two columns.
    planar: height rows of brightness, then height / 2 rows of colour, as in nv12.
    """

    channels: int
    sample_bytes: int
    order: str
    read: Reader
    pairs: bool = False
    planar: bool = False

    def rows(self, height: int) -> int:
        """Rows of samples that a picture of that height has."""
        return height + height // 2 if self.planar else height


def _grey_from_16_bits(image: np.ndarray) -> np.ndarray:
    """65535 becomes 255; the nearest value, as there are no ties."""
    grey = ((image.reshape(image.shape[:2]).astype(np.uint32) + 128) // 257).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def _convert_with_opencv(code: int) -> Reader:
    def read(image: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(np.ascontiguousarray(image), code)

    return read


_UYVY = Encoding(2, 1, "bgr", _convert_with_opencv(cv2.COLOR_YUV2BGR_UYVY), pairs=True)
_YUYV = Encoding(2, 1, "bgr", _convert_with_opencv(cv2.COLOR_YUV2BGR_YUY2), pairs=True)
_GREY, _GREY_16 = Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_GRAY2BGR)), Encoding(1, 2, "bgr", _grey_from_16_bits)

ENCODINGS: Mapping[str, Encoding] = {
    "rgb8": Encoding(3, 1, "rgb", np.ascontiguousarray),
    "bgr8": Encoding(3, 1, "bgr", np.ascontiguousarray),
    "8UC3": Encoding(3, 1, "bgr", np.ascontiguousarray),
    "rgba8": Encoding(4, 1, "bgr", _convert_with_opencv(cv2.COLOR_RGBA2BGR)),
    "bgra8": Encoding(4, 1, "bgr", _convert_with_opencv(cv2.COLOR_BGRA2BGR)),
    "mono8": _GREY,
    "8UC1": _GREY,
    "mono16": _GREY_16,
    "16UC1": _GREY_16,
    # OpenCV names a Bayer pattern by the pixels of the second row from the second column on, ROS by those of the first
    # row: what ROS calls RGGB is OpenCV's BG.
    "bayer_rggb8": Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_BayerBG2BGR)),
    "bayer_bggr8": Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_BayerRG2BGR)),
    "bayer_gbrg8": Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_BayerGR2BGR)),
    "bayer_grbg8": Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_BayerGB2BGR)),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_YUV2BGR_NV12), pairs=True, planar=True),
    "nv21": Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_YUV2BGR_NV21), pairs=True, planar=True),
}
"""The sensor_msgs/Image encodings that can be read."""

SampleReader = Callable[[Any, Encoding], np.ndarray]
"""From a checked message to its samples, uint8 or uint16 [rows, width, channels] in this computer's byte order."""


def stamp_ns(stamp: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def read_samples(message: Any, encoding: Encoding) -> np.ndarray:
    """See SamplesOf: a view of the message's memory, without the padding at the end of rows."""
    rows = encoding.rows(message.height)
    data = np.frombuffer(message.data, np.uint8, message.step * rows).reshape(rows, message.step)
    data = data[:, :message.width * encoding.channels * encoding.sample_bytes]
    if encoding.sample_bytes == 2:
        data = np.ascontiguousarray(data).view(">u2" if message.is_bigendian else "<u2")
    return data.reshape(rows, message.width, encoding.channels)


def frame_from(message: Any, samples: SampleReader = read_samples) -> Frame:
    """The picture in a sensor_msgs/Image. Its pixels may be the message's own memory, which they keep alive.

    Raises UserError, naming what is wrong, for a picture that is broken or has an unknown encoding.
    """
    if message.encoding not in ENCODINGS:
        raise UserError(f"encoding {message.encoding!r}: unknown; known are {', '.join(ENCODINGS)}")
    encoding = ENCODINGS[message.encoding]
    _check(message, encoding)
    pixels = encoding.read(samples(message, encoding))
    return Frame(pixels, encoding.order, stamp_ns(message.header.stamp), message.header.frame_id)


def _check(message: Any, encoding: Encoding) -> None:
    width, height, step = message.width, message.height, message.step
    pixel_bytes = encoding.channels * encoding.sample_bytes
    if not width or not height:
        raise UserError(f"picture of {width}x{height} pixels: empty")
    if encoding.pairs and width % 2:
        raise UserError(f"picture {width} pixels wide: {message.encoding} needs an even width")
    if encoding.planar and height % 2:
        raise UserError(f"picture {height} pixels high: {message.encoding} needs an even height")
    if step < width * pixel_bytes:
        raise UserError(f"step is {step}, but {width} pixels of {message.encoding} need {width * pixel_bytes} bytes")
    rows = encoding.rows(height)
    if len(message.data) < step * rows:
        raise UserError(f"data has {len(message.data)} bytes, but {rows} rows of step {step} need {step * rows}")


def frame_from_compressed(message: Any) -> Frame:
    """The picture in a sensor_msgs/CompressedImage, JPEG or PNG, whatever its ``format`` claims.

    Raises UserError, naming what is wrong, for a damaged picture and for anything else, compressed depth by name.
    """
    if "compressedDepth" in message.format:
        raise UserError(f"format {message.format!r}: compressed depth is no picture of a camera; send jpeg or png")
    data = bytes(message.data)
    if not data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        raise UserError(f"format {message.format!r}: the data is neither JPEG nor PNG")
    damage = find_damage(data)
    if damage:
        raise UserError(f"format {message.format!r}: {damage}")
    # The size must be the camera's, so a note about the orientation is not obeyed.
    flags = cv2.IMREAD_UNCHANGED if data.startswith(b"\x89") else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UserError(f"format {message.format!r}: a picture that cannot be decoded")
    # A publisher that compressed red as the first channel says so; the decoder then takes it for blue.
    order = "rgb" if "compressed rgb" in message.format else "bgr"
    return Frame(_three_channels(pixels), order, stamp_ns(message.header.stamp), message.header.frame_id)


def _three_channels(pixels: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3] of what a PNG may hold: grey or colour, 8 or 16 bits, with or without opacity."""
    if pixels.ndim == 2:
        return _grey_from_16_bits(pixels) if pixels.dtype == np.uint16 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(pixels[:, :, :3])
