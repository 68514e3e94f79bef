"""Cases of bags and videos."""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
import struct
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from regionmask_ros.datasets.bag import read_bag_labels
from regionmask_ros.sources import open_source

from .kind import Files, Kind, use_test_helpers
from .mutations import INTEGERS, TEXTS, damage_bytes, damage_text

_MOST_FRAMES = 12
_SEGMENT_UID = b"\x73\xa4\x90"


def _pictures() -> list[np.ndarray]:
    rows, columns = np.mgrid[:48, :64]
    return [np.stack([(rows + columns * plane + 9 * number) % 256 for plane in (1, 2, 3)], axis=-1).astype(np.uint8)
            for number in range(4)]


@cache
def _bags() -> dict[str, dict[str, bytes]]:
    """The files of a bag by storage."""
    use_test_helpers()
    from bag_writer import START_NS, STEP_NS, detections, image, png, write_bag

    stamps = [START_NS + number * STEP_NS for number in range(4)]
    topics = {
        "/camera/image_raw": [image(pixels[:12, :16], stamp) for pixels, stamp in zip(_pictures(), stamps)],
        "/camera/image_raw/compressed": [png(pixels[:12, :16], stamp) for pixels, stamp in zip(_pictures(), stamps)],
        "/truth": [detections(stamp, ("7", "person", 0.9, 1.0, 2.0, 5.0, 6.0)) for stamp in stamps],
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for storage in ("mcap", "sqlite3"):
            path = Path(write_bag(Path(folder, storage), topics, storage))
            found[storage] = {f"bag/{file.name}": file.read_bytes() for file in sorted(path.iterdir())}
    return found


def _make_bag(rng: random.Random) -> Files:
    storage = rng.choice(("mcap", "sqlite3"))
    files = dict(_bags()[storage])
    data = next(name for name in files if not name.endswith(".yaml"))
    action = rng.randrange(4)
    if action == 0:
        files["bag/metadata.yaml"] = damage_text(rng, files["bag/metadata.yaml"].decode(), " ")
    elif action == 1 and storage == "sqlite3":
        files[data] = _damage_rows(rng, files[data])
    else:
        files[data] = damage_bytes(rng, files[data])
    return files


@cache
def _odd_bags() -> list[dict[str, bytes]]:
    """Bags as other programs, other versions and crashes leave them, and one of ROS 1."""
    use_test_helpers()
    from bag_kinds import Kind as Stored
    from bag_kinds import stored_images, write_crashed_db3, write_kind, write_ros1

    kinds = (Stored(chunks="lz4", foreign=True), Stored(chunks="zstd", indexed=False, metadata="missing"),
             Stored(chunks=None, parts=2, metadata="1"), Stored(compression="file"), Stored("db3", compression="file"),
             Stored("db3", compression="message", metadata="4"))
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, str(number)) for number in range(len(kinds) + 2)]
        for place, kind in zip(places, kinds):
            write_kind(place, kind)
        for place in places[len(kinds):]:
            place.mkdir()
        write_crashed_db3(places[-2] / "x.db3", stored_images(6), in_log=4)
        write_ros1(places[-1] / "x.bag")
        return [{f"bag/{file.name}": file.read_bytes() for file in sorted(place.iterdir())} for place in places]


def _make_any_bag(rng: random.Random) -> Files:
    if rng.random() < 0.4:
        return _make_bag(rng)
    files = dict(rng.choice(_odd_bags()))
    name = rng.choice(list(files))
    if name.endswith(".yaml"):
        files[name] = damage_text(rng, files[name].decode(), " ")
    else:
        files[name] = damage_bytes(rng, files[name])
    return files


_COLUMNS = (
    ("messages", "data"), ("messages", "timestamp"), ("topics", "type"), ("topics", "name"),
    ("topics", "serialization_format"), ("message_definitions", "encoded_message_definition"),
)


