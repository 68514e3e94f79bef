"""The mask network in the shape that the paper describes: MGNet, arXiv 2503.16775.

Patches of 16x16 input pixels, one for every region of the detector's input, are the tokens of one transformer block.
After the block, the class token's attention on each region, weighted over the three heads, is the region's score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from .kernels import LOWEST, MEAN, SCALE, TransformerBlock, block_shapes, product

PATCH_PX = 16
WIDTH, HIDDEN, HEADS = 192, 384, 3
PLACE_SIDE = 28
"""Rows and columns of the learned table of positions; other grids interpolate it."""

_MEAN, _SCALE = np.float32(MEAN), np.float32(SCALE)

SHAPES: Mapping[str, tuple[int, ...]] = {
    "patch.weight": (PATCH_PX * PATCH_PX * 3, WIDTH), "patch.bias": (WIDTH,),
    "place.weight": (PLACE_SIDE * PLACE_SIDE, WIDTH), "class.token": (1, WIDTH),
    **block_shapes(WIDTH, HIDDEN),
    "norm3.scale": (WIDTH,), "norm3.shift": (WIDTH,),
    "class_query.weight": (WIDTH, WIDTH), "class_query.bias": (WIDTH,),
    "class_key.weight": (WIDTH, WIDTH), "class_key.bias": (WIDTH,),
    "score.weight": (HEADS, 1), "score.bias": (1,),
}
"""Arrays of a weights file. Rows of ``patch.weight`` are ordered by y, x, channel; those of ``place.weight`` by row and
column."""


class PaperNetwork:
    """The paper-shaped network of one camera, with its buffers.

    Args:
        weights: Arrays as ``SHAPES`` says, float32.
        grid_wh: Columns and rows of regions.

    Attributes:
        shape: Rows and columns of regions.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], grid_wh: tuple[int, int]) -> None:
        cols, rows = grid_wh
        self.shape, count = (rows, cols), rows * cols
        self._weights = {name: np.ascontiguousarray(weights[name], np.float32) for name in SHAPES}
        table = self._weights["place.weight"].reshape(PLACE_SIDE, PLACE_SIDE, WIDTH)
        self._place = _interpolate(table, rows, cols).reshape(count, WIDTH)
        self._input = np.empty((rows * PATCH_PX, cols * PATCH_PX, 3), np.float32)
        self._block = TransformerBlock(self._weights, count + 1, HEADS)

    @property
    def macs(self) -> int:
        """Multiplications of one run."""
        count = self.shape[0] * self.shape[1]
        size = {name: int(np.prod(shape)) for name, shape in SHAPES.items() if name.endswith("weight")}
        of_all = sum(size[name] for name in ("query.weight", "key.weight", "value.weight", "join.weight", "up.weight",
                                             "down.weight"))
        return (count * (size["patch.weight"] + size["class_key.weight"] + WIDTH + HEADS) + size["class_query.weight"]
                + (count + 1) * of_all + 2 * (count + 1) ** 2 * WIDTH)

    def run(self, image: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Scores the regions of a frame.

        Args:
            image: uint8 [16 * rows, 16 * cols, 3], RGB.
            change: Not used; the light network uses it.

        Returns:
            Logits of the regions, float32 [rows, cols].
        """
        np.multiply(image, _SCALE / np.float32(255.0), out=self._input, casting="unsafe")
        self._input -= _MEAN * _SCALE
        return self._run_input()

    def of_input(self, values: np.ndarray) -> np.ndarray:
        """As ``run``, for an input that is prepared already: float32 [16 * rows, 16 * cols, 3]."""
        self._input[:] = values
        return self._run_input()

    def _run_input(self) -> np.ndarray:
        block = self._block
        self._embed_patches(block.stream)
        block.run()
        block.normalize("norm3")
        query = block.normal[0] @ self._weights["class_query.weight"] + self._weights["class_query.bias"]
        block.linear("class_key", block.normal, block.key)
        per_head = (block.key[1:] * query).reshape(-1, HEADS, WIDTH // HEADS).sum(axis=2)
        per_head = per_head / np.float32(math.sqrt(WIDTH // HEADS))
        scores: np.ndarray = per_head @ self._weights["score.weight"][:, 0] + self._weights["score.bias"][0]
        return scores.reshape(self.shape)

    def _embed_patches(self, stream: np.ndarray) -> None:
        """Fills the stream: the class token, then the tokens of all regions."""
        w, line = self._weights, self._input.shape[1] * 3
        rows, cols = self.shape
        stream[0] = w["class.token"][0]
        for row in range(rows):
            product(self._input.reshape(-1), (row * PATCH_PX * line, PATCH_PX * 3, line, PATCH_PX, PATCH_PX * 3),
                    w["patch.weight"], w["patch.bias"], stream.reshape(-1), ((1 + row * cols) * WIDTH, WIDTH), cols,
                    LOWEST)
        stream[1:] += self._place


def _interpolate(table: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """float32 [rows, cols, n] from [r, c, n], bilinear, equal to torch's ``interpolate``."""
    for axis, count in ((0, rows), (1, cols)):
        size = table.shape[axis]
        at = np.maximum((np.arange(count) + 0.5) * size / count - 0.5, 0.0)
        low = np.minimum(at.astype(np.int64), size - 1)
        high = np.minimum(low + 1, size - 1)
        part = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        table = np.take(table, low, axis) * (1 - part) + np.take(table, high, axis) * part
    return np.ascontiguousarray(table, np.float32)
