"""Frames of a video file, decoded by OpenCV; truncated files are detected before anything is decoded.

A decoder plays what is left of a truncated file and stops without an error. A few short reads of the container's sizes
show the truncation: MP4 and QuickTime boxes, AVI chunks, the Matroska segment, the file size in an ASF (WMV) header,
FLV tags. Sizes that a writer left open are accepted, and so are unknown containers. Truncation of MPEG-TS, a stream
without a length, cannot be detected, nor that of an FLV file between two tags.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

import cv2
import numpy as np

from ..core.frame import Frame
from ..errors import UserError
from ..files.paths import display_path
from .base import FRAME_ID, Source, frame_stamp_ns
from .pictures.reading import Reading

HEAD_BYTES = 4096

MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
EBML_MAGIC = b"\x1a\x45\xdf\xa3"
MATROSKA_SEGMENT = b"\x18\x53\x80\x67"

AVI_OPEN_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
AVI_SLACK = 64
"""Bytes. Old AVI writers are wrong by a few bytes, because they miscount their headers."""

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")

FLV_TAGS = (8, 9, 18)
"""Sound, video, script."""

MAX_STEPS = 1_000_000
"""Limit of ASF objects or FLV tags, more than a long video has. After it the file is accepted."""


def check_container(path: str) -> bool:
    """Checks that a file can be a complete video.

    Args:
        path: The file.

    Returns:
        Whether this kind of container counts its frames, so that a video with fewer frames must be damaged.

    Raises:
        UserError: The file is clearly truncated.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(HEAD_BYTES)
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


def _mp4_fault(file: BinaryIO, size: int) -> str | None:
    """Follows the boxes of the top level."""
    position, has_index = 0, False
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
        has_index = has_index or kind in (b"moov", b"moof")
        if position + length > size and kind in (b"moov", b"moof", b"mdat"):
            return _describe_missing(position + length - size)
        position += length
    return None if has_index else "its index (moov) is missing"


def _avi_fault(file: BinaryIO, size: int) -> str | None:
    """Follows the RIFF chunks (more than one beyond 1 GB) and the chunks inside each."""
    riff = 0
    while riff + 12 <= size:
        file.seek(riff)
        header = file.read(12)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] != b"RIFF" or header[8:11] != b"AVI":
            return None
        is_open = length in AVI_OPEN_SIZES
        end = size if is_open else riff + 8 + length
        if end > size + AVI_SLACK:
            return _describe_missing(end - size)
        missing = _avi_missing_bytes(file, riff + 12, min(end, size), size)
        if missing > 0:
            return _describe_missing(missing)
        if is_open:
            return None
        riff = end + end % 2
    return None


def _avi_missing_bytes(file: BinaryIO, position: int, end: int, size: int) -> int:
    """Bytes by which a list inside a RIFF chunk (headers, images) extends beyond the end of the file."""
    while position + 8 <= end:
        file.seek(position)
        header = file.read(8)
        length = int.from_bytes(header[4:8], "little")
        if length in AVI_OPEN_SIZES and header[:4] == b"LIST":
            return 0
        missing = position + 8 + length - size
        if missing > 0 and header[:4] == b"LIST":
            return missing if missing > AVI_SLACK or position + 12 > size else 0
        position += 8 + length + length % 2
    return 0


def _matroska_fault(file: BinaryIO, size: int) -> str | None:
    """Finds the segment after the EBML header."""
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
        is_unknown = length == (1 << 7 * size_length) - 1
        end = position + id_length + size_length + length
        if header[:id_length] == MATROSKA_SEGMENT:
            return _describe_missing(end - size) if end > size and not is_unknown else None
        if is_unknown:
            return None
        position = end
    return "its content is missing"


def _vint_length(first: int) -> int:
    """Bytes of an EBML number with this first byte: one more than its leading zero bits."""
    return 9 - first.bit_length()


