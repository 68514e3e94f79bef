"""Writes videos for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest


def write_video(path: Path | str, images: Sequence[np.ndarray], fps: float, fourcc: str = "mp4v") -> str:
    """Writes BGR images of one size, uint8 [h, w, 3]; returns the path."""
    size_wh = images[0].shape[1::-1]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), fps, size_wh)
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {fourcc} into {path}")
    for image in images:
        writer.write(image)
    writer.release()
    return str(path)
