"""Sizes in video containers: truncated files are rejected, complete ones are not."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_writer import write_video

from regionmask_ros.errors import UserError
from regionmask_ros.sources import open_source, video
from regionmask_ros.sources.video import check_container


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    return kind + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def avi(movi_size: int | None = None, riff_size: int | None = None) -> bytes:
    headers = chunk(b"LIST", b"hdrl" + bytes(100))
    images = chunk(b"LIST", b"movi" + bytes(2000), movi_size)
    return chunk(b"RIFF", b"AVI " + headers + images + chunk(b"idx1", bytes(200)), riff_size)


def matroska(size_field: bytes, body: bytes = bytes(300)) -> bytes:
    header = bytes.fromhex("1a45dfa3") + b"\x84" + bytes(4)
    return header + bytes.fromhex("ec82") + bytes(2) + bytes.fromhex("18538067") + size_field + body


def asf_object(kind: str, body: bytes) -> bytes:
    return bytes.fromhex(kind) + struct.pack("<Q", 24 + len(body)) + body


def asf(size: int | None = None, flags: int = 2, first: bytes = asf_object("ab" * 16, bytes(30))) -> bytes:
    """A header of two objects, the second with the file's size (``size``, if given), and 500 bytes of data."""
    header_length, data = 30 + len(first) + 104, bytes(500)
    whole = header_length + len(data) if size is None else size
    properties = bytes(16) + struct.pack("<Q", whole) + bytes(40) + struct.pack("<I", flags) + bytes(12)
    objects = first + asf_object("a1dcab8c47a9cf118ee400c00c205365", properties)
    head = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<QIH", header_length, 2, 0x0201)
    return head + objects + data


def flv_tag(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + bytes(7) + body + struct.pack(">I", 11 + len(body))


FLV_HEAD = b"FLV\x01\x05" + struct.pack(">II", 9, 0)
FLV_TAGS = flv_tag(18, bytes(40)), flv_tag(9, b"\x12" * 300), flv_tag(8, b"\x22" * 70), flv_tag(9, b"\x22" * 90)
FLV = FLV_HEAD + b"".join(FLV_TAGS)

MOOV, MDAT = box(b"moov", bytes(50)), box(b"mdat", bytes(500))
FTYP = box(b"ftyp", b"isom" + bytes(8))

COMPLETE = {
    "mp4, index last": FTYP + MDAT + MOOV,
    "mp4, index first": FTYP + MOOV + MDAT,
    "mp4, images up to the end": FTYP + MOOV + struct.pack(">I4s", 0, b"mdat") + bytes(99),
    "mp4, 64-bit size": FTYP + struct.pack(">I4sQ", 1, b"mdat", 116) + bytes(100) + MOOV,
    "mp4, in fragments": FTYP + box(b"moof", bytes(20)) + MDAT + box(b"moof", bytes(20)) + MDAT,
    "mp4, last box is truncated and only free space": FTYP + MOOV + MDAT + box(b"free", bytes(100))[:20],
    "mp4, bytes after it": FTYP + MOOV + MDAT + b"\xff\xfe\xfd" * 9,
    "avi": avi(),
    "avi, sizes never filled in": avi(0, 0),
    "avi, sizes of a stream": avi(0xFFFFFFFF, 0xFFFFFFFF),
    "avi, total wrong by a few bytes": avi(riff_size=len(avi()) + 16),
    "avi, more than one part": avi() + chunk(b"RIFF", b"AVIX" + chunk(b"LIST", b"movi" + bytes(3000))),
    "avi, bytes after it": avi() + b"tail" * 9,
    "mkv": matroska(b"\x41\x2c"),
    "mkv, longer than it says": matroska(b"\x40\x64"),
    "mkv, size of a stream": matroska(b"\x01" + b"\xff" * 7),
    "mkv, short size of a stream": matroska(b"\xff"),
    "asf": asf(),
    "asf, size never filled in": asf(0),
    "asf, broadcast": asf(1 << 40, flags=1),
    "asf, longer than it says": asf(500),
    "asf, an object without a length": asf(1 << 40, first=bytes(24)),
    "flv": FLV,
    "flv, bytes after it": FLV + bytes(50),
    "flv, the size after the last tag missing": FLV[:-4],
    "flv, sizes after the tags wrong": FLV.replace(struct.pack(">I", 101), bytes(4)),
    "unknown kind": b"\x47" + bytes(187) + b"\x47" + bytes(187),
}

CUT = {
    "mp4, index last": FTYP + MDAT + MOOV[:-1],
    "mp4, no index": FTYP + MDAT,
    "mp4, images cut": FTYP + MOOV + MDAT[:-1],
    "mp4, 64-bit size": FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 1 << 40) + bytes(100),
    "mp4, last fragment cut": FTYP + box(b"moof", bytes(20)) + MDAT + box(b"moof", bytes(20)) + MDAT[:99],
    "avi, index cut": avi()[:-100],
    "avi, images cut": avi()[:1200],
    "avi, images cut, total never filled in": avi(riff_size=0)[:1200],
    "avi, second part cut": avi() + chunk(b"RIFF", b"AVIX" + chunk(b"LIST", b"movi" + bytes(3000)))[:-2000],
    "mkv": matroska(b"\x41\x2c")[:-1],
    "mkv, only its head": matroska(b"\x41\x2c")[:9],
    "asf": asf()[:-1],
    "asf, half of its head": asf()[:40],
    "asf, broadcast, cut in its head": asf(0, flags=1)[:170],
    "flv": FLV[:-5],
    "flv, in the head of a tag": FLV[: 6 - len(FLV_TAGS[-1])],
    "flv, sound cut": FLV[: -len(FLV_TAGS[-1]) - 20],
    "flv, at bytes like the size of a tag": FLV + flv_tag(9, struct.pack(">I", 60) * 50)[: 11 + 100],
    "flv, only its head": FLV_HEAD,
}


