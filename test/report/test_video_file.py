"""The videos that a run writes: what is in the file, in a codec that browsers play, and what a page holds of it."""

from __future__ import annotations

import gc
import os
import sys

import av
import numpy as np
import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.report import video_file
from regionmask_ros.report.video_file import CODECS, VideoWriter, read_start
from regionmask_ros.sources import open_source


def ramp(width: int, height: int, shift: int = 0) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 1] = np.linspace(30, 200, width)[None, :]
    image[..., 2] = 60 + shift
    return image


def codec_of(path: str) -> str:
    with av.open(path) as container:
        return container.streams.video[0].codec_context.name


@pytest.mark.parametrize("size_wh, held_wh", [((64, 48), (64, 48)), ((63, 48), (64, 48)), ((33, 31), (34, 32))])
def test_images_come_back_with_rate_and_size(tmp_path, capfd, size_wh, held_wh):
    path = str(tmp_path / "a.mp4")
    with VideoWriter(path, 12.5) as video:
        for index in range(10):
            video.add(ramp(*size_wh, shift=10 * index))
    with open_source(path) as source:
        assert (source.fps, source.frame_count, source.size_wh) == (12.5, 10, held_wh)
        frames = [frame.pixels for frame in source.frames()]
    for index, pixels in enumerate(frames):
        difference = pixels[: size_wh[1], : size_wh[0]].astype(int) - ramp(*size_wh, shift=10 * index)
        assert np.abs(difference).mean() < 5
    assert capfd.readouterr() == ("", "")


def test_browsers_play_it_while_it_loads(tmp_path):
    path = tmp_path / "a.mp4"
    with VideoWriter(str(path), 10.0) as video:
        video.add(ramp(64, 48))
    assert codec_of(str(path)) == "h264"
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_without_an_encoder_for_h264_it_is_vp9_and_without_any_a_line_says_so(tmp_path, monkeypatch):
    _, vp9 = CODECS
    monkeypatch.setattr(video_file, "CODECS", {"libmissing": {}, vp9: CODECS[vp9]})
    with VideoWriter(str(tmp_path / "a.mp4"), 10.0) as video:
        video.add(ramp(64, 48))
    assert codec_of(str(tmp_path / "a.mp4")) in ("vp9", "libvpx-vp9")
    monkeypatch.setattr(video_file, "CODECS", {"libmissing": {}})
    with pytest.raises(UserError, match=r"b\.mp4: .*none of the encoders libmissing"), VideoWriter(
            str(tmp_path / "b.mp4"), 10.0) as video:
        video.add(ramp(64, 48))


def test_an_image_of_another_size_is_scaled_to_the_first(tmp_path):
    path = str(tmp_path / "a.mp4")
    with VideoWriter(path, 10.0) as video:
        video.add(ramp(64, 48))
        video.add(ramp(200, 90))
    with open_source(path) as source:
        assert [frame.size_wh for frame in source.frames()] == [(64, 48), (64, 48)]


def test_without_an_image_there_is_no_video(tmp_path):
    with VideoWriter(str(tmp_path / "a.mp4"), 10.0):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path, why", [("none/.partial.mp4", "No such file or directory"),
                                       ("/dev/full", "No space left on device")])
def test_a_video_that_cannot_be_written_is_named(tmp_path, capfd, path, why):
    with pytest.raises(UserError, match=rf"out\.mp4: the video cannot be written: {why}"), VideoWriter(
            str(tmp_path / path), 10.0, name="out.mp4") as video:
        for index in range(60):
            video.add(np.random.default_rng(index).integers(0, 255, (96, 128, 3), np.uint8))
    assert capfd.readouterr().err == ""


def test_a_video_that_is_thrown_away_is_closed_before_its_file_goes(tmp_path, monkeypatch):
    """What closes it later, when nothing refers to it any more, would miss the file and print a traceback."""
    printed, path = [], tmp_path / "video.mp4"
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    with pytest.raises(KeyboardInterrupt), VideoWriter(str(path), 10.0) as writer:
        for gray in range(40):
            writer.add(np.full((96, 128, 3), 5 * gray, np.uint8))
        container = writer._container
        raise KeyboardInterrupt
    path.unlink()
    del container, writer
    gc.collect()
    assert printed == []


def test_a_page_holds_a_small_video_whole_and_the_start_of_a_large_one(tmp_path):
    path, frames = str(tmp_path / "a.mp4"), 60
    with VideoWriter(path, 10.0) as video:
        for index in range(frames):
            video.add(np.random.default_rng(index).integers(0, 255, (96, 128, 3), np.uint8))
    size = os.path.getsize(path)
    whole, seconds = read_start(path, size)
    assert len(whole) == size and seconds is None
    part, seconds = read_start(path, size // 2)
    assert size // 4 < len(part) <= size // 2
    (tmp_path / "part.mp4").write_bytes(part)
    with open_source(str(tmp_path / "part.mp4")) as source:
        held = len(list(source.frames()))
    assert 0 < held < frames and seconds == pytest.approx(held / 10.0, abs=0.35)
