"""The paper-shaped mask network: patches of 16x16 input pixels, one transformer block, and the class token's attention.

Every region of the detector's input is a token. After the block, the class token asks every token, in three heads; how
well each fits, weighted over the heads, is the region's score.
"""

from __future__ import annotations

from typing import Mapping

import cv2
import numpy as np

from .mgnet_kernels import attend, normalise, product

PATCH_PX = 16
WIDTH, HIDDEN, HEADS = 192, 384, 3
PLACE_SIDE = 28
"""Rows and columns of the learned table of places; other grids interpolate it."""

MEAN, SCALE = np.float32(0.45), np.float32(4.0)
"""The network sees (value / 255 - MEAN) * SCALE."""

SHAPES: Mapping[str, tuple[int, ...]] = {
    "patch.weight": (PATCH_PX * PATCH_PX * 3, WIDTH), "patch.bias": (WIDTH,),
    "place.weight": (PLACE_SIDE * PLACE_SIDE, WIDTH), "class.token": (1, WIDTH),
    "norm1.scale": (WIDTH,), "norm1.shift": (WIDTH,),
    "query.weight": (WIDTH, WIDTH), "query.bias": (WIDTH,),
    "key.weight": (WIDTH, WIDTH), "key.bias": (WIDTH,),
    "value.weight": (WIDTH, WIDTH), "value.bias": (WIDTH,),
    "join.weight": (WIDTH, WIDTH), "join.bias": (WIDTH,),
    "norm2.scale": (WIDTH,), "norm2.shift": (WIDTH,),
    "up.weight": (WIDTH, HIDDEN), "up.bias": (HIDDEN,),
    "down.weight": (HIDDEN, WIDTH), "down.bias": (WIDTH,),
    "norm3.scale": (WIDTH,), "norm3.shift": (WIDTH,),
    "class_query.weight": (WIDTH, WIDTH), "class_query.bias": (WIDTH,),
    "class_key.weight": (WIDTH, WIDTH), "class_key.bias": (WIDTH,),
    "score.weight": (HEADS, 1), "score.bias": (1,),
}
"""Arrays of a weights file. ``patch.weight``'s rows are ordered by y, x, channel; ``place.weight``'s by row, column."""
