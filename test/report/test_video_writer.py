"""The annotated video holds every picture, at every size."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.report.writers import VideoWriter
from regionmask_ros.sources import open_source


def ramp(width: int, height: int, shift: int = 0) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 1] = np.linspace(30, 200, width)[None, :]
    image[..., 2] = 60 + shift
    return image


@pytest.mark.parametrize("size_wh, held_wh", [((64, 48), (64, 48)), ((63, 48), (64, 48)), ((33, 31), (34, 32))])
def test_pictures_come_back_with_rate_and_size(tmp_path, size_wh, held_wh):
    path = str(tmp_path / "a.mp4")
    with VideoWriter(path, 12.5) as video:
        for index in range(10):
            video.add(ramp(*size_wh, 10 * index))
    with open_source(path) as source:
        assert (source.fps, source.frame_count, source.size_wh) == (12.5, 10, held_wh)
        frames = [frame.pixels for frame in source.frames()]
    for index, pixels in enumerate(frames):
        difference = pixels[: size_wh[1], : size_wh[0]].astype(int) - ramp(*size_wh, 10 * index)
        assert np.abs(difference).mean() < 5


def test_a_picture_of_another_size_is_scaled_to_the_first(tmp_path):
    path = str(tmp_path / "a.mp4")
    with VideoWriter(path, 10.0) as video:
        video.add(ramp(64, 48))
        video.add(ramp(200, 90))
    with open_source(path) as source:
        assert [frame.size_wh for frame in source.frames()] == [(64, 48), (64, 48)]


def test_without_a_picture_there_is_no_video(tmp_path):
    with VideoWriter(str(tmp_path / "a.mp4"), 10.0):
        pass
    assert os.listdir(tmp_path) == []


def test_a_place_where_no_video_can_start_is_named(tmp_path, capfd):
    with pytest.raises(UserError, match="out.mp4: OpenCV cannot write"), VideoWriter(
        str(tmp_path / "none" / ".partial.mp4"), 10.0, name="out.mp4"
    ) as video:
        video.add(ramp(64, 48))
    assert capfd.readouterr().err == ""


def test_a_video_that_lost_pictures_is_not_called_complete(tmp_path):
    path = tmp_path / "a.mp4"
    video = VideoWriter(str(path), 10.0, name="a.mp4")
    for index in range(5):
        video.add(ramp(64, 48, index))
    other = cv2.VideoWriter(str(tmp_path / "short.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (64, 48))
    other.write(ramp(64, 48))
    other.release()
    path.unlink()
    (tmp_path / "short.mp4").rename(path)
    with pytest.raises(UserError, match=r"a\.mp4: only 1 of 5 pictures were written"):
        video.close()