WRITTEN = [(".wmv", "WMV2"), (".flv", "FLV1")]
WRITTEN_FRAMES = 25


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """written(suffix, fourcc) -> bytes of a video of noise that OpenCV wrote."""

    def write(suffix: str, fourcc: str) -> bytes:
        noise = np.random.default_rng(0).integers(0, 255, (WRITTEN_FRAMES, 48, 64, 3), np.uint8)
        path = write_video(tmp_path_factory.mktemp("written") / f"video{suffix}", noise, 25.0, fourcc)
        return Path(path).read_bytes()

    return write


@pytest.mark.parametrize("kind", COMPLETE)
def test_a_complete_container_passes(tmp_path, kind):
    (tmp_path / "video").write_bytes(COMPLETE[kind])
    assert check_container(str(tmp_path / "video")) == kind.startswith(("mp4", "avi"))


@pytest.mark.parametrize("kind", CUT)
def test_a_truncated_container_is_rejected(tmp_path, kind):
    (tmp_path / "video").write_bytes(CUT[kind])
    with pytest.raises(UserError, match="video: truncated video: "):
        check_container(str(tmp_path / "video"))


@pytest.mark.parametrize("percent", [10, 50, 90, 99])
@pytest.mark.parametrize("suffix, fourcc", WRITTEN)
def test_a_truncated_real_video_is_rejected(written, tmp_path, suffix, fourcc, percent):
    data = written(suffix, fourcc)
    (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) * percent // 100])
    with pytest.raises(UserError, match=r"cut\.\w+: truncated video: "):
        open_source(str(tmp_path / f"cut{suffix}"))


@pytest.mark.parametrize("suffix, fourcc", WRITTEN)
def test_a_complete_real_video_passes(written, tmp_path, suffix, fourcc):
    (tmp_path / f"whole{suffix}").write_bytes(written(suffix, fourcc))
    with open_source(str(tmp_path / f"whole{suffix}")) as source:
        assert sum(1 for _ in source.frames()) == WRITTEN_FRAMES


def test_a_file_with_too_many_tags_is_accepted_unchecked(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "MAX_STEPS", 3)
    (tmp_path / "few").write_bytes(FLV_HEAD + flv_tag(8, b"") * 2 + flv_tag(8, bytes(9))[:-5])
    (tmp_path / "many").write_bytes(FLV_HEAD + flv_tag(8, b"") * 3 + flv_tag(8, bytes(9))[:-5])
    with pytest.raises(UserError, match="truncated"):
        check_container(str(tmp_path / "few"))
    assert check_container(str(tmp_path / "many")) is False


@settings(max_examples=150)
@given(st.sampled_from(sorted(COMPLETE)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_damaged_sizes_raise_no_other_exception(tmp_path_factory, kind, changes):
    data = bytearray(COMPLETE[kind])
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    try:
        assert check_container(str(path)) in (True, False)
    except UserError as error:
        assert str(error).startswith(str(path))