def _asf_fault(file: BinaryIO, size: int) -> str | None:
    """Reads the file's size from the header object, which is the first one."""
    file.seek(16)
    end = total = int.from_bytes(file.read(8), "little")
    position = 30
    for _ in range(MAX_STEPS):
        if position + 24 > min(end, size):
            break
        file.seek(position)
        header = file.read(92)
        length = int.from_bytes(header[16:24], "little")
        if header[:16] == ASF_FILE_PROPERTIES:
            # The writer of a live stream sets this flag; then the size has no meaning.
            broadcast = int.from_bytes(header[88:92], "little") & 1
            if not broadcast:
                total = max(end, int.from_bytes(header[40:48], "little"))
            break
        if length < 24:
            break
        position += length
    return _describe_missing(total - size) if total > size else None


def _flv_fault(file: BinaryIO, size: int) -> str | None:
    """Follows the tags, unless the file ends with a complete one."""
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
            return "its last tag is incomplete"
        position = end + 4
    return None


def _ends_with_flv_tag(file: BinaryIO, size: int) -> bool:
    """Whether the last tag is complete. Its size stands behind it, so that it is found from the end of the file."""
    file.seek(size - 4)
    length = int.from_bytes(file.read(4), "big")
    if not 11 <= length <= size - 13 - 4:
        return False
    file.seek(size - 4 - length)
    header = file.read(4)
    return header[0] in FLV_TAGS and int.from_bytes(header[1:], "big") == length - 11


def _describe_missing(count: int) -> str:
    return f"{count} bytes are missing at its end"


DEFAULT_FPS = 25.0
"""Rate of a video without a rate, or with an impossible one."""

MAX_FPS = 1000.0

COMPLETE_SHARE = 0.9
"""A video with less than this share of the frames that it announces is damaged. Some writers count a few too many."""


class VideoFile(Source):
    """A video file. Pixels are in BGR order, and stamps count from 0 at ``fps``.

    Args:
        path: The file.
        reading: See ``Source``.

    Raises:
        UserError: The file is not a complete video with at least one frame.
    """

    def __init__(self, path: str, reading: Reading | None = None) -> None:
        super().__init__(reading)
        self._path = path
        self._capture: cv2.VideoCapture | None = None
        counts_frames = check_container(path)
        self.name = os.path.basename(os.path.abspath(path))
        capture = self._open()
        try:
            first = _read(capture)
            if first is None:
                raise UserError(f"{display_path(path)}: opens as a video but holds no frame that can be decoded")
            fps = capture.get(cv2.CAP_PROP_FPS)
            count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        finally:
            capture.release()
        self.fps = fps if 0.0 < fps <= MAX_FPS else DEFAULT_FPS
        self.frame_count = int(count) if 0 < count < 1e12 else None
        self.size_wh = (first.shape[1], first.shape[0])
        # Other containers only give a duration, often that of the sound, which proves no damage.
        self._min_frames = COMPLETE_SHARE * self.frame_count if self.frame_count and counts_frames else 1

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        self.close()
        capture = self._capture = self._open()
        index = 0
        while self._capture is capture:
            pixels = _read(capture)
            if pixels is None:
                break
            yield Frame(pixels, "bgr", frame_stamp_ns(index, self.fps), FRAME_ID)
            index += 1
        else:
            return
        self.close()
        if index < self._min_frames:
            raise UserError(
                f"{display_path(self._path)}: ends after {index} of {self.frame_count or 'some'} frames: "
                "damaged or truncated")

    def close(self) -> None:
        """See ``Source``."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _open(self) -> cv2.VideoCapture:
        backends = cv2.videoio_registry.getBackends()
        api = cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in backends else cv2.CAP_ANY
        try:
            # An absolute path, because FFmpeg would read "a:b.mp4" as the protocol a.
            capture = cv2.VideoCapture(os.path.abspath(self._path), api)
            opened = capture.isOpened()
        except cv2.error:
            opened = False
        if not opened:
            raise UserError(f"{display_path(self._path)}: not a video that OpenCV can open")
        return capture


def _read(capture: cv2.VideoCapture) -> np.ndarray | None:
    """The next image, uint8 [height, width, 3] BGR, or None at the end."""
    try:
        is_decoded, pixels = capture.read()
    except cv2.error:
        return None
    return np.ascontiguousarray(pixels) if is_decoded and pixels.ndim == 3 and pixels.shape[2] == 3 else None
