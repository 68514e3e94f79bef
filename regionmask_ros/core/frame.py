"""Images: what a camera delivers, and what the network sees of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import UserError, quote_outside
from .option_table import OPTIONS

ALIGNMENT = 32
"""Width and height of a network input are multiples of this: five layers of stride 2."""

MAX_PIXELS: int = OPTIONS["max_pixels"].default  # type: ignore[assignment]  # the table's values have one type
"""Default budget of the automatic input size: 640x480 pixels."""

ASPECT_TOLERANCE = 0.05

MAX_IMAGE_PIXELS = 1 << 26
"""Largest network input: some gigabytes of state. Far beyond it, indices of the widest layer would leave 32 bits."""


@dataclass(frozen=True)
class Frame:
    """One image of the camera.

    Attributes:
        pixels: uint8 [height, width, 3], C-contiguous.
        order: Order of the channels, "bgr" or "rgb".
        stamp_ns: Acquisition time in nanoseconds.
        frame_id: The camera's coordinate frame.

    Raises:
        ValueError: The array is of another shape, type or layout.
    """

    pixels: np.ndarray
    order: str
    stamp_ns: int
    frame_id: str

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"pixels must be uint8 [height, width, 3], not {pixels.dtype} {list(pixels.shape)}")
        if not pixels.flags.c_contiguous or 0 in pixels.shape:
            raise ValueError("pixels must be contiguous and not empty")
        if self.order not in ("bgr", "rgb"):
            raise ValueError(f"order must be 'bgr' or 'rgb', not {self.order!r}")

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def bgr(self) -> np.ndarray:
        """Pixels in OpenCV's channel order; the frame's own array when it has that order already."""
        return self.pixels if self.order == "bgr" else cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR)


def resize_frame(frame: Frame, input_wh: tuple[int, int]) -> np.ndarray:
    """Makes the network's input: one plain bilinear resize of the whole image, without letterbox or crop.

    The resize works on the channels as they come; only the small result is reordered.

    Args:
        frame: The camera's image.
        input_wh: Width and height of the input.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    image = cv2.resize(frame.pixels, input_wh, interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if frame.order == "bgr" else image


def choose_input_size(image_wh: tuple[int, int], max_pixels: int = MAX_PIXELS, alignment: int = ALIGNMENT
                      ) -> tuple[int, int]:
    """Chooses the input size that follows the camera's shape within a budget of pixels.

    Among all sizes that are multiples of the alignment, hold at most ``max_pixels`` and are not larger than the image
    rounded up to one: the largest whose aspect is within 5 % of the image's; if there is none, the one of the nearest
    aspect.

    >>> choose_input_size((1280, 720)), choose_input_size((640, 480)), choose_input_size((320, 240))
    ((736, 416), (640, 480), (288, 224))

    Args:
        image_wh: Width and height of the camera's image.
        max_pixels: The budget.
        alignment: Width and height are multiples of this.

    Returns:
        Width and height.

    Raises:
        UserError: Not even the smallest input fits the budget.
    """
    if max_pixels < alignment * alignment:
        raise UserError(f"max_pixels is {max_pixels}: give at least {alignment * alignment}, one "
                        f"{alignment}x{alignment} input")
    aspect = image_wh[0] / image_wh[1]
    limit_w, limit_h = (-(-side // alignment) * alignment for side in image_wh)
    sizes = [
        (w, h)
        for w in range(alignment, limit_w + 1, alignment)
        for h in range(alignment, min(limit_h, max_pixels // w) + 1, alignment)]

    def error(size: tuple[int, int]) -> float:
        return abs(size[0] / size[1] / aspect - 1.0)

    fitting = [size for size in sizes if error(size) <= ASPECT_TOLERANCE]
    if fitting:
        return max(fitting, key=lambda size: (size[0] * size[1], -error(size)))
    return min(sizes, key=lambda size: (error(size), -size[0] * size[1]))


def parse_input_size(text: str) -> str | tuple[int, int]:
    """Reads an input size.

    Args:
        text: ``auto`` or ``WxH``.

    Returns:
        ``auto``, or width and height.

    Raises:
        UserError: The text is anything else.
    """
    if text == "auto":
        return "auto"
    width, cross, height = text.lower().partition("x")
    if not (cross and text.isascii() and width.isdecimal() and height.isdecimal() and len(text) < 16):
        raise UserError(f"input size {quote_outside(text)}: write auto, or width x height such as 448x448")
    size = int(width), int(height)
    check_input_size(size)
    return size


def check_input_size(size_wh: tuple[int, int]) -> None:
    """Checks an input size.

    Args:
        size_wh: Width and height.

    Raises:
        UserError: A side is not a multiple of 32, or there are more than ``MAX_IMAGE_PIXELS``.
    """
    width, height = size_wh
    if any(side % ALIGNMENT or side < ALIGNMENT for side in size_wh):
        raise UserError(f"input size {width}x{height}: width and height must be multiples of {ALIGNMENT}")
    if width * height > MAX_IMAGE_PIXELS:
        raise UserError(f"input size {width}x{height}: more than {MAX_IMAGE_PIXELS} pixels")
