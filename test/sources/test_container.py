"""Container sizes: what is refused, and what must not be."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.errors import UserError
from regionmask_ros.sources.container import check_container


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    return kind + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def avi(movi_size: int | None = None, riff_size: int | None = None) -> bytes:
    headers = chunk(b"LIST", b"hdrl" + bytes(100))
    pictures = chunk(b"LIST", b"movi" + bytes(2000), movi_size)
    return chunk(b"RIFF", b"AVI " + headers + pictures + chunk(b"idx1", bytes(200)), riff_size)


def matroska(size_field: bytes, body: bytes = bytes(300)) -> bytes:
    header = bytes.fromhex("1a45dfa3") + b"\x84" + bytes(4)
    return header + bytes.fromhex("ec82") + bytes(2) + bytes.fromhex("18538067") + size_field + body


MOOV, MDAT = box(b"moov", bytes(50)), box(b"mdat", bytes(500))
FTYP = box(b"ftyp", b"isom" + bytes(8))

COMPLETE = {
    "mp4, index last": FTYP + MDAT + MOOV,
    "mp4, index first": FTYP + MOOV + MDAT,
    "mp4, pictures to the end": FTYP + MOOV + struct.pack(">I4s", 0, b"mdat") + bytes(99),
    "mp4, 64-bit size": FTYP + struct.pack(">I4sQ", 1, b"mdat", 116) + bytes(100) + MOOV,
    "mp4, in fragments": FTYP + box(b"moof", bytes(20)) + MDAT + box(b"moof", bytes(20)) + MDAT,
    "mp4, a last box of no weight cut": FTYP + MOOV + MDAT + box(b"free", bytes(100))[:20],
    "mp4, bytes behind it": FTYP + MOOV + MDAT + b"\xff\xfe\xfd" * 9,
    "avi": avi(),
    "avi, sizes never filled in": avi(0, 0),
    "avi, sizes of a stream": avi(0xFFFFFFFF, 0xFFFFFFFF),
    "avi, total wrong by a few bytes": avi(riff_size=len(avi()) + 16),
    "avi, more than one part": avi() + chunk(b"RIFF", b"AVIX" + chunk(b"LIST", b"movi" + bytes(3000))),
    "avi, bytes behind it": avi() + b"tail" * 9,
    "mkv": matroska(b"\x41\x2c"),
    "mkv, longer than it says": matroska(b"\x40\x64"),
    "mkv, size of a stream": matroska(b"\x01" + b"\xff" * 7),
    "mkv, short size of a stream": matroska(b"\xff"),
    "unknown kind": b"\x47" + bytes(187) + b"\x47" + bytes(187),
}

CUT = {
    "mp4, index last": FTYP + MDAT + MOOV[:-1],
    "mp4, no index": FTYP + MDAT,
    "mp4, pictures cut": FTYP + MOOV + MDAT[:-1],
    "mp4, 64-bit size": FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 1 << 40) + bytes(100),
    "mp4, last fragment cut": FTYP + box(b"moof", bytes(20)) + MDAT + box(b"moof", bytes(20)) + MDAT[:99],
    "avi, index cut": avi()[:-100],
    "avi, pictures cut": avi()[:1200],
    "avi, pictures cut, total never filled in": avi(riff_size=0)[:1200],
    "avi, second part cut": avi() + chunk(b"RIFF", b"AVIX" + chunk(b"LIST", b"movi" + bytes(3000)))[:-2000],
    "mkv": matroska(b"\x41\x2c")[:-1],
    "mkv, only its head": matroska(b"\x41\x2c")[:9],
}


@pytest.mark.parametrize("kind", COMPLETE)
def test_a_complete_container_passes(tmp_path, kind):
    (tmp_path / "video").write_bytes(COMPLETE[kind])
    assert check_container(str(tmp_path / "video")) == kind.startswith(("mp4", "avi"))


@pytest.mark.parametrize("kind", CUT)
def test_a_cut_container_is_refused(tmp_path, kind):
    (tmp_path / "video").write_bytes(CUT[kind])
    with pytest.raises(UserError, match="video: truncated video: "):
        check_container(str(tmp_path / "video"))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(COMPLETE)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_damaged_sizes_end_in_an_answer(tmp_path_factory, kind, changes):
    data = bytearray(COMPLETE[kind])
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    try:
        assert check_container(str(path)) in (True, False)
    except UserError as error:
        assert str(error).startswith(str(path))
