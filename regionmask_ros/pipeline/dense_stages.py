"""The stages of a dense network: the frame for mask sources, the windows that are looked at, and their pictures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np

from ..core.frame import Frame, resize_frame
from ..core.grid import RegionGrid
from ..core.look import Look, LookImage, MaskedImage
from ..core.result import RegionMask
from ..mask.composer import MaskComposer
from ..mask.rolling import find_rolling
from ..mask.tiling import Tiling
from ..tiles.partial_resize import PartialResize
from ..tracking.motion import share_changed


@dataclass
class DenseFrameView:
    """A frame as mask sources see it, see ``mask.source.FrameView``.

    Attributes:
        frame: The camera's image.
        input_wh: Width and height of the network's input.
        grid: The region grid.
        small: The image, downsampled; None where no mask needs it.
        before: The image before, downsampled; None where there is none.
        resize_s: Time that resizing has taken.
    """

    frame: Frame
    input_wh: tuple[int, int]
    grid: RegionGrid
    small: np.ndarray | None
    before: np.ndarray | None
    resize_s: float = field(default=0.0, init=False)

    @property
    def is_resized(self) -> bool:
        """Whether ``image`` is there already."""
        return "image" in vars(self)

    @cached_property
    def image(self) -> np.ndarray:
        """The network's input, uint8 [height, width, 3], RGB."""
        start = time.perf_counter()
        image = resize_frame(self.frame, self.input_wh)
        self.resize_s += time.perf_counter() - start
        return image

    @cached_property
    def change(self) -> np.ndarray:
        """Share of each region that has changed since the frame before, float32 [rows, cols]; 1 for a first frame."""
        if self.small is None or self.before is None or self.before.shape != self.small.shape:
            return np.ones(self.grid.shape, np.float32)
        return share_changed(self.before, self.small, self.grid.shape)


def plan_looks(tiling: Tiling, composer: MaskComposer, mask: RegionMask) -> tuple[Look, ...]:
    """Chooses the windows that cover a mask.

    Args:
        tiling: The windows of the camera.
        composer: The masks; a rolling schedule among them has chosen its own looks.
        mask: The mask of this frame.

    Returns:
        The looks; none in an idle frame.
    """
    rolling = find_rolling(composer.sources)
    if rolling is None:
        return (tiling.whole,) if mask.keep.all() else tiling.cover(mask.keep)
    # Only then the whole input is prepared.
    may_be_whole = rolling.burst > 0
    return rolling.looks if mask.refresh else tiling.cover(mask.keep, rolling.looks, may_be_whole)


def mask_image(view: DenseFrameView, mask: RegionMask, level: int | None, resize: PartialResize
               ) -> tuple[MaskedImage, ...]:
    """Prepares the image of the tile engine.

    Args:
        view: The frame.
        mask: The mask of this frame.
        level: Index of the thresholds; None: thresholds of 0.
        resize: Resizes what is observed, unless a mask has needed the whole image.

    Returns:
        The image, valid until the next frame; none where nothing is observed.
    """
    if not mask.keep.any():
        return ()
    width, height = view.frame.size_wh
    whole = Look((0.0, 0.0, float(width), float(height)), view.input_wh)
    image = view.image if view.is_resized else resize.resize(view.frame, mask.keep)
    return (MaskedImage(whole, image, mask.keep, level),)


def crop_looks(frame: Frame, looks: Sequence[Look]) -> list[LookImage]:
    """Cuts windows out of a frame, each with one bilinear resize.

    Args:
        frame: The camera's image.
        looks: The windows, of whole pixels.

    Returns:
        Their pictures, RGB.
    """
    return [LookImage(look, _crop(frame, look)) for look in looks]


def _crop(frame: Frame, look: Look) -> np.ndarray:
    x0, y0, x1, y1 = map(round, look.window)
    # A part of the image's array, which cv2 reads without a copy.
    pixels = frame.pixels[y0:y1, x0:x1]
    width, height = look.input_wh
    if pixels.shape[:2] != (height, width):
        pixels = cv2.resize(pixels, look.input_wh, interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if frame.order == "bgr" else np.ascontiguousarray(pixels)