def _damage_rows(rng: random.Random, data: bytes) -> bytes:
    """A good database with damaged messages, topics and definitions."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bag.db3")
        file.write_bytes(data)
        with contextlib.closing(sqlite3.connect(file)) as database:
            _damage_row(rng, database)
        return file.read_bytes()


def _damage_row(rng: random.Random, database: sqlite3.Connection) -> None:
    table, column = rng.choice(_COLUMNS)
    rows = database.execute(f"select rowid, {column} from {table}").fetchall()
    rowid, value = rng.choice(rows)
    if isinstance(value, bytes):
        value = damage_bytes(rng, value, 3)
    elif isinstance(value, str):
        value = rng.choice((*TEXTS, damage_bytes(rng, value.encode(), 2).decode("utf-8", "replace")))
    else:
        value = rng.choice((0, -1, 2**63 - 1, -2**63, "x", None, 0.5, b"x"))
    with contextlib.suppress(sqlite3.Error, OverflowError, UnicodeError):
        database.execute(f"update {table} set {column} = ? where rowid = ?", (value, rowid))
        database.commit()


def _read_bag(files: Files, folder: Path) -> None:
    has_both = not {"bag/mcap.mcap", "bag/sqlite3.db3"}.isdisjoint(files)
    for only_compressed in (False, True) if has_both else (False,):
        with open_source(str(folder / "bag"), only_compressed=only_compressed) as source:
            for _index, frame in zip(range(_MOST_FRAMES), source.frames()):
                assert frame.pixels.ndim == 3


def _read_bag_labels(_: Files, folder: Path) -> None:
    read_bag_labels(str(folder / "bag"))


_VIDEOS = (("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("b.avi", "XVID"), ("a.mkv", "mp4v"), ("a.flv", "FLV1"),
           ("a.wmv", "WMV2"), ("a.ts", "mp4v"))
_ENCODED = (("h.mp4", "libx264"), ("h.ts", "libx264"), ("h.mkv", "libx264"), ("h.h264", "libx264"),
            ("v.webm", "libvpx"), ("m.mpg", "mpeg2video"), ("f.mkv", "ffv1"))
_ENCODER = {"g": "2", "bf": "1", "threads": "1", "x264-params": "threads=1"}
_CONTAINER = {"fflags": "+bitexact", "movflags": "+faststart"}


@cache
def _videos() -> dict[str, bytes]:
    use_test_helpers()
    from video_writer import encode_video, write_video

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, fourcc in _VIDEOS:
            data = Path(write_video(Path(folder, name), _pictures(), 20.0, fourcc)).read_bytes()
            # A random number, without which a case would not be the same in the next run.
            at = data.find(_SEGMENT_UID)
            if name.endswith(".mkv") and at >= 0:
                data = data[:at + 3] + bytes(16) + data[at + 19:]
            found[name] = data
        for name, codec in _ENCODED:
            path = encode_video(
                Path(folder, name), _pictures(), 20, codec, options=_ENCODER, container_options=_CONTAINER)
            found[name] = Path(path).read_bytes()
    return found


def _make_video(rng: random.Random) -> Files:
    name = rng.choice(list(_videos()))
    data = _videos()[name]
    if rng.random() < 0.5:
        return {name: damage_bytes(rng, data)}
    if rng.random() < 0.1:
        return {name: data[:rng.randrange(len(data))]}
    # Numbers of boxes and chunks: 4 bytes before or after a name of four letters.
    places = [match.start() for match in re.finditer(rb"[a-zA-Z]{4}", data)]
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = max(0, rng.choice(places) + rng.choice((-4, 4, 8, 12, 16, 20, 24)))
        damaged[at:at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(INTEGERS) & 0xFFFFFFFF)
    return {name: bytes(damaged)}


def _read_video(files: Files, folder: Path) -> None:
    with open_source(str(folder / next(iter(files)))) as source:
        for _index, frame in zip(range(_MOST_FRAMES), source.frames()):
            assert frame.pixels.ndim == 3


KINDS = (
    Kind("bags", 0.5, _make_any_bag, _read_bag),
    Kind("labels in bags", 0.5, _make_bag, _read_bag_labels),
    Kind("videos", 0.7, _make_video, _read_video),
)
