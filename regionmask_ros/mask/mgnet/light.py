"""What the light network sees: the camera's picture made small, in numbers around zero, and the change beside it.

The light mask network: three convolutions on a small picture, one transformer block, a score for every cell.

The picture has 8 pixels a token along each side, and a fourth channel: how much each place has changed. A cell is half
a token wide and high. Keys and values are those of means of 2x2 tokens, which is a quarter of the work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from ...jit.cache import kernel
from .kernels import LANES, LOWEST, MEAN, SCALE, ZERO, attend, block_shapes, convolve, linear, normalise, pool_pairs


def shrink_into(image: np.ndarray, small: np.ndarray) -> None:
    """Fills small, uint8 [h, w, 3], with the whole of picture, uint8 of any size.

    By way of twice the size wanted, at which the nearest pixels are taken: means of four pixels each. A mean over all
    of them takes ten times as long, and the network does not tell the two apart.
    """
    height, width = small.shape[:2]
    middle = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
    cv2.resize(middle, (width, height), dst=small, interpolation=cv2.INTER_AREA)


@kernel
def normalise_into(small, change, scale, mean, result):
    """(value - mean) * scale into result, float32 [h + 2, w + 2, 4], inside its border.

    small: uint8 [h, w, 3], 255 counts as 1. change: float32 [h, w].
    """
    factor = scale / np.float32(255.0)
    for y in range(small.shape[0]):
        for x in range(small.shape[1]):
            for c in range(3):
                result[y + 1, x + 1, c] = np.float32(small[y, x, c]) * factor - mean * scale
            result[y + 1, x + 1, 3] = (change[y, x] - mean) * scale


TOKENS = 200
"""At most, so that the cost hardly depends on the camera's shape."""

TOKEN_PX = 8
CHANNELS, STEM, WIDTH, HIDDEN, HEADS, PLACES = 4, (16, 24), 32, 64, 2, 5

_MEAN, _SCALE = np.float32(MEAN), np.float32(SCALE)

SHAPES: Mapping[str, tuple[int, ...]] = {
    "stem1.weight": (9 * CHANNELS, STEM[0]), "stem1.bias": (STEM[0],),
    "stem2.weight": (9 * STEM[0], STEM[1]), "stem2.bias": (STEM[1],),
    "stem3.weight": (9 * STEM[1], WIDTH), "stem3.bias": (WIDTH,),
    "place.weight": (PLACES, WIDTH),
    **block_shapes(WIDTH, HIDDEN),
    "mix.weight": (9 * WIDTH, WIDTH), "mix.bias": (WIDTH,),
    "score.weight": (WIDTH, 4), "score.bias": (4,),
    "fine.weight": (STEM[1], 1), "fine.bias": (1,),
}
"""Arrays of a weights file. A convolution's rows are ordered by y, x, channel."""


