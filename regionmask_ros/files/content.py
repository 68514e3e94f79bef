"""Recognizes what a file is by its first bytes, so that a refusal names the true cause and what to do about it.

Every opener calls ``check_content`` or ``check_head`` once, with what it accepts. Content that is not known is left to
the opener.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from enum import Enum, auto
from typing import NamedTuple

from ..errors import EMPTY, UNREADABLE, UNSUPPORTED, InvalidFile
from .paths import display_path

HEAD_BYTES = 4096
"""So many first bytes tell every kind."""

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


class Family(Enum):
    """What openers accept or not."""

    PICTURE = auto()
    VIDEO = auto()
    SOUND = auto()
    BAG = auto()
    ROS1_BAG = auto()
    ZSTD = auto()
    ARRAYS = auto()
    NETWORK = auto()
    ONNX = auto()
    OTHER_NETWORK = auto()
    ARCHIVE = auto()
    TEXT = auto()
    OTHER = auto()


class Content(NamedTuple):
    """What a file is.

    Attributes:
        family: Its family.
        name: Its kind with an article, such as "a ROS 1 bag".
        cure: What to do where it is not accepted; may be empty.
    """

    family: Family
    name: str
    cure: str = ""


PICTURE_KINDS = {
    PNG_MAGIC: "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
"""The pictures that are read, by their first bytes; WebP and PNM are found in another way."""

_PHOTO_CURE = "convert it to JPEG or PNG, as with: ffmpeg -i PHOTO photo.png"
_NETWORK_CURE = "give it as --network, or to 'model import'"
_EXPORT_CURE = "export the network to ONNX"

_MAGICS = (
    (b"version https://git-lfs.github.com/spec/", Content(
        Family.OTHER, "a Git LFS pointer instead of the file itself", "run 'git lfs pull' where it comes from")),
    (b"/annex/objects/", Content(
        Family.OTHER, "a git-annex pointer instead of the file itself", "run 'git annex get' where it comes from")),
    (b"#ROSBAG V", Content(
        Family.ROS1_BAG, "a ROS 1 bag", "convert it with: rosbags-convert --src FILE.bag --dst FOLDER")),
    (b"\x89MCAP0\r\n", Content(Family.BAG, "a bag (MCAP)")),
    (b"SQLite format 3\0", Content(Family.BAG, "a database (SQLite), as in bags")),
    (b"\x28\xb5\x2f\xfd", Content(Family.ZSTD, "compressed with zstd", "unpack it with: zstd -d FILE")),
    (b"\x1f\x8b", Content(Family.ARCHIVE, "compressed with gzip", "unpack it with gunzip, or tar -xzf")),
    (b"BZh", Content(Family.ARCHIVE, "compressed with bzip2", "unpack it with bunzip2, or tar -xjf")),
    (b"\xfd7zXZ\0", Content(Family.ARCHIVE, "compressed with xz", "unpack it with unxz, or tar -xJf")),
    (b"\x04\x22\x4d\x18", Content(Family.ARCHIVE, "compressed with lz4", "unpack it with: lz4 -d FILE")),
    (b"7z\xbc\xaf\x27\x1c", Content(Family.ARCHIVE, "a 7-Zip archive", "unpack it with: 7z x FILE")),
    (b"Rar!\x1a\x07", Content(Family.ARCHIVE, "a RAR archive", "unpack it with: unrar x FILE")),
    (b"%PDF-", Content(Family.OTHER, "a PDF document", "export its pictures, as with: pdfimages -all FILE picture")),
    (b"\x7fELF", Content(Family.OTHER, "a program")),
    (b"MZ", Content(Family.OTHER, "a Windows program")),
    (b"\x4c\0\0\0\x01\x14\x02\0", Content(Family.OTHER, "a Windows shortcut", "give the file that it names")),
    (b"\0\x05\x16\x07", Content(Family.OTHER, "a macOS side file, which holds no picture", "give the file beside it")),
    (b"GIF8", Content(Family.PICTURE, "a GIF image", _PHOTO_CURE)),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Content(Family.PICTURE, "a JPEG 2000 image", _PHOTO_CURE)),
    (b"\xff\x4f\xff\x51", Content(Family.PICTURE, "a JPEG 2000 image", _PHOTO_CURE)),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Content(Family.PICTURE, "a JPEG XL image", _PHOTO_CURE)),
    (b"\xff\x0a", Content(Family.PICTURE, "a JPEG XL image", _PHOTO_CURE)),
    (b"8BPS", Content(Family.PICTURE, "a Photoshop document", _PHOTO_CURE)),
    (b"v/1\x01", Content(Family.PICTURE, "an OpenEXR image", _PHOTO_CURE)),
    (b"II+\0", Content(Family.PICTURE, "a BigTIFF image", "convert it with: tiffcp -4 FILE picture.tif")),
    (b"MM\0+", Content(Family.PICTURE, "a BigTIFF image", "convert it with: tiffcp -4 FILE picture.tif")),
    (b"P7\n", Content(Family.PICTURE, "a PAM image", _PHOTO_CURE)),
    (b"\x93NUMPY", Content(Family.ARRAYS, "a NumPy array (.npy)")),
    (b"ftrt", Content(Family.OTHER_NETWORK, "an engine of TensorRT, which runs on one kind of computer only",
                      "export the network that it was made of to ONNX")),
    (b"7767517\n", Content(Family.OTHER_NETWORK, "a network of ncnn", _EXPORT_CURE)),
    (b"\x89HDF\r\n\x1a\n", Content(Family.NETWORK, "an HDF5 file, as networks of lava-dl are", _NETWORK_CURE)),
    (b"\x1a\x45\xdf\xa3", Content(Family.VIDEO, "a Matroska or WebM video")),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), Content(Family.VIDEO, "a Windows Media video")),
    (b"FLV\x01", Content(Family.VIDEO, "a Flash video")),
    (b"YUV4MPEG2 ", Content(Family.VIDEO, "a YUV4MPEG video")),
    (b"\0\0\x01\xba", Content(Family.VIDEO, "an MPEG video")),
    (b"\0\0\x01\xb3", Content(Family.VIDEO, "an MPEG video")),
    (b"ID3", Content(Family.SOUND, "a sound file (MP3)")),
    (b"fLaC", Content(Family.SOUND, "a sound file (FLAC)")),
)

_RIFF = {
    b"AVI ": Content(Family.VIDEO, "an AVI video"), b"WAVE": Content(Family.SOUND, "a sound file (WAV)"),
    b"WEBP": Content(Family.PICTURE, "a WebP image")}

_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp")
_AVIF = frozenset((b"avif", b"avis"))
_HEIC = frozenset((b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx"))
_PHOTO_BRANDS = frozenset((b"mif1", b"msf1"))

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_ONNX = re.compile(rb"\x08[\x01-\x20](?:\x12[\x01-\x40][ -~]|[\x1a\x22\x32\x3a\x42])")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head|body|script|\?xml|svg)\b", re.IGNORECASE)
_JSON = re.compile(rb"\s*(?:\{|\[\s*(?:[]\[{\"0-9-]|null|true|false|\Z))")
_OPENVINO = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<net\s")
_CONTROL = bytes(range(32)).translate(None, b"\t\n\r\f\x1b")


def picture_kind(head: bytes) -> str | None:
    """Format of a picture that is read and has these first bytes, such as "PNG"; None for anything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if re.match(rb"P[1-6]\s", head[:3]):
        return "PNM"
    # Two letters are not enough to tell a BMP from a text.
    if head[:2] == b"BM" and is_text(head):
        return None
    return next((kind for magic, kind in PICTURE_KINDS.items() if head.startswith(magic)), None)


