"""Other pictures made of a picture, so that the ranges of few pictures hold for many."""

from __future__ import annotations

import cv2
import numpy as np

_MIDDLE, _CONTRAST, _DARKNESS = 110.0, 1.6, 0.5


def make_variants(picture: np.ndarray) -> list[np.ndarray]:
    """Makes other pictures of the same size.

    Args:
        picture: uint8 [rows, cols, 3].

    Returns:
        uint8 each: things twice as near; half as far and four times as many; with more contrast, mirrored; in the dark.
    """
    rows, cols = picture.shape[:2]
    near = cv2.resize(picture[rows // 4:rows - rows // 4, cols // 4:cols - cols // 4], (cols, rows))
    return [near, make_far(picture), _scale(picture[:, ::-1], _CONTRAST), _scale(picture, _DARKNESS, 0.0)]


def make_far(picture: np.ndarray) -> np.ndarray:
    """Makes a picture of the same size in which things are half as large and four times as many.

    Args:
        picture: uint8 [rows, cols, 3].

    Returns:
        uint8 of the same shape.
    """
    rows, cols = picture.shape[:2]
    small = cv2.resize(picture, (-(-cols // 2), -(-rows // 2)), interpolation=cv2.INTER_AREA)
    return np.tile(small, (2, 2, 1))[:rows, :cols]


def _scale(picture: np.ndarray, factor: float, fixed: float = _MIDDLE) -> np.ndarray:
    """Scales values, of which ``fixed`` stays as it is."""
    scaled = (picture.astype(np.float32) - fixed) * factor + fixed
    bounded: np.ndarray = np.clip(np.rint(scaled), 0, 255)
    return bounded.astype(np.uint8)