def token_grid(image_wh: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of tokens for a picture of that shape: even numbers, at most ``TOKENS`` of them in all.

    >>> tokens_of((640, 480)), tokens_of((1280, 720)), tokens_of((1224, 370))
    ((12, 16), (10, 18), (8, 24))
    """
    aspect = image_wh[0] / image_wh[1]
    sizes = [(rows, cols) for rows in range(2, TOKENS // 2 + 1, 2) for cols in range(2, TOKENS // rows + 1, 2)]

    def shape_error(size: tuple[int, int]) -> float:
        rows, cols = size
        return abs(math.log(cols / rows / aspect)) + 0.5 * math.log(TOKENS / (rows * cols))

    return min(sizes, key=shape_error)


def token_positions(rows: int, cols: int) -> np.ndarray:
    """float32 [rows * cols, PLACES]: where each token lies, from -1 to 1, for ``to_window.weight``."""
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows * 2 - 1, (np.arange(cols) + 0.5) / cols * 2 - 1, indexing="ij")
    return np.stack([y, x, y * y, x * x, y * x], axis=2).reshape(-1, PLACES).astype(np.float32)


class LightNetwork:
    """One camera's network with its buffers. shape: rows and columns of cells, twice those of tokens."""

    def __init__(self, weights: Mapping[str, np.ndarray], image_wh: tuple[int, int]) -> None:
        """weights: as ``SHAPES`` says, float32."""
        rows, cols = token_grid(image_wh)
        self.shape, self._tokens = (2 * rows, 2 * cols), (rows, cols)
        self._weights = {name: _pad_lanes(weights[name]) for name in SHAPES}
        self._place = token_positions(rows, cols) @ np.asarray(weights["place.weight"], np.float32)
        count, pooled = rows * cols, rows * cols // 4
        room = -(-pooled // LANES) * LANES
        self._small = np.empty((rows * TOKEN_PX, cols * TOKEN_PX, 3), np.uint8)
        depths = (CHANNELS, *STEM, WIDTH)
        self._maps = [_add_border(rows * TOKEN_PX >> level, cols * TOKEN_PX >> level, depth)
                      for level, depth in enumerate(depths)]
        self._mixing, self._mixed = _add_border(rows, cols, WIDTH), _add_border(rows, cols, WIDTH)
        self._stream, self._normal, self._query, self._attended, self._change = np.empty((5, count, WIDTH), np.float32)
        self._pool, self._key, self._value = np.empty((3, pooled, WIDTH), np.float32)
        self._hidden = np.empty((count, HIDDEN), np.float32)
        self._turned, self._scores = np.zeros((WIDTH // HEADS, room), np.float32), np.empty((count, room), np.float32)
        self._nothing = np.zeros(max(room, WIDTH), np.float32)
        self._coarse, self._fine = np.empty((count, LANES), np.float32), np.empty((4 * count, LANES), np.float32)
        self._detail = np.empty((4 * count, STEM[1]), np.float32)
        self._logits = np.empty(self.shape, np.float32)

    @property
    def macs(self) -> int:
        """Multiplications of one run, padding not counted."""
        rows, cols = self._tokens
        count, pooled = rows * cols, rows * cols // 4
        size = {name: int(np.prod(shape)) for name, shape in SHAPES.items() if name.endswith("weight")}
        per_token = sum(size[name] for name in ("stem3.weight", "query.weight", "join.weight", "up.weight",
                                                "down.weight", "mix.weight", "score.weight"))
        return (16 * count * size["stem1.weight"] + 4 * count * (size["stem2.weight"] + size["fine.weight"])
                + count * per_token + pooled * (size["key.weight"] + size["value.weight"]) + 2 * count * pooled * WIDTH)

    def run(self, image: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Logits of the cells, float32 [2 * rows, 2 * cols], valid until the next run.

        picture: uint8 [h, w, 3], RGB, of any size. change: float32 [r, c], 0 to 1, over the same area.
        """
        height, width = self._small.shape[:2]
        shrink_into(image, self._small)
        moved = cv2.resize(change, (width, height), interpolation=cv2.INTER_LINEAR)
        normalise_into(self._small, moved, _SCALE, _MEAN, self._maps[0])
        return self._of_map()

    def of_input(self, values: np.ndarray) -> np.ndarray:
        """As ``run``, for float32 [8 * rows, 8 * cols, 4] that is prepared already."""
        _inside(self._maps[0])[:] = values
        return self._of_map()

    def _of_map(self) -> np.ndarray:
        w, maps, stream = self._weights, self._maps, self._stream
        for level in (1, 2, 3):
            convolve(maps[level - 1], w[f"stem{level}.weight"], w[f"stem{level}.bias"], 2, maps[level])
        rows, cols = self._tokens
        grid = stream.reshape(rows, cols, WIDTH)
        np.add(_inside(maps[3]), self._place.reshape(grid.shape), out=grid)
        self._block()
        _inside(self._mixing)[:] = grid
        convolve(self._mixing, w["mix.weight"], w["mix.bias"], 1, self._mixed)
        np.add(grid, _inside(self._mixed), out=grid)
        linear(stream, w["score.weight"], w["score.bias"], self._coarse, LOWEST)
        self._detail.reshape(2 * rows, 2 * cols, -1)[:] = _inside(maps[2])
        linear(self._detail, w["fine.weight"], w["fine.bias"], self._fine, LOWEST)
        corners = self._coarse[:, :4].reshape(rows, cols, 2, 2).transpose(0, 2, 1, 3)
        fine = self._fine[:, 0].reshape(rows, 2, cols, 2)
        np.add(corners, fine, out=self._logits.reshape(rows, 2, cols, 2))
        return self._logits

    def _block(self) -> None:
        """The transformer block, on the stream of tokens."""
        w, stream, normal, change = self._weights, self._stream, self._normal, self._change
        rows, cols = self._tokens
        normalise(stream, w["norm1.scale"], w["norm1.shift"], normal)
        pool_pairs(normal, cols, self._pool)
        linear(normal, w["query.weight"], w["query.bias"], self._query, LOWEST)
        linear(self._pool, w["key.weight"], w["key.bias"], self._key, LOWEST)
        linear(self._pool, w["value.weight"], w["value.bias"], self._value, LOWEST)
        attend(self._query, self._key, self._value, HEADS, self._turned, self._scores, self._nothing, self._attended)
        linear(self._attended, w["join.weight"], w["join.bias"], change, LOWEST)
        np.add(stream, change, out=stream)
        normalise(stream, w["norm2.scale"], w["norm2.shift"], normal)
        linear(normal, w["up.weight"], w["up.bias"], self._hidden, ZERO)
        linear(self._hidden, w["down.weight"], w["down.bias"], change, LOWEST)
        np.add(stream, change, out=stream)


def _pad_lanes(weight: np.ndarray) -> np.ndarray:
    """The last axis filled up with zeros to a multiple of ``LANES``."""
    missing = -weight.shape[-1] % LANES
    return np.ascontiguousarray(np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(0, missing)]), np.float32)


def _add_border(rows: int, cols: int, depth: int) -> np.ndarray:
    return np.zeros((rows + 2, cols + 2, depth), np.float32)


def _inside(bordered: np.ndarray) -> np.ndarray:
    return bordered[1:-1, 1:-1]
