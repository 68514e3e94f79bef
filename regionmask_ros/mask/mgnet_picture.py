"""What the light network sees: the camera's picture made small, in numbers around zero, and the change beside it."""

from __future__ import annotations

import cv2
import numpy as np

from ..engine.kernel_cache import kernel


def shrink(picture: np.ndarray, small: np.ndarray) -> None:
    """Fills small, uint8 [h, w, 3], with the whole of picture, uint8 of any size.

    By way of twice the size wanted, at which the nearest pixels are taken: means of four pixels each. A mean over all
    of them takes ten times as long, and the network does not tell the two apart.
    """
    height, width = small.shape[:2]
    middle = cv2.resize(picture, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    cv2.resize(middle, (width, height), dst=small, interpolation=cv2.INTER_AREA)


@kernel
def prepare(small, change, scale, mean, result):
    """(value - mean) * scale into result, float32 [h + 2, w + 2, 4], inside its border.

    small: uint8 [h, w, 3], 255 counts as 1. change: float32 [h, w].
    """
    factor = scale / np.float32(255.0)
    for y in range(small.shape[0]):
        for x in range(small.shape[1]):
            for c in range(3):
                result[y + 1, x + 1, c] = np.float32(small[y, x, c]) * factor - mean * scale
            result[y + 1, x + 1, 3] = (change[y, x] - mean) * scale
