"""Files and zip archives that may come from anybody, read within limits.

Nothing is ever extracted to a path that an archive names. Every failure is ``InvalidFile``.

Arrays in ``.npz`` archives that may come from anybody: numbers only, and no larger than the file says.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from ..errors import InvalidFile

MAX_BYTES = 256 << 20
ZIP_MAGIC = b"PK\x03\x04"

# What zipfile raises on damaged input, found by feeding it damaged input.
_ZIP_ERRORS = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError, OSError, IndexError, KeyError,
)


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """A regular file of 1 to MAX_BYTES bytes, opened for reading. A pipe or device could block, so it is refused."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise InvalidFile("this is a folder, not a file")
        if not stat.S_ISREG(found.st_mode):
            raise InvalidFile("not a regular file")
        if found.st_size == 0:
            raise InvalidFile("empty file")
        if found.st_size > MAX_BYTES:
            raise InvalidFile(f"larger than {MAX_BYTES >> 20} MB")
        return open(path, "rb")
    except OSError as error:
        raise InvalidFile(system_cause(error)) from error
    except ValueError as error:
        raise InvalidFile(f"not a file name: {error}") from error


def read_limited(file: BinaryIO) -> bytes:
    """The file from its start, at most MAX_BYTES (it may have grown since it was opened)."""
    try:
        file.seek(0)
        return file.read(MAX_BYTES)
    except OSError as error:
        raise InvalidFile(system_cause(error)) from error


def looks_like_zip(file: BinaryIO) -> bool:
    """Whether it begins as a zip archive does; a file that cannot be read does not."""
    try:
        file.seek(0)
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    except OSError:
        return False


def system_cause(error: OSError) -> str:
    """The system's words for it, such as "permission denied", without number and file name."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """The archive's directory. Names that occur twice are refused: readers disagree on which of them counts."""
    try:
        archive = zipfile.ZipFile(file)
    except _ZIP_ERRORS as error:
        raise InvalidFile("truncated or damaged zip archive") from error
    seen: set[str] = set()
    for name in archive.namelist():
        if name in seen:
            raise InvalidFile(f"damaged zip archive, {name} is in it twice")
        seen.add(name)
    return archive


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """One member, as long as its entry says and at most MAX_BYTES; its checksum is verified."""
    if info.file_size > MAX_BYTES:
        raise InvalidFile(f"{info.filename} in it is said to be larger than {MAX_BYTES >> 20} MB")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InvalidFile(f"{info.filename} in it is compressed in a way that is not read")
    try:
        with archive.open(info) as member:
            data = member.read(info.file_size + 1)
    except _ZIP_ERRORS as error:
        raise InvalidFile(f"damaged zip archive, {info.filename} cannot be read") from error
    if len(data) != info.file_size:
        raise InvalidFile(f"damaged zip archive, {info.filename} is shorter than said")
    return data


MAX_SIDE = 16_384
MAX_SIDES = 2


def read_array(archive: zipfile.ZipFile, name: str, kinds: str, what: str,
               longest: int = MAX_SIDE) -> np.ndarray:
    """One array of at most two axes. Its header is checked before memory is taken; objects (pickles) are refused.

    kinds: the dtype kinds that may be, as NumPy names them. what: what the file should be, for people, such as
    "a mask". longest: length that an axis may have. Raises Refused.
    """
    if f"{name}.npy" not in archive.namelist():
        raise InvalidFile(f"not {what}: no array {name} in it")
    data = read_member(archive, archive.getinfo(f"{name}.npy"))
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read_header[version](stream)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise InvalidFile(f"damaged array {name}") from error
    if dtype.hasobject:
        raise InvalidFile(f"array {name} holds Python objects; only numbers are read")
    if dtype.kind not in kinds or len(shape) > MAX_SIDES:
        raise InvalidFile(f"array {name} is {dtype} {list(shape)}: not {what}")
    content = data[stream.tell():]
    sane = all(type(side) is int and 0 <= side <= longest for side in shape)
    if not sane or len(content) != int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise InvalidFile(f"damaged array {name}: its size is not what it says")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
