"""The light mask network: three convolutions on a small image, one transformer block, and a score for every cell.

It follows MGNet (arXiv 2503.16775) in its purpose and differs in its shape. The image has 8 pixels a token along each
side and a fourth channel: how much each place has changed. A cell is half a token wide and high. Keys and values are
those of means of 2x2 tokens, which is a quarter of the work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np

from ...jit.cache import kernel
from .kernels import LANES, MEAN, SCALE, TransformerBlock, block_shapes, convolve

TOKENS = 200
"""Largest number of tokens: the cost hardly depends on the camera's shape."""

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
"""Arrays of a weights file. The rows of a convolution are ordered by y, x, channel."""


def token_grid(image_wh: tuple[int, int]) -> tuple[int, int]:
    """Chooses the token grid whose shape is nearest to that of an image.

    >>> token_grid((640, 480)), token_grid((1280, 720)), token_grid((1224, 370))
    ((12, 16), (10, 18), (8, 24))

    Args:
        image_wh: Width and height of the image.

    Returns:
        Rows and columns: even numbers, at most ``TOKENS`` tokens in all.
    """
    aspect = image_wh[0] / image_wh[1]
    sizes = [(rows, cols) for rows in range(2, TOKENS // 2 + 1, 2) for cols in range(2, TOKENS // rows + 1, 2)]

    def shape_error(size: tuple[int, int]) -> float:
        rows, cols = size
        return abs(math.log(cols / rows / aspect)) + 0.5 * math.log(TOKENS / (rows * cols))

    return min(sizes, key=shape_error)


def token_positions(rows: int, cols: int) -> np.ndarray:
    """Position of each token, the input of ``place.weight``.

    Args:
        rows: Rows of the token grid.
        cols: Columns of the token grid.

    Returns:
        float32 [rows * cols, PLACES]: y, x, y * y, x * x, y * x, where y and x go from -1 to 1.
    """
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows * 2 - 1, (np.arange(cols) + 0.5) / cols * 2 - 1, indexing="ij")
    return np.stack([y, x, y * y, x * x, y * x], axis=2).reshape(-1, PLACES).astype(np.float32)


class LightNetwork:
    """The light network of one camera, with its buffers.

    Args:
        weights: Arrays as ``SHAPES`` says, float32.
        image_wh: Width and height of the camera's image or of the detector's input.

    Attributes:
        shape: Rows and columns of cells, twice those of tokens.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], image_wh: tuple[int, int]) -> None:
        rows, cols = token_grid(image_wh)
        self.shape, self._tokens = (2 * rows, 2 * cols), (rows, cols)
        self._weights = {name: _pad_lanes(weights[name]) for name in SHAPES}
        self._place = token_positions(rows, cols) @ np.asarray(weights["place.weight"], np.float32)
        count = rows * cols
        self._block = TransformerBlock(self._weights, count, HEADS, pool_cols=cols)
        self._small = np.empty((rows * TOKEN_PX, cols * TOKEN_PX, 3), np.uint8)
        depths = (CHANNELS, *STEM, WIDTH)
        self._maps = [_make_bordered(rows * TOKEN_PX >> level, cols * TOKEN_PX >> level, depth)
                      for level, depth in enumerate(depths)]
        self._mixing, self._mixed = _make_bordered(rows, cols, WIDTH), _make_bordered(rows, cols, WIDTH)
        self._coarse, self._fine = np.empty((count, LANES), np.float32), np.empty((4 * count, LANES), np.float32)
        self._detail = np.empty((4 * count, STEM[1]), np.float32)
        self._logits = np.empty(self.shape, np.float32)

    @property
    def macs(self) -> int:
        """Multiplications of one run, without those of padding."""
        rows, cols = self._tokens
        count, pooled = rows * cols, rows * cols // 4
        size = {name: int(np.prod(shape)) for name, shape in SHAPES.items() if name.endswith("weight")}
        per_token = sum(size[name] for name in ("stem3.weight", "query.weight", "join.weight", "up.weight",
                                                "down.weight", "mix.weight", "score.weight"))
        return (16 * count * size["stem1.weight"] + 4 * count * (size["stem2.weight"] + size["fine.weight"])
                + count * per_token + pooled * (size["key.weight"] + size["value.weight"]) + 2 * count * pooled * WIDTH)

    def run(self, image: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Scores the cells of a frame.

        Args:
            image: uint8 [h, w, 3], RGB, of any size.
            change: float32 [r, c], 0 to 1, over the same area.

        Returns:
            Logits of the cells, float32 [2 * rows, 2 * cols], valid until the next run.
        """
        height, width = self._small.shape[:2]
        # The nearest pixels at twice the size, then means of four: a mean over all pixels takes ten times as long, and
        # the network's scores are as good.
        double = cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_NEAREST)
        cv2.resize(double, (width, height), dst=self._small, interpolation=cv2.INTER_AREA)
        moved = cv2.resize(change, (width, height), interpolation=cv2.INTER_LINEAR)
        _normalize_input(self._small, moved, _SCALE, _MEAN, self._maps[0])
        return self._run_maps()

    def of_input(self, values: np.ndarray) -> np.ndarray:
        """As ``run``, for an input that is prepared already: float32 [8 * rows, 8 * cols, 4]."""
        _inside(self._maps[0])[:] = values
        return self._run_maps()

    def _run_maps(self) -> np.ndarray:
        """Logits of the input that lies in the first map."""
        maps, block = self._maps, self._block
        for level in (1, 2, 3):
            self._convolve(f"stem{level}", maps[level - 1], 2, maps[level])
        rows, cols = self._tokens
        grid = block.stream.reshape(rows, cols, WIDTH)
        np.add(_inside(maps[3]), self._place.reshape(grid.shape), out=grid)
        block.run()
        _inside(self._mixing)[:] = grid
        self._convolve("mix", self._mixing, 1, self._mixed)
        np.add(grid, _inside(self._mixed), out=grid)
        block.linear("score", block.stream, self._coarse)
        self._detail.reshape(2 * rows, 2 * cols, -1)[:] = _inside(maps[2])
        block.linear("fine", self._detail, self._fine)
        corners = self._coarse[:, :4].reshape(rows, cols, 2, 2).transpose(0, 2, 1, 3)
        fine = self._fine[:, 0].reshape(rows, 2, cols, 2)
        np.add(corners, fine, out=self._logits.reshape(rows, 2, cols, 2))
        return self._logits

    def _convolve(self, name: str, source: np.ndarray, stride: int, result: np.ndarray) -> None:
        convolve(source, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], stride, result)


@kernel
def _normalize_input(small: np.ndarray, change: np.ndarray, scale: np.float32, mean: np.float32, result: np.ndarray
                     ) -> None:
    """(value - mean) * scale of uint8 [h, w, 3], where 255 is 1, and of float32 [h, w], inside the border of result."""
    factor = scale / np.float32(255.0)
    for y in range(small.shape[0]):
        for x in range(small.shape[1]):
            for c in range(3):
                result[y + 1, x + 1, c] = np.float32(small[y, x, c]) * factor - mean * scale
            result[y + 1, x + 1, 3] = (change[y, x] - mean) * scale


def _pad_lanes(weight: np.ndarray) -> np.ndarray:
    """The last axis filled up with zeros to a multiple of ``LANES``."""
    missing = -weight.shape[-1] % LANES
    return np.ascontiguousarray(np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(0, missing)]), np.float32)


def _make_bordered(rows: int, cols: int, depth: int) -> np.ndarray:
    """Zeros, float32 [rows + 2, cols + 2, depth]."""
    return np.zeros((rows + 2, cols + 2, depth), np.float32)


def _inside(bordered: np.ndarray) -> np.ndarray:
    return bordered[1:-1, 1:-1]
