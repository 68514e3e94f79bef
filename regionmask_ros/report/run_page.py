"""A few pictures that stand for a whole run."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .page import Picture

MAX_WIDTH = 960
JPEG_QUALITY = 85


@dataclass(frozen=True)
class _Sample:
    window: int
    rank: float
    picture: Picture


class ImageSampler:
    """Keeps at most ``2 * count`` pictures of a run of unknown length, spread over it, and hands out ``count``.

    The run so far is cut into windows of equal length, and each window keeps its frame of the highest rank. When there
    are too many windows, neighbours merge. So the choice does not beat with a period in the run, such as refresh
    frames.
    """

    def __init__(self, count: int = 6) -> None:
        self._count = count
        self._span = 1
        self._samples: list[_Sample] = []

    def wants(self, index: int, rank: float) -> bool:
        """Whether the frame of that index would be kept; asked before its picture is drawn. Indices must rise."""
        last = self._samples[-1] if self._samples else None
        return last is None or last.window != index // self._span or rank > last.rank

    def add(self, index: int, rank: float, caption: str, image: np.ndarray) -> None:
        """Keeps a frame that is wanted. picture: uint8 [height, width, 3], BGR."""
        if not self.wants(index, rank):
            return
        window = index // self._span
        if self._samples and self._samples[-1].window == window:
            self._samples.pop()
        self._samples.append(_Sample(window, rank, Picture(caption, encode_jpeg(image))))
        if len(self._samples) > 2 * self._count:
            self._merge()

    def pictures(self) -> list[Picture]:
        """At most ``count`` pictures in order of time: of the best ranks among those kept, evenly spread."""
        wanted = min(self._count, len(self._samples))
        worst = sorted(sample.rank for sample in self._samples)[-wanted:][:1]
        good = [sample.picture for sample in self._samples if sample.rank >= worst[0]] if worst else []
        return [good[(2 * place + 1) * len(good) // (2 * wanted)] for place in range(wanted)]

    def _merge(self) -> None:
        self._span *= 2
        best: dict[int, _Sample] = {}
        for sample in self._samples:
            moved = _Sample(sample.window // 2, sample.rank, sample.picture)
            if moved.window not in best or moved.rank > best[moved.window].rank:
                best[moved.window] = moved
        self._samples = list(best.values())


def encode_jpeg(image: np.ndarray, max_width: int = MAX_WIDTH) -> bytes:
    """uint8 [height, width, 3], BGR, as a JPEG file; a wider picture is scaled down to ``max_width``."""
    height, width = image.shape[:2]
    if width > max_width:
        size_wh = (max_width, max(1, round(height * max_width / width)))
        image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of {width}x{height} as JPEG")
    return data.tobytes()