def is_text(head: bytes) -> bool:
    """Whether a file with these first bytes is a text: without control characters, or in UTF-16."""
    return head[:2] in (b"\xff\xfe", b"\xfe\xff") or len(head.translate(None, _CONTROL)) == len(head)


def identify(head: bytes) -> Content | None:
    """Recognizes content.

    Args:
        head: The first ``HEAD_BYTES`` bytes of a file, or all of it.

    Returns:
        What it is; None if that is not known.
    """
    picture = picture_kind(head)
    if picture:
        return Content(Family.PICTURE, f"a single {picture} image")
    found = next((content for magic, content in _MAGICS if head.startswith(magic)), None)
    return found or _identify_container(head) or _identify_network(head) or _identify_text(head)


def check_head(head: bytes, accepted: Collection[Family], wanted: str) -> None:
    """Refuses content that is known to be something else.

    Args:
        head: The first bytes of a file; see ``identify``.
        accepted: What the caller reads.
        wanted: That in words, such as "a video, a folder of images or a bag".

    Raises:
        InvalidFile: It is something else. The reason says what, and what to do.
    """
    found = identify(head)
    if found is not None and found.family not in accepted:
        raise InvalidFile(f"this is {found.name}, not {wanted}{found.cure and f': {found.cure}'}", UNSUPPORTED)


