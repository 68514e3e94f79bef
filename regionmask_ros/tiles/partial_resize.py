"""The network's input where a mask observes: ``core.frame.resize_frame``, bit for bit, of some regions only."""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ..core.frame import Frame, resize_frame
from .compiled import open_library
from .grid import REGION
from .structures import ResizeRecord

WEIGHT_BITS = 11


class PartialResize:
    """Resizes the images of one camera.

    Args:
        image_wh: Width and height of the images.
        input_wh: Width and height of the network's input.
    """

    def __init__(self, image_wh: tuple[int, int], input_wh: tuple[int, int]) -> None:
        self._input_wh, (width, height) = input_wh, input_wh
        # Where nothing is to resize, a copy of all is quicker.
        self._library = _bind_library() if image_wh != input_wh else None
        left, column_weight = _place(image_wh[0], width)
        above, row_weight = _place(image_wh[1], height)
        # At its border an image goes on as it is.
        beyond = left < 0
        column_weight[beyond | (left >= image_wh[0] - 1)] = 1 << WEIGHT_BITS, 0
        columns = np.clip(left, 0, image_wh[0] - 1).astype(np.int32)
        rows = np.clip(np.stack([above, above + 1], axis=1), 0, image_wh[1] - 1).astype(np.int32)
        pitch = 3 * width + REGION
        self._arrays = (3 * columns, column_weight, rows, row_weight, np.empty((2, pitch), np.int16))
        self._output = np.zeros((height, width, 3), np.uint8)
        addresses = [array.ctypes.data for array in self._arrays]
        self._record = ResizeRecord(3 * image_wh[0], width, height, *addresses[:4],
                                    int(np.count_nonzero(3 * columns + 8 <= 3 * image_wh[0])), 0, addresses[4], pitch)

    def resize(self, frame: Frame, keep: np.ndarray) -> np.ndarray:
        """Makes the network's input.

        Args:
            frame: The camera's image.
            keep: bool [rows, cols], the regions that are needed.

        Returns:
            uint8 [height, width, 3], RGB, valid until the next call. Other regions hold anything.
        """
        if self._library is None:
            return resize_frame(frame, self._input_wh)
        keep = np.ascontiguousarray(keep)
        self._record.is_swapped = frame.order == "bgr"
        self._library.rm_tiles_resize(ctypes.byref(self._record), frame.pixels.ctypes.data, keep.ctypes.data,
                                      self._output.ctypes.data)
        return self._output


def _place(image: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where pixels of the input lie between pixels of the image, along one axis.

    Returns:
        Index of the first of two pixels, int64 [side], and the weights of both, int16 [side, 2].
    """
    place = ((np.arange(side) + 0.5) * (1.0 / (side / image)) - 0.5).astype(np.float32)
    first = np.floor(place)
    share = place - first
    weights = np.rint(np.stack([np.float32(1) - share, share], axis=1) * np.float32(1 << WEIGHT_BITS))
    return first.astype(np.int64), weights.astype(np.int16)


@functools.cache
def _bind_library() -> ctypes.CDLL | None:
    library = open_library().handle
    if library is not None:
        address = ctypes.c_void_p
        library.rm_tiles_resize.argtypes, library.rm_tiles_resize.restype = [address] * 4, None
    return library
