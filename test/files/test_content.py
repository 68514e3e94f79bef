"""Content is recognized by its first bytes, so that one line names the true cause and the cure."""

from __future__ import annotations

import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.datasets import read_labels
from regionmask_ros.errors import InvalidFile, UserError
from regionmask_ros.files.content import HEAD_BYTES, Family, check_content, check_head, identify
from regionmask_ros.mask.static import read_static_mask
from regionmask_ros.network.files import load_network
from regionmask_ros.network.onnx.reading import read_onnx
from regionmask_ros.sources import open_source
from regionmask_ros.sources.images import read_image


def zipped(name: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, b"content")
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return data.getvalue()


def npz() -> bytes:
    data = io.BytesIO()
    np.savez(data, weights=np.zeros(3))
    return data.getvalue()


def photo(major: bytes, *compatible: bytes) -> bytes:
    brands = major + bytes(4) + b"".join(compatible)
    return (8 + len(brands)).to_bytes(4, "big") + b"ftyp" + brands + bytes(100)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
PAGE = b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><body>Sign in to download</body></html>"

KINDS = {
    "lfs": (LFS, "Git LFS pointer .*git lfs pull"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24\0", "zstd.*zstd -d"),
    "heic": (photo(b"heic", b"mif1"), "HEIC photo.*convert it to JPEG or PNG"),
    "heic of another writer": (photo(b"mif1", b"heic"), "HEIC photo"),
    "avif": (photo(b"mif1", b"miaf", b"avif"), "AVIF photo"),
    "page": (PAGE, "web page instead of the file itself"),
    "gzip": (gzip.compress(b"words"), "gzip"),
    "xz": (lzma.compress(b"words"), "xz"),
    "zip": (zipped("a.jpg"), "a zip archive.*unzip"),
    "tar": (tarred(), "a tar archive"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
    "checkpoint": (zipped("archive/data.pkl"), "a PyTorch checkpoint"),
    "old checkpoint": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a Python pickle, as PyTorch checkpoints"),
    "npz": (npz(), r"NumPy arrays \(.npz\)"),
    "gif": (b"GIF89a" + bytes(20), "a GIF image"),
    "sound": (b"RIFF\x24\0\0\0WAVEfmt ", "a sound file"),
    "png": (cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes(), "a single PNG image"),
    "onnx": (b"\x08\x08\x12\x07pytorch:\x10", "a network in an ONNX file"),
    "safetensors": (b'\x18\0\0\0\0\0\0\0{"a":{"dtype":"F32"}}   ', "safetensors.*export the network to ONNX"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite network.*export the network to ONNX"),
    "engine": (b"ftrt\0\0\0\0" + bytes(20), "an engine of TensorRT.*export the network that it was made of"),
    "engine with text": (b'\x20\0\0\0{"description": "a"}ftrt', "TensorRT, with the description of Ultralytics"),
    "openvino": (b'<?xml version="1.0"?>\n<net name="x" version="11">', r"a network of OpenVINO \(.xml\).*give"),
    "ncnn": (b"7767517\n10 12\n", "a network of ncnn"),
    "settings": (b"[net]\nbatch=1\n", "a text file, not a video"),
    "text": (b"some words\n", "a text file"),
    "utf-16": ("some words".encode("utf-16"), "a text file"),
    "json": (b'{"images": []}', r"a text file \(JSON\)"),
    "empty": (b"", "empty file"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_video_that_is_something_else_is_named_with_its_cure(kind, tmp_path):
    content, message = KINDS[kind]
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as refused:
        open_source(str(path))
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["lfs", "page", "heic", "zstd", "checkpoint", "pdf", "empty", "openvino", "engine"])
@pytest.mark.parametrize("name, opener", [
    ("a.png", read_image), ("mask.png", read_static_mask), ("net.pt", load_network), ("net.onnx", read_onnx),
    ("gt.csv", lambda path: read_labels(f"csv:{path}")), ("gt.json", lambda path: read_labels(f"coco:{path}"))])
def test_every_opener_names_the_true_cause(kind, name, opener, tmp_path):
    if name.startswith("net"):
        pytest.importorskip("onnx", reason="no onnx: `make runtimes` brings it")
    if (name, kind) == ("net.pt", "checkpoint"):
        pytest.skip("this is what it reads")
    content, message = KINDS[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        opener(str(tmp_path / name))


def test_a_folder_without_images_tells_what_is_in_it(tmp_path):
    (tmp_path / "a.mov").write_bytes(photo(b"qt  "))
    with pytest.raises(UserError, match=r"no image in this folder .*; a\.mov in it is an MP4 or QuickTime video"):
        open_source(str(tmp_path))


def test_what_is_accepted_or_not_known_passes(tmp_path):
    with sqlite3.connect(tmp_path / "a.db3") as database:
        database.execute("create table topics (id integer)")
    database.close()
    check_content(tmp_path / "a.db3", (Family.BAG,), "a bag")
    with pytest.raises(UserError, match=r"a database \(SQLite\), as in bags, not a video"):
        check_content(tmp_path / "a.db3", (), "a video")
    check_content(tmp_path, (), "a video")
    with pytest.raises(InvalidFile, match="ROS 1 bag, not a mask: convert it with: rosbags-convert"):
        check_head(b"#ROSBAG V2.0\nE\0\0\0", (), "a mask")
    check_head(np.random.default_rng(7).bytes(500), (), "a video")


@given(st.binary(max_size=600) | st.sampled_from([content for content, _ in KINDS.values()]).flatmap(
    lambda content: st.integers(0, len(content)).map(lambda cut: content[:cut])))
def test_no_head_is_too_short_or_too_strange(head):
    found = identify(head[:HEAD_BYTES])
    if found:
        with pytest.raises(InvalidFile, match="not a video"):
            check_head(head, (), "a video")
        check_head(head, (found.family,), "this")
