"""Converts sensor_msgs image messages to frames: a view of the message's memory, and at most one conversion.

Only the fields of the messages are used, so that messages of ROS and of bags read without ROS both work. An image with
three channels in RGB or BGR order and without padding is not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np

from ..core.frame import Frame
from ..errors import EMPTY, TOO_LARGE, UNSUPPORTED, InvalidFile, UserError, quote_outside
from .pictures.decode import CAMERA_KINDS, HEAD_BYTES, decode_camera
from .pictures.depth import BitDepth
from .pictures.header import MAX_IMAGE_PIXELS, read_header

NANOSECONDS = 1_000_000_000

Reader = Callable[[np.ndarray], np.ndarray]


class Encoding(NamedTuple):
    """Memory layout of a sensor_msgs/Image.

    Attributes:
        channels: Samples per pixel.
        sample_bytes: Bytes per sample, 1 or 2.
        order: Channel order of what ``read`` returns, "bgr" or "rgb".
        read: Converts uint8 samples [rows, width, channels] to uint8 [height, width, 3]. Those of 16 bits are scaled
            to 8 before, without an alpha channel.
        pairs: Whether two neighboring columns share their color.
        planar: Whether height rows of brightness are followed by height / 2 rows of color, as in nv12.
    """

    channels: int
    sample_bytes: int
    order: str
    read: Reader
    pairs: bool = False
    planar: bool = False

    def rows(self, height: int) -> int:
        """Rows of samples in an image of this height."""
        return height + height // 2 if self.planar else height


def _convert_with_opencv(code: int) -> Reader:
    def read(image: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(np.ascontiguousarray(image), code)

    return read


_UYVY = Encoding(2, 1, "bgr", _convert_with_opencv(cv2.COLOR_YUV2BGR_UYVY), pairs=True)
_YUYV = Encoding(2, 1, "bgr", _convert_with_opencv(cv2.COLOR_YUV2BGR_YUY2), pairs=True)
_GRAY = Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_GRAY2BGR))
_GRAY_16 = Encoding(1, 2, "bgr", _convert_with_opencv(cv2.COLOR_GRAY2BGR))

# OpenCV names a Bayer pattern by the second row, from the second column on; ROS by the first row from its start.
# RGGB of ROS is BG of OpenCV.
_BAYER = {"rggb": cv2.COLOR_BayerBG2BGR, "bggr": cv2.COLOR_BayerRG2BGR, "gbrg": cv2.COLOR_BayerGR2BGR,
          "grbg": cv2.COLOR_BayerGB2BGR}

ENCODINGS: Mapping[str, Encoding] = {
    "rgb8": Encoding(3, 1, "rgb", np.ascontiguousarray),
    "bgr8": Encoding(3, 1, "bgr", np.ascontiguousarray),
    "8UC3": Encoding(3, 1, "bgr", np.ascontiguousarray),
    "rgba8": Encoding(4, 1, "bgr", _convert_with_opencv(cv2.COLOR_RGBA2BGR)),
    "bgra8": Encoding(4, 1, "bgr", _convert_with_opencv(cv2.COLOR_BGRA2BGR)),
    "rgb16": Encoding(3, 2, "rgb", np.ascontiguousarray),
    "bgr16": Encoding(3, 2, "bgr", np.ascontiguousarray),
    "16UC3": Encoding(3, 2, "bgr", np.ascontiguousarray),
    "rgba16": Encoding(4, 2, "rgb", np.ascontiguousarray),
    "bgra16": Encoding(4, 2, "bgr", np.ascontiguousarray),
    "mono8": _GRAY,
    "8UC1": _GRAY,
    "mono16": _GRAY_16,
    "16UC1": _GRAY_16,
    **{f"bayer_{pattern}{8 * size}": Encoding(1, size, "bgr", _convert_with_opencv(code))
       for pattern, code in _BAYER.items() for size in (1, 2)},
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_YUV2BGR_NV12), pairs=True, planar=True),
    "nv21": Encoding(1, 1, "bgr", _convert_with_opencv(cv2.COLOR_YUV2BGR_NV21), pairs=True, planar=True),
}
"""The supported encodings of sensor_msgs/Image."""

SampleReader = Callable[[Any, Encoding], np.ndarray]
"""Reads the samples of a checked message: uint8 or uint16 [rows, width, channels] in this computer's byte order."""


