"""Is a video file whole? Looks at the container's own sizes, before anything is decoded.

A decoder plays what is there of a truncated file and stops without an error. The sizes in the container tell, at the
cost of a few short reads: MP4 and QuickTime boxes, AVI chunks, the Matroska segment, the file size in an ASF (WMV)
header, FLV tags. Sizes that a writer left open are accepted, and so is any container that is not known here. MPEG-TS is
a stream without a length: a cut one cannot be told from a whole one, nor can an FLV file that is cut between two tags.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from ..errors import UserError
from ..files.paths import display_path
from .images import image_format

HEAD_BYTES = 4096

MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
EBML_MAGIC = b"\x1a\x45\xdf\xa3"
MATROSKA_SEGMENT = b"\x18\x53\x80\x67"

AVI_OPEN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
AVI_SLACK = 64
"""Old AVI writers count their headers wrongly by a few bytes."""

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")

FLV_TAGS = (8, 9, 18)
"""Sound, picture, script."""

MAX_STEPS = 1_000_000
"""A walk through more ASF objects or FLV tags than a long film has is given up: the file is accepted."""

_CONTROL = bytes(range(32)).translate(None, b"\t\n\r\f\x1b")


def check_container(path: str) -> bool:
    """Raises UserError when the file is empty, text, a single picture, or clearly lacks bytes.

    Returns True when this kind of container counts its frames, so that a shorter video must be a damaged one.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
            _reject_non_video(path, head)
            if head[4:8] in MP4_FIRST_BOXES:
                fault, counts = _mp4_fault(file, size), True
            elif head[:4] == b"RIFF" and head[8:12] == b"AVI ":
                fault, counts = _avi_fault(file, size), True
            elif head[:4] == EBML_MAGIC:
                fault, counts = _matroska_fault(file, size), False
            elif head[:16] == ASF_HEADER:
                fault, counts = _asf_fault(file, size), False
            elif head[:4] == b"FLV\x01":
                fault, counts = _flv_fault(file, size), False
            else:
                fault, counts = None, False
    except OSError as error:
        raise UserError(f"{display_path(path)}: cannot be read: {error.strerror or error}") from None
    if fault:
        raise UserError(f"{display_path(path)}: truncated video: {fault}")
    return counts


def _reject_non_video(path: str, head: bytes) -> None:
    if not head:
        raise UserError(f"{display_path(path)}: empty file")
    kind = image_format(head)
    motion_jpeg = kind == "JPEG" and path.lower().endswith((".mjpg", ".mjpeg"))
    if kind and not motion_jpeg:
        raise UserError(f"{display_path(path)}: a single {kind} picture, not a video: give the folder that holds the pictures")
    # FFmpeg would show a text as a film of a terminal, and follow a play list to other files.
    if _is_text(head):
        raise UserError(f"{display_path(path)}: a text file, not a video")


def _is_text(head: bytes) -> bool:
    if head.startswith(b"YUV4MPEG2 "):
        return False
    return head[:2] in (b"\xff\xfe", b"\xfe\xff") or len(head.translate(None, _CONTROL)) == len(head)


def _mp4_fault(file: BinaryIO, size: int) -> str | None:
    """Walks the boxes of the top level."""
    position, index_seen = 0, False
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - position
        if length < 8 or not kind.isascii():
            break
        index_seen = index_seen or kind in (b"moov", b"moof")
        if position + length > size and kind in (b"moov", b"moof", b"mdat"):
            return _missing(position + length - size)
        position += length
    return None if index_seen else "its index (moov) is missing"


def _avi_fault(file: BinaryIO, size: int) -> str | None:
    """Walks the RIFF chunks (more than one beyond 1 GB) and the chunks inside each."""
    riff = 0
    while riff + 12 <= size:
        file.seek(riff)
        header = file.read(12)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] != b"RIFF" or header[8:11] != b"AVI":
            return None
        open_end = length in AVI_OPEN_SIZES
        end = size if open_end else riff + 8 + length
        if end > size + AVI_SLACK:
            return _missing(end - size)
        lacking = _avi_list_lack(file, riff + 12, min(end, size), size)
        if lacking > 0:
            return _missing(lacking)
        if open_end:
            return None
        riff = end + end % 2
    return None