def check_content(path: str | os.PathLike[str], accepted: Collection[Family], wanted: str) -> None:
    """Refuses a file that is known to be something else. A folder, a pipe, and a file that is not known pass.

    Args:
        path: The file.
        accepted: What the caller reads.
        wanted: That in words, such as "a video, a folder of images or a bag".

    Raises:
        UserError: It is empty, cannot be read, or is something else.
    """  # noqa: DOC501  ``about`` makes a UserError
    if not os.path.isfile(path):
        return
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
        if not head:
            raise InvalidFile("empty file", EMPTY)
        check_head(head, accepted, wanted)
    except OSError as error:
        raise InvalidFile(f"cannot be read: {error.strerror or error}", UNREADABLE).about(display_path(path)) from None
    except InvalidFile as refused:
        raise refused.about(display_path(path)) from None


def _identify_container(head: bytes) -> Content | None:
    """Files that begin with the size of a part, and those with a mark behind the beginning."""
    if head[4:8] == b"ftyp":
        end = min(len(head), int.from_bytes(head[:4], "big"))
        brands = {head[8:12], *(head[place:place + 4] for place in range(16, end, 4))}
        if brands & _AVIF:
            return Content(Family.PICTURE, "an AVIF photo", _PHOTO_CURE)
        if brands & _HEIC or head[8:12] in _PHOTO_BRANDS:
            return Content(Family.PICTURE, "a HEIC photo", _PHOTO_CURE)
    if head[4:8] in _MP4_FIRST_BOXES:
        return Content(Family.VIDEO, "an MP4 or QuickTime video")
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[257:262] == b"ustar":
        return Content(Family.ARCHIVE, "a tar archive", "unpack it with: tar -xf FILE")
    if head[:1] == b"G" and head[188:189] == b"G" and head[376:377] == b"G":
        return Content(Family.VIDEO, "an MPEG transport stream")
    if head[:4] == b"OggS":
        return Content(Family.VIDEO, "an Ogg file")
    return None


def _identify_network(head: bytes) -> Content | None:
    """Networks, arrays, and the zip archives that they are in."""
    if head.startswith(b"PK\x03\x04"):
        name = head[30:30 + int.from_bytes(head[26:28], "little")]
        if name.endswith(b"data.pkl"):
            return Content(Family.NETWORK, "a PyTorch checkpoint", _NETWORK_CURE)
        if name.endswith(b".npy"):
            return Content(Family.ARRAYS, "an archive of NumPy arrays (.npz)")
        return Content(Family.ARCHIVE, "a zip archive", "unpack it with: unzip FILE")
    if head.startswith(b"PK\x05\x06"):
        return Content(Family.ARCHIVE, "an empty zip archive")
    if _PICKLE.match(head):
        return Content(Family.NETWORK, "a Python pickle, as PyTorch checkpoints are", _NETWORK_CURE)
    if head[4:8] == b"TFL3":
        return Content(Family.OTHER_NETWORK, "a TensorFlow Lite network", _EXPORT_CURE)
    if head[8:10] == b'{"' and not any(head[4:8]) and any(head[:4]):
        return Content(Family.OTHER_NETWORK, "a file of weights (safetensors)", _EXPORT_CURE)
    # Ultralytics writes a text in front of the engine, with its length in four bytes.
    if head[4:6] == b'{"' and head[2:4] == b"\0\0":
        return Content(Family.OTHER_NETWORK, "an engine of TensorRT, with the description of Ultralytics in front",
                       "export the network that it was made of to ONNX")
    if _ONNX.match(head):
        return Content(Family.ONNX, "a network in an ONNX file", _NETWORK_CURE)
    return None


def _identify_text(head: bytes) -> Content | None:
    if not head or not is_text(head):
        return None
    if _OPENVINO.match(head):
        return Content(Family.OTHER_NETWORK, "a network of OpenVINO (.xml)",
                       "give the ONNX file that it was made of, which OpenVINO reads")
    if _MARKUP.match(head):
        page = Content(Family.OTHER, "a web page instead of the file itself", "download the file that the page shows")
        return page if b"html" in head[:256].lower() else Content(Family.TEXT, "a text file (XML)")
    if _JSON.match(head):
        return Content(Family.TEXT, "a text file (JSON)")
    return Content(Family.TEXT, "a text file")
