"""Video files: what is read from good ones, and the one-line messages for bad ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_writer import write_video

from regionmask_ros.errors import UserError
from regionmask_ros.sources import open_source

VIDEO_WH = (64, 48)
VIDEO_FRAMES = 40


def scene(index: int) -> np.ndarray:
    """Noise, so that frames need bytes, and a bar whose column is the index: uint8 [48, 64, 3], BGR."""
    image = np.random.default_rng(index).integers(0, 120, (VIDEO_WH[1], VIDEO_WH[0], 3), np.uint8)
    image[:, index : index + 8] = 255
    return image


def index_of(image: np.ndarray) -> int:
    """The index that ``scene`` has drawn."""
    column = image.astype(np.float32).mean(axis=(0, 2))
    return int(np.argmax(np.convolve(column, np.ones(8), "valid")))


@pytest.fixture(scope="session")
def make_video(tmp_path_factory):
    """make_video(suffix, fourcc) -> path of a video of 40 frames of 64x48 at 25 frames a second."""
    folder = tmp_path_factory.mktemp("videos")

    def make(suffix: str, fourcc: str, frames: int = VIDEO_FRAMES) -> str:
        path = folder / f"{fourcc}{frames}{suffix}"
        if not path.exists():
            write_video(path, [scene(index) for index in range(frames)], 25.0, fourcc)
        return str(path)

    return make


KINDS = [(".mp4", "mp4v"), (".avi", "MJPG"), (".mkv", "MJPG")]


@pytest.mark.parametrize("suffix, fourcc", KINDS)
def test_a_video_yields_every_frame_with_its_stamp(make_video, suffix, fourcc):
    path = make_video(suffix, fourcc)
    with open_source(path) as source:
        assert (source.name, source.fps, source.frame_count) == (os.path.basename(path), 25.0, VIDEO_FRAMES)
        assert source.size_wh == VIDEO_WH
        frames = list(source.frames())
    assert [index_of(frame.pixels) for frame in frames] == list(range(VIDEO_FRAMES))
    assert [frame.stamp_ns for frame in frames] == [index * 40_000_000 for index in range(VIDEO_FRAMES)]
    assert {(frame.order, frame.frame_id, frame.size_wh) for frame in frames} == {("bgr", "camera", VIDEO_WH)}


def test_each_iteration_starts_at_the_first_frame_and_shares_no_memory(make_video):
    with open_source(make_video(".mp4", "mp4v")) as source:
        first = next(iter(source.frames()))
        again = list(source.frames())
    assert len(again) == VIDEO_FRAMES
    assert np.array_equal(first.pixels, again[0].pixels) and not np.shares_memory(first.pixels, again[0].pixels)


def test_closing_ends_an_iteration_without_an_error(make_video):
    source = open_source(make_video(".mp4", "mp4v"))
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []


def test_a_video_without_a_good_frame_is_rejected_at_once(make_video, tmp_path):
    data = bytearray(Path(make_video(".mp4", "mp4v")).read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    (tmp_path / "blank.mp4").write_bytes(data)
    with pytest.raises(UserError, match=r"blank\.mp4: opens as a video but holds no frame"):
        open_source(str(tmp_path / "blank.mp4"))


def test_a_video_without_a_rate_plays_at_25(make_video, tmp_path):
    data = bytearray(Path(make_video(".avi", "MJPG")).read_bytes())
    stream = data.index(b"strh") + 8
    data[stream + 20 : stream + 28] = (1).to_bytes(4, "little") + (90_000).to_bytes(4, "little")
    path = tmp_path / "fast.avi"
    path.write_bytes(data)
    with open_source(str(path)) as source:
        assert source.fps == 25.0


BAD_FILES = {
    "empty.mp4": (b"", "empty file"),
    "words.mp4": (b"these are words\n" * 100, "a text file, not a video"),
    "words.txt": (b"these are words\n" * 100, "a text file, not a video"),
    "wide.txt": ("words".encode("utf-16"), "a text file, not a video"),
    "list.mp4": (b"#EXTM3U\n#EXTINF:1,\nother.ts\n", "a text file, not a video"),
    "noise.mp4": (np.random.default_rng(7).bytes(5000), "not a video that FFmpeg can open"),
    "zeros.avi": (bytes(5000), "not a video that FFmpeg can open"),
    "head.mp4": (b"\0\0\0\x18ftypmp42" + bytes(12), "no index (moov) can be read"),
    "head.mkv": (bytes.fromhex("1a45dfa3") + b"\x84abcd", "damaged or truncated video: nothing in it can be read"),
    "photo.mp4": (cv2.imencode(".png", scene(0))[1].tobytes(), "a single PNG image, not a video"),
    "photo.jpg": (cv2.imencode(".jpg", scene(0))[1].tobytes(), "a single JPEG image, not a video"),
    "photo.ppm": (cv2.imencode(".ppm", scene(0))[1].tobytes(), "a single PNM image, not a video"),
    "sound.wav": (
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0",
        "a sound file (WAV), not a video",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_not_a_video_is_rejected_with_the_reason(tmp_path, name):
    data, cause = BAD_FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        open_source(str(tmp_path / name))
    assert str(caught.value).startswith(str(tmp_path / name) + ": ")
    assert cause in str(caught.value)


def test_a_path_that_is_neither_file_nor_folder_is_rejected(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, cause in [
        (str(tmp_path / "none.mp4"), "no such file or folder"),
        (str(tmp_path / "two\nlines.mp4"), "no such file or folder"),
        ("nul\0byte", "cannot be read"),
        (str(tmp_path / "pipe"), "neither a file nor a folder"),
        (os.devnull, "neither a file nor a folder"),
    ]:
        with pytest.raises(UserError, match=cause) as caught:
            open_source(path)
        assert len(str(caught.value).splitlines()) == 1


def test_a_name_with_a_colon_is_a_file_and_not_a_protocol(make_video, tmp_path, monkeypatch):
    (tmp_path / "concat:a.mp4").write_bytes(Path(make_video(".mp4", "mp4v")).read_bytes())
    monkeypatch.chdir(tmp_path)
    with open_source("concat:a.mp4") as source:
        assert source.frame_count == VIDEO_FRAMES


@pytest.mark.parametrize("path, cure", [
    ("rtsp://user@camera/stream", "ffmpeg -i ADDRESS -t 60"), ("http://camera/video.mjpg", "download the file"),
    ("HTTPS://host/a.mp4", "download the file"), ("udp://0.0.0.0:5000", "ffmpeg -i ADDRESS"),
    ("0", "ffmpeg -f v4l2 -i /dev/video0"), ("/dev/video7", "ffmpeg -f v4l2 -i /dev/video7")])
def test_a_live_source_is_refused_with_what_to_do_instead(path, cure, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        open_source(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and cure in line and "camera driver" in line


def test_the_address_of_a_file_is_refused_with_what_to_do():
    with pytest.raises(UserError, match=r"^file:///a/clip\.mp4: .*give its path without file://$"):
        open_source("file:///a/clip.mp4")


def test_a_file_with_the_name_of_a_camera_is_a_file(make_video, tmp_path, monkeypatch):
    (tmp_path / "0").write_bytes(Path(make_video(".mp4", "mp4v")).read_bytes())
    monkeypatch.chdir(tmp_path)
    with open_source("0") as source:
        assert source.frame_count == VIDEO_FRAMES


READ_ALL = """
import sys
from regionmask_ros.errors import UserError
from regionmask_ros.sources import open_source
for path in sys.argv[1:]:
    try:
        for frame in open_source(path).frames():
            pass
        print("good")
    except UserError:
        print("bad")
