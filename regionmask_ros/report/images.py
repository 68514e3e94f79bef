"""Images of a run for its page: JPEG, and the few that stand for the whole."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .page import EmbeddedImage

MAX_WIDTH = 960
JPEG_QUALITY = 85


@dataclass(frozen=True)
class _Sample:
    window: int
    rank: float
    image: EmbeddedImage


class ImageSampler:
    """Chooses a few images of a run of unknown length, spread over it.

    The run so far is cut into windows of equal length, and each window keeps its frame of the highest rank. When there
    are too many windows, neighbors merge. So the choice cannot fall into step with a period of the run, such as
    refresh frames. At most ``2 * count`` images are in memory.

    Args:
        count: Number of images wanted.
    """

    def __init__(self, count: int = 6) -> None:
        self._count = count
        self._span = 1
        self._samples: list[_Sample] = []

    def wants(self, index: int, rank: float) -> bool:
        """Tells whether a frame would be kept, so that its image is drawn only if it is needed.

        Args:
            index: Number of the frame, higher than all before.
            rank: How well the frame shows the run.

        Returns:
            True if `add` would keep it.
        """
        last = self._samples[-1] if self._samples else None
        return last is None or last.window != index // self._span or rank > last.rank

    def add(self, index: int, rank: float, caption: str, image: np.ndarray) -> None:
        """Keeps a frame if it is wanted.

        Args:
            index: Number of the frame, as for `wants`.
            rank: How well the frame shows the run.
            caption: Text below the image.
            image: uint8 [height, width, 3], BGR.
        """
        if not self.wants(index, rank):
            return
        window = index // self._span
        if self._samples and self._samples[-1].window == window:
            self._samples.pop()
        self._samples.append(_Sample(window, rank, EmbeddedImage(caption, encode_jpeg(image))))
        if len(self._samples) > 2 * self._count:
            self._merge_windows()

    def images(self) -> list[EmbeddedImage]:
        """Returns at most ``count`` images in order of time: those of the best ranks, evenly spread."""
        wanted = min(self._count, len(self._samples))
        lowest = sorted(sample.rank for sample in self._samples)[-wanted:][:1]
        good = [sample.image for sample in self._samples if sample.rank >= lowest[0]] if lowest else []
        return [good[(2 * place + 1) * len(good) // (2 * wanted)] for place in range(wanted)]

    def _merge_windows(self) -> None:
        """Doubles the length of the windows."""
        self._span *= 2
        best: dict[int, _Sample] = {}
        for sample in self._samples:
            merged = _Sample(sample.window // 2, sample.rank, sample.image)
            if merged.window not in best or merged.rank > best[merged.window].rank:
                best[merged.window] = merged
        self._samples = list(best.values())


def encode_jpeg(image: np.ndarray, max_width: int = MAX_WIDTH) -> bytes:
    """Encodes an image as JPEG.

    Args:
        image: uint8 [height, width, 3], BGR.
        max_width: A wider image is scaled down to this width, in pixels.

    Returns:
        Content of a JPEG file.

    Raises:
        ValueError: OpenCV cannot encode the image.
    """
    height, width = image.shape[:2]
    if width > max_width:
        size_wh = (max_width, max(1, round(height * max_width / width)))
        image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"OpenCV cannot encode an image of {width}x{height} as JPEG")
    return data.tobytes()