def stamp_ns(stamp: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(stamp.sec * NANOSECONDS + stamp.nanosec)


def read_samples(message: Any, encoding: Encoding) -> np.ndarray:
    """A ``SampleReader``: a view of the message's memory, without the padding at the end of each row.

    Args:
        message: A checked sensor_msgs/Image.
        encoding: Its encoding.

    Returns:
        uint8 or uint16 [rows, width, channels].
    """
    rows = encoding.rows(message.height)
    data: np.ndarray = np.frombuffer(message.data, np.uint8, message.step * rows).reshape(rows, message.step)
    data = data[:, :message.width * encoding.channels * encoding.sample_bytes]
    if encoding.sample_bytes == 2:
        data = np.ascontiguousarray(data).view(">u2" if message.is_bigendian else "<u2")
    return data.reshape(rows, message.width, encoding.channels)


def decode_image(
    message: Any, samples: SampleReader = read_samples, max_pixels: int = MAX_IMAGE_PIXELS,
    depth: BitDepth | None = None,
) -> Frame:
    """Converts a sensor_msgs/Image.

    Args:
        message: The message.
        samples: Reads the samples of the checked message.
        max_pixels: Largest number of pixels.
        depth: Bits of the camera's 16-bit samples; None: those of this image.

    Returns:
        The frame. Its pixels may be the message's own memory, which they keep alive.

    Raises:
        UserError: A field is wrong, or the encoding is not supported.
    """
    if message.encoding not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise UserError(f"encoding {quote_outside(message.encoding)} is not supported; use one of {known}", UNSUPPORTED)
    encoding = ENCODINGS[message.encoding]
    _check(message, encoding, max_pixels)
    read, stamp = samples(message, encoding), stamp_ns(message.header.stamp)
    if encoding.sample_bytes == 2:
        read = (depth or BitDepth()).to_8_bits(read[:, :, :3], f"image at {stamp} ns")
    return Frame(encoding.read(read), encoding.order, stamp, message.header.frame_id)


def _check(message: Any, encoding: Encoding, max_pixels: int) -> None:
    width, height, step = message.width, message.height, message.step
    pixel_bytes = encoding.channels * encoding.sample_bytes
    if not width or not height:
        raise UserError(f"image of {width}x{height} pixels: empty", EMPTY)
    if encoding.pairs and width % 2:
        raise UserError(f"image {width} pixels wide: {message.encoding} needs an even width")
    if encoding.planar and height % 2:
        raise UserError(f"image {height} pixels high: {message.encoding} needs an even height")
    if step < width * pixel_bytes:
        raise UserError(f"step is {step}, but {width} pixels of {message.encoding} need {width * pixel_bytes} bytes")
    rows = encoding.rows(height)
    if len(message.data) < step * rows:
        raise UserError(f"data has {len(message.data)} bytes, but {rows} rows of step {step} need {step * rows}")
    if width * height > max_pixels:
        raise UserError(f"image of {width}x{height}: more pixels than max_image_pixels allows, {max_pixels}", TOO_LARGE)


def decode_compressed_image(
    message: Any, max_pixels: int = MAX_IMAGE_PIXELS, depth: BitDepth | None = None,
) -> Frame:
    """Converts a sensor_msgs/CompressedImage that holds a JPEG or PNG image, whatever its ``format`` says.

    Args:
        message: The message.
        max_pixels: Largest number of pixels.
        depth: Bits of the camera's 16-bit samples; None: those of this image.

    Returns:
        The frame.

    Raises:
        UserError: The image is too large, damaged, in another format, or compressed depth.
    """
    told = quote_outside(message.format)
    if "compressedDepth" in message.format:
        raise UserError(f"format {told}: compressed depth is not a camera image; publish jpeg or png", UNSUPPORTED)
    if len(message.data) == 0:
        raise UserError(f"format {told}: the message has no data", EMPTY)
    try:
        # Before the data are copied.
        read_header(bytes(message.data[:HEAD_BYTES]), max_pixels, CAMERA_KINDS, len(message.data))
        pixels = decode_camera(bytes(message.data), max_pixels)
    except InvalidFile as refused:
        raise UserError(f"format {told}: {refused}", refused.reason) from refused
    # Such a publisher compressed RGB as if it were BGR, so the decoder swaps red and blue.
    order = "rgb" if "compressed rgb" in message.format else "bgr"
    stamp = stamp_ns(message.header.stamp)
    # A PNG may have an alpha channel.
    pixels = pixels if pixels.ndim == 2 else pixels[:, :, :3]
    if pixels.dtype == np.uint16:
        pixels = (depth or BitDepth()).to_8_bits(pixels, f"image at {stamp} ns")
    pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else np.ascontiguousarray(pixels)
    return Frame(pixels, order, stamp, message.header.frame_id)