"""


def test_decoders_write_nothing_to_the_terminal(make_video, tmp_path):
    video = bytearray(Path(make_video(".avi", "MJPG")).read_bytes())
    middle = len(video) // 2
    video[middle : middle + 2000] = bytes(2000)
    (tmp_path / "hurt.avi").write_bytes(video)
    damaged = bytearray(Path(make_video(".mp4", "mp4v")).read_bytes())
    damaged[len(damaged) // 3 : len(damaged) // 2] = np.random.default_rng(3).bytes(
        len(damaged) // 2 - len(damaged) // 3)
    (tmp_path / "hurt.mp4").write_bytes(damaged)
    (tmp_path / "noise.mp4").write_bytes(BAD_FILES["noise.mp4"][0])
    jpeg = bytearray(cv2.imencode(".jpg", scene(0))[1].tobytes())
    jpeg[-400:-300] = b"\xff\xd0" * 50
    png = cv2.imencode(".png", scene(0))[1].tobytes()
    bmp = cv2.imencode(".bmp", scene(0))[1].tobytes()
    for name, data in [("jpeg/0.jpg", jpeg), ("png/0.png", png[:-500]), ("bmp/0.bmp", bmp[:-500])]:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(data)
    names = ["hurt.avi", "hurt.mp4", "noise.mp4", "jpeg", "png", "bmp"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENCV_")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", READ_ALL, *names]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.split()[2] == "bad" and done.stdout.split()[4:] == ["bad", "bad"]
