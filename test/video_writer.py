"""Writes videos for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
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


def encode_video(path: Path | str, images: Sequence[np.ndarray], fps: int = 25, codec: str = "mpeg4", *,
                 pix_fmt: str = "yuv420p", times: Sequence[int] | None = None, options: Mapping[str, str] = {},
                 container_options: Mapping[str, str] = {}) -> str:
    """Writes BGR images of one size with PyAV, which knows more codecs and time stamps than OpenCV.

    Args:
        path: Where; the suffix gives the container.
        images: uint8 [h, w, 3].
        fps: Frames per second.
        codec: FFmpeg's name of the encoder; the test is skipped without it.
        pix_fmt: FFmpeg's name of the pixels' format.
        times: When each is shown, in 1/fps; None: one after the other.
        options: For the encoder.
        container_options: For the container.

    Returns:
        The path.
    """
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV cannot write {codec}")
    with av.open(str(path), "w", container_options=dict(container_options)) as container:
        stream = container.add_stream(codec, rate=fps, options=dict(options))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number if times is None else times[number], Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)
