"""The network's input where a mask observes: ``core.frame.resize_frame``, bit for bit, of some regions only."""

from __future__ import annotations

import ctypes
import functools
import itertools
from typing import NamedTuple

import numpy as np

from ..core.frame import Frame, resize_frame
from .compiled import open_library
from .grid import REGION
from .structures import ResizeRecord

WEIGHT_BITS = 11

NO_BYTE = 255
"""In an index of bytes: 0."""


class PartialResize:
    """Resizes the images of one camera.

    Args:
        image_wh: Width and height of the images.
        input_wh: Width and height of the network's input.
    """

    def __init__(self, image_wh: tuple[int, int], input_wh: tuple[int, int]) -> None:
        self._image_wh, self._input_wh = image_wh, input_wh
        # Where nothing is to resize, a copy of all is quicker.
        self._library = _bind_library() if image_wh != input_wh else None
        self._output = np.zeros((input_wh[1], input_wh[0], 3), np.uint8)
        self._plans: dict[str, _Plan] = {}

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
        plan = self._plans.get(frame.order)
        if plan is None:
            plan = self._plans[frame.order] = _make_plan(
                self._image_wh, self._input_wh, frame.order == "bgr", list_blocks())
        keep = np.ascontiguousarray(keep)
        self._library.rm_tiles_resize(ctypes.byref(plan.record), frame.pixels.ctypes.data, keep.ctypes.data,
                                      self._output.ctypes.data)
        return self._output


class _Plan(NamedTuple):
    """What the library reads: a record, and the arrays in it."""

    record: ResizeRecord
    arrays: tuple[np.ndarray, ...]


def _make_plan(image_wh: tuple[int, int], input_wh: tuple[int, int], is_swapped: bool, blocks: tuple[int, ...]
               ) -> _Plan:
    """Places the input's pixels in the image.

    Args:
        image_wh: Width and height of the images.
        input_wh: Width and height of the input.
        is_swapped: Whether the first and the last channel change places.
        blocks: Sizes of blocks to choose from, see ``list_blocks``.

    Returns:
        The plan.
    """
    width, height = input_wh
    left, column_weight = _place(image_wh[0], width)
    above, row_weight = _place(image_wh[1], height)
    # At its border an image goes on as it is.
    column_weight[(left < 0) | (left >= image_wh[0] - 1)] = 1 << WEIGHT_BITS, 0
    columns = 3 * np.clip(left, 0, image_wh[0] - 1)
    rows = np.clip(np.stack([above, above + 1], axis=1), 0, image_wh[1] - 1).astype(np.int32)
    pitch = 3 * width + REGION
    arrays: tuple[np.ndarray, ...] = (columns.astype(np.int32), column_weight, rows, row_weight)
    scratch = np.empty((2, pitch), np.int16)
    record = ResizeRecord(
        3 * image_wh[0], width, height, *(array.ctypes.data for array in arrays),
        int(np.count_nonzero(columns + 8 <= 3 * image_wh[0])), is_swapped, scratch=scratch.ctypes.data,
        scratch_pitch=pitch)
    for record.block in blocks:
        tables = _place_blocks(columns, column_weight, 3 * image_wh[0], is_swapped, record.block)
        if tables is not None:
            record.block_byte, record.block_index, record.block_weight = (table.ctypes.data for table in tables)
            return _Plan(record, (*arrays, scratch, *tables))
    record.block = 0
    return _Plan(record, (*arrays, scratch))


def _place_blocks(columns: np.ndarray, weights: np.ndarray, row_bytes: int, is_swapped: bool, size: int
                  ) -> tuple[np.ndarray, ...] | None:
    """Finds the bytes of a row that each value of the input needs, block by block.

    Args:
        columns: int64 [width], byte of the left one of two pixels.
        weights: int16 [width, 2].
        row_bytes: Length of a row of the image.
        is_swapped: Whether the first and the last channel change places.
        size: Values in a block, which reads 4 bytes a value.

    Returns:
        ``block_byte``, ``block_index`` and ``block_weight`` of native/resize.h; None where a block needs bytes that lie
        too far from one another.
    """
    channels = np.arange(3)[::-1] if is_swapped else np.arange(3)
    left = (columns[:, None] + channels).ravel()
    # What has no weight is read from where it does no harm.
    right = np.where(weights[:, 1:] > 0, columns[:, None] + channels + 3, columns[:, None] + channels).ravel()
    pairs = np.stack([left, right], axis=1)
    values = -(-len(pairs) // REGION) * REGION
    pairs = np.concatenate([pairs, np.repeat(pairs[-1:], values - len(pairs), axis=0)]).reshape(-1, 2 * size)
    first = np.minimum(pairs.min(axis=1), row_bytes - 4 * size)
    if first.min() < 0 or (pairs.max(axis=1) - first).max() >= 4 * size:
        return None
    index = _aligned((values, 4), np.uint8)
    index[:] = NO_BYTE
    index[:, ::2] = (pairs - first[:, None]).reshape(-1, 2)
    weight = _aligned((values, 2), np.int16)
    weight[:3 * len(weights)] = weights.repeat(3, axis=0)
    if size == 4:
        for table in (index, weight):
            # As two vectors of 8 values are packed: the first and the third four of 16, then the others.
            table[:] = table.reshape(-1, 4, 4, table.shape[1])[:, [0, 2, 1, 3]].reshape(table.shape)
    return first.astype(np.int32), index, weight


def _aligned(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros at an address that vectors of any length can be read from."""
    bytes_needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(bytes_needed + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start:start + bytes_needed].view(dtype).reshape(shape)


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


def list_blocks() -> tuple[int, ...]:
    """Numbers of values that this processor can resize at a time, the fastest first."""
    library = _bind_library()
    if library is None:
        return ()
    sizes = map(library.rm_tiles_resize_block, itertools.count())
    return tuple(itertools.takewhile(bool, sizes))


@functools.cache
def _bind_library() -> ctypes.CDLL | None:
    library = open_library().handle
    if library is not None:
        address = ctypes.c_void_p
        library.rm_tiles_resize.argtypes, library.rm_tiles_resize.restype = [address] * 4, None
        library.rm_tiles_resize_block.argtypes, library.rm_tiles_resize_block.restype = [ctypes.c_int64], ctypes.c_int64
    return library
