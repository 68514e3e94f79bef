"""From decoded frames to upright BGR images."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from ..pictures.decode import turn_upright

if TYPE_CHECKING:
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame

# By (rows and columns change places, mirrored left to right, upside down).
_ORIENTATIONS = {
    (False, False, False): 1, (False, True, False): 2, (False, True, True): 3, (False, False, True): 4,
    (True, False, False): 5, (True, True, False): 6, (True, True, True): 7, (True, False, True): 8}


def matrix_orientation(matrix: bytes) -> int:
    """The orientation that a container's display matrix asks for.

    Args:
        matrix: Nine numbers as FFmpeg hands them over, int32: x' = a x + c y and y' = b x + d y for
            (a, b, u, c, d, v, x, y, w).

    Returns:
        1 to 8 as EXIF numbers it. A turn by another angle becomes the nearest quarter turn. 1 for a damaged matrix.
    """
    if len(matrix) < 36:
        return 1
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _ORIENTATIONS[False, a < 0, d < 0]
    return _ORIENTATIONS[True, c < 0, b < 0]


class BgrConverter:
    """Converts frames as OpenCV's reader does, bit for bit, and turns them upright.

    One object serves one stream: it keeps FFmpeg's tables for the frames' format.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._rotation: int | None = None
        self._orientation = 1

    def convert(self, frame: VideoFrame) -> np.ndarray:
        """Makes the image.

        Args:
            frame: A decoded frame.

        Returns:
            uint8 [height, width, 3] in BGR order, C-contiguous.

        Raises:
            Exception: See ``decoding.faults``.
        """
        image = self._reformatter.reformat(frame, format="bgr24", interpolation="BICUBIC")
        if image is frame:
            # Already BGR. The decoder may still need its memory, and rows may run from the last to the first.
            rgb = self._reformatter.reformat(frame, format="rgb24", interpolation="BICUBIC")
            pixels = np.asarray(cv2.cvtColor(_array(rgb), cv2.COLOR_RGB2BGR))
        else:
            pixels = _array(image)
        if frame.rotation != self._rotation:
            # Looking for the matrix itself takes long. It changes with the rotation, if ever.
            self._rotation, self._orientation = frame.rotation, _orientation(frame)
        return turn_upright(pixels, self._orientation)


def _array(image: VideoFrame) -> np.ndarray:
    """The pixels of an image of three bytes each, without a copy where its rows have no padding."""
    plane = image.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: image.height, : 3 * image.width]
    return np.ascontiguousarray(rows).reshape(image.height, image.width, 3)


def _orientation(frame: VideoFrame) -> int:
    from av.sidedata.sidedata import Type

    # PyAV's stub takes the side data for a mapping by names.
    every = cast("Iterable[SideData]", frame.side_data)
    matrix = next((data for data in every if data.type == Type.DISPLAYMATRIX), None)
    return 1 if matrix is None else matrix_orientation(bytes(matrix))
