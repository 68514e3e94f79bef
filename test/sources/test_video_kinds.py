"""Videos as people have them: codecs, rotation, edit lists, variable rates, damage."""

from __future__ import annotations

import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_writer import encode_video

from regionmask_ros.errors import UserError
from regionmask_ros.sources import Reading, open_source
from regionmask_ros.sources.pictures.decode import turn_upright
from regionmask_ros.sources.video.pixels import matrix_orientation

REPOSITORY = Path(__file__).resolve().parents[2]

WIDTH, HEIGHT, FRAMES = 64, 48, 24
STEP_NS = 40_000_000
H264 = {"g": "8", "bf": "2", "x264-params": "log-level=none:threads=1"}


def scene(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Noise, and a bar whose column is twice the index: uint8 [height, width, 3], BGR."""
    image = np.random.default_rng(index).integers(0, 120, (height, width, 3), np.uint8)
    image[:, 2 * index : 2 * index + 8] = 255
    return image


def index_of(image: np.ndarray) -> int:
    """The index that ``scene`` has drawn."""
    column = image.astype(np.float32).mean(axis=(0, 2))
    return round(int(np.argmax(np.convolve(column, np.ones(8), "valid"))) / 2)


def read(path: str, **limits: int) -> tuple[list[int], list[int], list[str], int]:
    """Indices and stamps of all frames, lines about dropped ones, and their number."""
    reading = Reading(**limits)
    with open_source(path, reading=reading) as source:
        frames = list(source.frames())
        return ([index_of(frame.pixels) for frame in frames], [frame.stamp_ns for frame in frames],
                reading.dropped.first, source.dropped)


# An interrupt in the middle of PyAV's import.
INTERRUPTED = """
import sys

class Interrupt:
    is_over = False

    def find_spec(self, name, path=None, target=None):
        if name.startswith("av.") and "av.error" in sys.modules and not self.is_over:
            self.is_over = True
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from regionmask_ros.sources.video.container import open_file

try:
    open_file(sys.argv[1], 1_000_000)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_while_pyav_is_imported_stays_one(make):
    said = subprocess.run([sys.executable, "-c", INTERRUPTED, make("plain.mp4")], cwd=REPOSITORY, capture_output=True,
                          text=True, timeout=60.0)
    assert (said.stdout, said.stderr) == ("interrupted\n", "")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """make(name, codec, **options of encode_video) -> path of a video of 24 frames, written once."""
    folder = tmp_path_factory.mktemp("kinds")

    def write(name: str, codec: str = "mpeg4", **options: object) -> str:
        path = folder / name
        if not path.exists():
            encode_video(path, [scene(index) for index in range(FRAMES)], codec=codec, **options)
        return str(path)

    return write


KINDS = {
    "b.mp4": ("libx264", {"options": H264}), "b.avi": ("libx264", {"options": H264}),
    "b.ts": ("libx264", {"options": H264}), "b.mkv": ("libx264", {"options": H264}),
    "b.mov": ("prores_ks", {"pix_fmt": "yuv422p10le"}), "p.webm": ("libvpx", {"options": {"deadline": "realtime"}}),
    "gray.mkv": ("ffv1", {"pix_fmt": "gray"}), "deep.mkv": ("ffv1", {"pix_fmt": "yuv420p10le"}),
    "raw.avi": ("rawvideo", {"pix_fmt": "bgr24"}), "p.flv": ("flv", {}), "p.wmv": ("wmv2", {}), "p.h264": (
        "libx264", {"options": H264}), "i.mpg": ("mpeg2video", {"options": {"flags": "+ilme+ildct"}}),
    "p.mjpeg": ("mjpeg", {"pix_fmt": "yuvj420p"}), "p.gif": ("gif", {"pix_fmt": "rgb8"}), "a%02d:b.mp4": ("mpeg4", {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_is_read_with_its_stamp_and_as_opencv_shows_it(make, name):
    codec, options = KINDS[name]
    path = make(name, codec, **options)
    indices, stamps, dropped, _ = read(path)
    assert indices == list(range(FRAMES)) and dropped == []
    assert stamps == [index * STEP_NS for index in range(FRAMES)]
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    with open_source(path) as source:
        assert source.fps == 25.0
        for frame in source.frames():
            assert np.array_equal(capture.read()[1], frame.pixels)


def test_rows_that_run_from_the_last_to_the_first_are_turned(make, tmp_path):
    data = bytearray(Path(make("raw.avi", "rawvideo", pix_fmt="bgr24")).read_bytes())
    data[data.index(b"strf") + 16 : data.index(b"strf") + 20] = struct.pack("<i", HEIGHT)
    (tmp_path / "up.avi").write_bytes(data)
    with open_source(str(tmp_path / "up.avi")) as source:
        assert np.array_equal(next(iter(source.frames())).pixels, scene(0)[::-1])


def test_odd_sizes_keep_every_pixel(tmp_path):
    images = [scene(index, 63, 47) for index in range(3)]
    path = encode_video(tmp_path / "odd.mkv", images, codec="ffv1", pix_fmt="bgr0")
    with open_source(path) as source:
        assert source.size_wh == (63, 47)
        assert all(np.array_equal(frame.pixels, image) for frame, image in zip(source.frames(), images))


def test_the_stamps_of_a_variable_rate_are_the_real_ones(tmp_path):
    times = [0, 1, 2, 10, 11, 30, 31, 33]
    images = [scene(index) for index in range(len(times))]
    for name in ("vfr.mp4", "vfr.mkv"):
        path = encode_video(tmp_path / name, images, times=[time + 5 for time in times])
        assert read(path)[1] == [time * STEP_NS for time in times]
        with open_source(path) as source:
            assert source.frame_count == len(times) or name == "vfr.mkv"


def test_an_edit_list_hides_frames_without_damage(make, tmp_path):
    data = bytearray(Path(make("b.mp4", "libx264", options=H264)).read_bytes())
    edit = data.index(b"elst") + 12
    duration, start = struct.unpack(">Ii", data[edit : edit + 8])
    tick = (duration // FRAMES, 512)
    for first, last in ((3, FRAMES), (10, 15)):
        data[edit : edit + 8] = struct.pack(">Ii", (last - first) * tick[0], start + first * tick[1])
        path = tmp_path / f"cut{first}.mp4"
        path.write_bytes(data)
        indices, stamps, dropped, _ = read(str(path))
        assert indices == list(range(first, last)) and dropped == [] and stamps[0] == 0
        with open_source(str(path)) as source:
            assert source.frame_count == len(indices)


MATRICES = {1: (1, 0, 0, 1), 2: (-1, 0, 0, 1), 3: (-1, 0, 0, -1), 4: (1, 0, 0, -1), 5: (0, 1, 1, 0), 6: (0, 1, -1, 0),
            7: (0, -1, -1, 0), 8: (0, -1, 1, 0)}


def display_matrix(a: float, b: float, c: float, d: float, order: str = "=") -> bytes:
    one = 1 << 16
    return struct.pack(order + "9i", *(round(value * one) for value in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)


@pytest.mark.parametrize("orientation", MATRICES)
def test_pictures_are_upright(make, tmp_path, orientation):
    data = bytearray(Path(make("p.mp4")).read_bytes())
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = display_matrix(*MATRICES[orientation], order=">")
    (tmp_path / "turned.mp4").write_bytes(data)
    with open_source(make("p.mp4")) as source:
        plain = next(iter(source.frames())).pixels
    with open_source(str(tmp_path / "turned.mp4")) as source:
        turned = next(iter(source.frames())).pixels
        assert source.size_wh == turned.shape[1::-1]
    a, b, c, d = MATRICES[orientation]
    for row, column in ((0, 0), (3, 20), (HEIGHT - 1, 5)):
        # Where the container's matrix moves the middle of this pixel to, counted from the middle of the image.
        x, y = column - (WIDTH - 1) / 2, row - (HEIGHT - 1) / 2
        moved_x, moved_y = a * x + c * y, b * x + d * y
        height, width = turned.shape[:2]
        assert np.array_equal(turned[round(moved_y + (height - 1) / 2), round(moved_x + (width - 1) / 2)],
                              plain[row, column])


@given(st.binary(max_size=40))
def test_any_matrix_gives_an_orientation(data):
    assert matrix_orientation(data) in range(1, 9)


@settings(max_examples=30)
@given(st.sampled_from(sorted(MATRICES)), st.floats(-0.4, 0.4), st.floats(0.2, 50))
def test_a_crooked_or_scaled_matrix_gives_the_nearest_quarter_turn(orientation, skew, scale):
    a, b, c, d = (value * scale for value in MATRICES[orientation])
    skewed = (a, b + skew * scale, c, d) if a else (a + skew * scale, b, c, d)
    assert matrix_orientation(display_matrix(*skewed)) == orientation
    assert turn_upright(scene(0), orientation).shape[:2] == ((WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH))


TRUNCATED = {"front.mp4": ("libx264", {"options": H264, "container_options": {"movflags": "+faststart"}}),
             "b.avi": KINDS["b.avi"], "b.mkv": KINDS["b.mkv"], "p.webm": KINDS["p.webm"], "p.flv": ("flv", {})}


@pytest.mark.parametrize("percent", [50, 90])
@pytest.mark.parametrize("name", TRUNCATED)
def test_a_truncated_video_answers_what_is_there_and_counts_the_rest(make, tmp_path, name, percent):
    codec, options = TRUNCATED[name]
    data = Path(make(name, codec, **options)).read_bytes()
    path = tmp_path / f"cut_{name}"
    path.write_bytes(data[: len(data) * percent // 100])
    indices, _, lines, dropped = read(str(path))
    assert 0 < len(indices) < FRAMES and indices == sorted(indices)
    assert abs(len(indices) + dropped - FRAMES) <= 1
    assert "damaged" in lines[0] or "missing at its end" in lines[0]
    assert all(f"cut_{name}" in line for line in lines)


@pytest.mark.parametrize("name", ["b.ts", "p.h264", "frag.mp4"])
def test_a_stream_without_a_length_cut_within_a_frame_drops_that_frame(make, tmp_path, name):
    options = {"container_options": {"movflags": "+frag_keyframe+empty_moov"}} if name == "frag.mp4" else {}
    data = Path(make(name, "libx264", options=H264, **options)).read_bytes()
    path, drops = tmp_path / f"cut_{name}", 0
    for percent in (52, 60, 68, 76):
        path.write_bytes(data[: len(data) * percent // 100])
        indices, _, lines, dropped = read(str(path))
        assert 0 < len(indices) < FRAMES and all("damaged" in line or "missing" in line for line in lines)
        drops += dropped
    # The decoder's threads may hand over the last frame before one of them has found its error.
    assert drops >= 1 or name == "b.ts"


def test_a_stream_that_begins_within_a_group_of_pictures_is_no_damage(make, tmp_path):
    data = Path(make("b.ts", "libx264", options=H264)).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(data[len(data) // 188 // 4 * 188 :])
    indices, stamps, lines, _ = read(str(path))
    assert indices == list(range(indices[0], FRAMES)) and indices[0] > 0 and stamps[0] == 0 and lines == []


def test_frames_after_a_damaged_place_are_answered(make, tmp_path):
    data = bytearray(Path(make("i.avi", "mjpeg", pix_fmt="yuvj420p")).read_bytes())
    places = [place for place in range(len(data)) if data.startswith(b"\xff\xd8\xff", place)]
    data[places[7] : places[8] - 8] = bytes(places[8] - 8 - places[7])
    path = tmp_path / "hole.avi"
    path.write_bytes(data)
    indices, stamps, lines, dropped = read(str(path))
    assert indices == [index for index in range(FRAMES) if index != 7] and dropped == 1
    assert stamps == [index * STEP_NS for index in indices]
    assert lines == [f"{path}: frame 7: damaged"]
    with open_source(str(path)) as source:
        assert [number for number, _ in source.numbered()] == indices


def test_two_recordings_in_one_file_go_on_in_time(make, tmp_path):
    data = Path(make("b.ts", "libx264", options=H264)).read_bytes()
    (tmp_path / "joined.ts").write_bytes(data + data)
    indices, stamps, _, _ = read(str(tmp_path / "joined.ts"))
    assert len(indices) >= 2 * FRAMES - 2
    assert all(later > earlier for earlier, later in pairwise(stamps)) and stamps[-1] < 4 * FRAMES * STEP_NS


def test_the_codec_and_the_cure_are_named_where_nothing_decodes(make, tmp_path):
    data = Path(make("b.mp4", "libx264", options=H264)).read_bytes()
    for tag, name in ((b"evc1", "evc"), (b"zzzz", "zzzz")):
        (tmp_path / "coded.mp4").write_bytes(data.replace(b"avc1", tag))
        with pytest.raises(UserError, match=rf"coded\.mp4: its codec is not known here: {name}: .*ffmpeg -i IN .*OUT"):
            open_source(str(tmp_path / "coded.mp4"))


def add_sound(container, codec: str = "aac"):
    """Adds a sound stream; returns what writes 0.5 s of silence into it."""
    stream = container.add_stream(codec, rate=8000)

    def write() -> None:
        for number in range(4):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    return write


@pytest.mark.parametrize("name", ["first.mp4", "second.mp4", "first.mkv", "second.mkv", "first.ts"])
def test_a_sound_track_beside_the_video_changes_nothing(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        write_sound = add_sound(container) if name.startswith("second") else None
        stream = container.add_stream("mpeg4", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        write_sound = write_sound or add_sound(container)
        for index in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(index), format="bgr24")))
        container.mux(stream.encode(None))
        write_sound()
    indices, stamps, lines, dropped = read(str(path))
    assert indices == list(range(FRAMES)) and lines == [] and dropped == 0
    assert stamps == [index * STEP_NS for index in range(FRAMES)]


def test_sound_without_a_video_is_refused(tmp_path):
    path, cover = tmp_path / "sound.mp4", tmp_path / "cover.mp4"
    with av.open(str(path), "w") as container:
        add_sound(container)()
    with av.open(str(cover), "w") as container:
        write_sound = add_sound(container)
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        stream.disposition = av.stream.Disposition.attached_pic.value
        container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(0), format="bgr24")))
        container.mux(stream.encode(None))
        write_sound()
    for file, words in ((path, "holds sound but no video"), (cover, "holds sound and a cover picture but no video")):
        with pytest.raises(UserError, match=rf"{file.name}: {words}"):
            open_source(str(file))


def test_a_video_without_frames_is_refused(tmp_path):
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.start_encoding()
    with pytest.raises(UserError, match=r"none\.mkv: damaged or truncated video: nothing in it"):
        open_source(str(tmp_path / "none.mkv"))


def test_a_frame_of_too_many_pixels_is_refused_by_its_header(make, tmp_path):
    with pytest.raises(UserError, match=r"a video of 64x48: more pixels than max_image_pixels allows, 3071"):
        read(make("p.mp4"), max_pixels=WIDTH * HEIGHT - 1)
    size = struct.pack(">HH", HEIGHT, WIDTH)
    data = Path(make("i.avi", "mjpeg", pix_fmt="yuvj420p")).read_bytes()
    (tmp_path / "claim.avi").write_bytes(data.replace(b"\x08" + size, b"\x08" + struct.pack(">HH", 12000, 12000)))
    with pytest.raises(UserError, match=r"claim\.avi: opens as a video but holds no frame"):
        read(str(tmp_path / "claim.avi"))


def test_a_play_list_in_a_container_opens_no_other_file(make, tmp_path):
    for name, text in (("list.mp4", "#EXTM3U\n#EXTINF:1,\n{}\n"), ("list.ffconcat", "ffconcat version 1.0\nfile {}\n")):
        (tmp_path / name).write_text(text.format(make("p.mp4")))
        with pytest.raises(UserError, match="a text file, not a video"):
            open_source(str(tmp_path / name))
