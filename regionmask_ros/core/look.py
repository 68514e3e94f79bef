"""Looks: the windows of a camera's image that a dense network computes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Look:
    """A window of the image, resized to an input of the network.

    Attributes:
        window: x0, y0, x1, y1 in image pixels, inside the image.
        input_wh: Width and height of the network's input.
    """

    window: tuple[float, float, float, float]
    input_wh: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Image pixels per input pixel, across and down."""
        x0, y0, x1, y1 = self.window
        return (x1 - x0) / self.input_wh[0], (y1 - y0) / self.input_wh[1]

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Maps boxes from the input to the image.

        Args:
            boxes: float [n, 4], x0 y0 x1 y1 in input pixels.

        Returns:
            float64 [n, 4], in image pixels.
        """
        moved: np.ndarray = boxes * np.array(self.scale * 2) + np.array(self.window[:2] * 2)
        return moved

    def to_input(self, boxes: np.ndarray) -> np.ndarray:
        """Maps boxes from the image to the input; the inverse of ``to_image``."""
        moved: np.ndarray = (boxes - np.array(self.window[:2] * 2)) / np.array(self.scale * 2)
        return moved


@dataclass(frozen=True)
class LookImage:
    """What a dense backend computes.

    Attributes:
        look: The window.
        image: uint8 [height, width, 3], RGB, of the size ``look.input_wh``; contiguous.
    """

    look: Look
    image: np.ndarray


@dataclass(frozen=True)
class MaskedImage:
    """What the tile engine computes: the whole image, of which it may recompute some regions.

    Attributes:
        look: The window, which is the whole image.
        image: uint8 [height, width, 3], RGB, of the size ``look.input_wh``; contiguous. It holds anything where it is
            not observed.
        keep: bool [rows, cols], True = observed: only there, tensors may change.
        level: Index of the thresholds, see ``tiles.network.TileNetwork``; None: thresholds of 0.
    """

    look: Look
    image: np.ndarray
    keep: np.ndarray
    level: int | None


@dataclass(frozen=True)
class LookOutput:
    """What a dense backend has computed.

    Attributes:
        look: The window.
        outputs: float32 arrays in the order of ``HeadSpec.outputs``, each with the batch axis of length 1 in front.
    """

    look: Look
    outputs: tuple[np.ndarray, ...]
