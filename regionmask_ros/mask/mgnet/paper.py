"""The paper-shaped mask network: patches of 16x16 input pixels, one transformer block, and the class token's attention.

Every region of the detector's input is a token. After the block, the class token asks every token, in three heads; how
well each fits, weighted over the heads, is the region's score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from .kernels import LANES, LOWEST, MEAN, SCALE, ZERO, attend, block_shapes, linear, normalise, product

PATCH_PX = 16
WIDTH, HIDDEN, HEADS = 192, 384, 3
PLACE_SIDE = 28
"""Rows and columns of the learned table of places; other grids interpolate it."""

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
"""Arrays of a weights file. ``patch.weight``'s rows are ordered by y, x, channel; ``to_window.weight``'s by row, column."""


class PaperNetwork:
    """One camera's network with its buffers. shape: rows and columns of regions."""

    def __init__(self, weights: Mapping[str, np.ndarray], grid_wh: tuple[int, int]) -> None:
        """weights: as ``SHAPES`` says, float32. grid_wh: columns and rows of regions."""
        cols, rows = grid_wh
        self.shape, count = (rows, cols), rows * cols
        self._weights = {name: np.ascontiguousarray(weights[name], np.float32) for name in SHAPES}
        table = self._weights["place.weight"].reshape(PLACE_SIDE, PLACE_SIDE, WIDTH)
        self._place = _interpolate(table, rows, cols).reshape(count, WIDTH)
        self._input = np.empty((rows * PATCH_PX, cols * PATCH_PX, 3), np.float32)
        self._stream, self._normal, self._query, self._key, self._value, self._attended, self._change = np.empty(
            (7, count + 1, WIDTH), np.float32)
        self._hidden = np.empty((count + 1, HIDDEN), np.float32)
        room = -(-(count + 1) // LANES) * LANES
        self._turned = np.zeros((WIDTH // HEADS, room), np.float32)
        self._scores = np.empty((count + 1, room), np.float32)
        self._nothing = np.zeros(max(room, WIDTH), np.float32)

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
        """Logits of the regions, float32 [rows, cols].

        picture: uint8 [16 * rows, 16 * cols, 3], RGB. change: not looked at; the light network does.
        """
        np.multiply(image, _SCALE / np.float32(255.0), out=self._input, casting="unsafe")
        self._input -= _MEAN * _SCALE
        return self._of_input()

    def of_input(self, values: np.ndarray) -> np.ndarray:
        """As ``run``, for float32 [16 * rows, 16 * cols, 3] that is prepared already."""
        self._input[:] = values
        return self._of_input()

    def _of_input(self) -> np.ndarray:
        w, stream, normal, change = self._weights, self._stream, self._normal, self._change
        self._patches()
        normalise(stream, w["norm1.scale"], w["norm1.shift"], normal)
        for name, result in (("query", self._query), ("key", self._key), ("value", self._value)):
            linear(normal, w[f"{name}.weight"], w[f"{name}.bias"], result, LOWEST)
        attend(self._query, self._key, self._value, HEADS, self._turned, self._scores, self._nothing, self._attended)
        linear(self._attended, w["join.weight"], w["join.bias"], change, LOWEST)
        np.add(stream, change, out=stream)
        normalise(stream, w["norm2.scale"], w["norm2.shift"], normal)
        linear(normal, w["up.weight"], w["up.bias"], self._hidden, ZERO)
        linear(self._hidden, w["down.weight"], w["down.bias"], change, LOWEST)
        np.add(stream, change, out=stream)
        normalise(stream, w["norm3.scale"], w["norm3.shift"], normal)
        return self._class_scores()

    def _patches(self) -> None:
        """Tokens of all regions behind the class token, in the stream."""
        w, line = self._weights, self._input.shape[1] * 3
        rows, cols = self.shape
        self._stream[0] = w["class.token"][0]
        for row in range(rows):
            product(self._input.reshape(-1), row * PATCH_PX * line, PATCH_PX * 3, line, PATCH_PX, PATCH_PX * 3,
                    w["patch.weight"], w["patch.bias"], self._stream.reshape(-1), (1 + row * cols) * WIDTH, WIDTH, cols,
                    LOWEST)
        self._stream[1:] += self._place

    def _class_scores(self) -> np.ndarray:
        w, normal = self._weights, self._normal
        query = normal[0] @ w["class_query.weight"] + w["class_query.bias"]
        linear(normal, w["class_key.weight"], w["class_key.bias"], self._key, LOWEST)
        per_head = (self._key[1:] * query).reshape(-1, HEADS, WIDTH // HEADS).sum(axis=2)
        scores = per_head / np.float32(math.sqrt(WIDTH // HEADS)) @ w["score.weight"][:, 0] + w["score.bias"][0]
        return scores.reshape(self.shape)


def _interpolate(table: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """float32 [rows, cols, n] from [r, c, n], bilinear, as torch's ``interpolate`` has it."""
    for axis, count in ((0, rows), (1, cols)):
        size = table.shape[axis]
        at = np.maximum((np.arange(count) + 0.5) * size / count - 0.5, 0.0)
        low = np.minimum(at.astype(np.int64), size - 1)
        high = np.minimum(low + 1, size - 1)
        part = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        table = np.take(table, low, axis) * (1 - part) + np.take(table, high, axis) * part
    return np.ascontiguousarray(table, np.float32)