def _avi_list_lack(file: BinaryIO, position: int, end: int, size: int) -> int:
    """Bytes by which a list inside a RIFF chunk (headers, pictures) reaches beyond the end of the file."""
    while position + 8 <= end:
        file.seek(position)
        header = file.read(8)
        length = int.from_bytes(header[4:8], "little")
        if length in AVI_OPEN_SIZES and header[:4] == b"LIST":
            return 0
        lacking = position + 8 + length - size
        if lacking > 0 and header[:4] == b"LIST":
            return lacking if lacking > AVI_SLACK or position + 12 > size else 0
        position += 8 + length + length % 2
    return 0


def _matroska_fault(file: BinaryIO, size: int) -> str | None:
    """Finds the segment behind the EBML header."""
    position = 0
    while position + 12 <= size:
        file.seek(position)
        header = file.read(12)
        id_length = _vint_length(header[0])
        size_length = _vint_length(header[id_length]) if id_length <= 4 else 9
        if size_length > 8:
            return None
        field = header[id_length : id_length + size_length]
        length = int.from_bytes(field, "big") & ((1 << 7 * size_length) - 1)
        unknown = length == (1 << 7 * size_length) - 1
        end = position + id_length + size_length + length
        if header[:id_length] == MATROSKA_SEGMENT:
            return _missing(end - size) if end > size and not unknown else None
        if unknown:
            return None
        position = end
    return "its content is missing"


def _vint_length(first: int) -> int:
    """Length in bytes of an EBML number that starts with this byte: one more than its leading zero bits."""
    return 9 - first.bit_length()


def _asf_fault(file: BinaryIO, size: int) -> str | None:
    """Looks for the file's size in the header object, which comes first."""
    file.seek(16)
    end = whole = int.from_bytes(file.read(8), "little")
    position = 30
    for _ in range(MAX_STEPS):
        if position + 24 > min(end, size):
            break
        file.seek(position)
        header = file.read(92)
        length = int.from_bytes(header[16:24], "little")
        if header[:16] == ASF_FILE_PROPERTIES:
            # A live stream's writer sets this flag, and then the size means nothing.
            broadcast = int.from_bytes(header[88:92], "little") & 1
            if not broadcast:
                whole = max(end, int.from_bytes(header[40:48], "little"))
            break
        if length < 24:
            break
        position += length
    return _missing(whole - size) if whole > size else None


def _flv_fault(file: BinaryIO, size: int) -> str | None:
    """Walks the tags, unless the end of the file already shows a whole one."""
    if _ends_with_flv_tag(file, size):
        return None
    file.seek(5)
    position = int.from_bytes(file.read(4), "big") + 4
    if position >= size:
        return "its content is missing"
    for _ in range(MAX_STEPS):
        file.seek(position)
        header = file.read(4)
        if not header or header[0] not in FLV_TAGS:
            return None
        end = position + 11 + int.from_bytes(header[1:4], "big")
        if end > size:
            return "its last tag is cut"
        position = end + 4
    return None


def _ends_with_flv_tag(file: BinaryIO, size: int) -> bool:
    """Every tag is followed by its size, so the last one can be found from the end, however long the film."""
    file.seek(size - 4)
    length = int.from_bytes(file.read(4), "big")
    if not 11 <= length <= size - 13 - 4:
        return False
    file.seek(size - 4 - length)
    header = file.read(4)
    return header[0] in FLV_TAGS and int.from_bytes(header[1:], "big") == length - 11


def _missing(count: int) -> str:
    return f"{count} bytes are missing at its end"
