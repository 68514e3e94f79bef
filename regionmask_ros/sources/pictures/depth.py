"""Samples of 16 bits that hold fewer: a camera of 10 or 12 bits writes them into the low bits, nearly black."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ...core.option_table import OPTIONS

AUTO = "auto"
DEPTHS = tuple(int(choice) for choice in OPTIONS["image_bit_depth"].choices if choice != AUTO)
"""Bits that cameras have."""


class BitDepth:
    """How many bits the 16-bit samples of one camera hold. It grows with the samples, and never shrinks.

    Args:
        setting: ``auto``, or the bits as text.
        tell: Takes lines for the log.

    Attributes:
        bits: The bits; 0 before the first image where they are found out.
    """

    def __init__(self, setting: str = AUTO, tell: Callable[[str], object] = lambda line: None) -> None:
        self._setting, self._tell = setting, tell
        self.bits = 0 if setting == AUTO else int(setting)

    def use(self, setting: str) -> None:
        """Begins anew if the setting is another one."""
        if setting != self._setting:
            self._setting, self.bits = setting, 0 if setting == AUTO else int(setting)

    def to_8_bits(self, samples: np.ndarray, place: str) -> np.ndarray:
        """Scales an image so that its largest possible value becomes 255.

        Args:
            samples: uint16, of any shape.
            place: Names the image, for the log.

        Returns:
            uint8 of the same shape, rounded to the nearest value. Larger samples than the depth allows become 255.
        """
        if self._setting == AUTO and self.bits < DEPTHS[-1]:
            self._grow(int(samples.max()), place)
        scaled = cv2.convertScaleAbs(np.ascontiguousarray(samples, np.uint16), alpha=255.0 / ((1 << self.bits) - 1))
        return np.asarray(scaled).reshape(samples.shape)

    def _grow(self, largest: int, place: str) -> None:
        before, held = self.bits, next(bits for bits in DEPTHS if largest < 1 << bits)
        if held <= before:
            return
        self.bits = held
        if before:
            self._tell(f"{place}: 16-bit samples hold {held} bits, {before} before: images are darker from here on")
        elif held < DEPTHS[-1]:
            self._tell(f"{place}: 16-bit samples hold {held} bits: they are shown {1 << 16 - held} times as bright; "
                       "image_bit_depth sets another depth")
