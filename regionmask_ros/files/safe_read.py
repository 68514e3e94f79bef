"""Reads files and archives of unknown origin within limits of size and format.

No archive member is ever extracted to a path. Every failure is ``InvalidFile``.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import tokenize
import warnings
import zipfile
import zlib
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from ..errors import EMPTY, TOO_LARGE, UNREADABLE, InvalidFile
from .content import HEAD_BYTES, Family, check_head

MAX_BYTES = 256 << 20
MAX_SIDE = 16_384
"""Elements along an axis of an array."""
MAX_DIMENSIONS = 2
ZIP_MAGIC = b"PK\x03\x04"

# What zipfile raises for damaged input, found by tests with damaged input.
_ZIP_ERRORS = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError, OSError, IndexError, KeyError,
)

# What NumPy raises for damaged headers, which it reads as Python's literals, with Python's tokenizer.
_NPY_ERRORS = (
    ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError, OverflowError,
    AttributeError, IndexError, struct.error,
)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a regular file of 1 to ``MAX_BYTES`` bytes for reading. A pipe or device could block, so it is rejected.

    Args:
        path: The file.

    Returns:
        The open file.

    Raises:
        InvalidFile: There is no such file, it is not a regular one, or its size is outside of the limits.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise InvalidFile("this is a folder, not a file", UNREADABLE)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidFile("not a regular file", UNREADABLE)
        if status.st_size == 0:
            raise InvalidFile("empty file", EMPTY)
        if status.st_size > MAX_BYTES:
            raise InvalidFile(f"larger than {MAX_BYTES >> 20} MB", TOO_LARGE)
        return open(path, "rb")
    except OSError as error:
        raise InvalidFile(_system_reason(error), UNREADABLE) from error
    except ValueError as error:
        raise InvalidFile(f"not a file name: {error}", UNREADABLE) from error


def read_limited(file: BinaryIO, most: int = MAX_BYTES) -> bytes:
    """Reads a file from its start, within a limit, because it may have grown since it was opened.

    Args:
        file: An open file.
        most: Bytes that are read.

    Returns:
        Its content.

    Raises:
        InvalidFile: The file cannot be read.
    """
    try:
        file.seek(0)
        return file.read(most)
    except OSError as error:
        raise InvalidFile(_system_reason(error), UNREADABLE) from error


def looks_like_zip(file: BinaryIO) -> bool:
    """Whether the file can be read and begins as a zip archive does."""
    try:
        file.seek(0)
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    except OSError:
        return False


def _system_reason(error: OSError) -> str:
    """The system's words, such as "permission denied", without number and file name."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Reads the directory of a zip archive.

    Args:
        file: An open file.

    Returns:
        The archive.

    Raises:
        InvalidFile: The archive is damaged, or a name is in it twice: readers disagree on which of the two counts.
    """
    try:
        archive = zipfile.ZipFile(file)
    except _ZIP_ERRORS as error:
        zipped = (Family.ARCHIVE, Family.ARRAYS, Family.NETWORK)
        check_head(read_limited(file, HEAD_BYTES), zipped, "a zip archive")
        raise InvalidFile("truncated or damaged zip archive") from error
    seen: set[str] = set()
    for name in archive.namelist():
        if name in seen:
            raise InvalidFile(f"damaged zip archive, {name} is in it twice")
        seen.add(name)
    return archive


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Reads one member of an archive and verifies its checksum.

    Args:
        archive: The archive.
        info: The member's entry in it.

    Returns:
        The content, exactly as long as the entry says.

    Raises:
        InvalidFile: The member is larger than ``MAX_BYTES``, damaged, or compressed by another method than deflate.
    """
    if info.file_size > MAX_BYTES:
        raise InvalidFile(f"{info.filename} in it claims to be larger than {MAX_BYTES >> 20} MB")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InvalidFile(f"{info.filename} in it is compressed by an unsupported method")
    try:
        with archive.open(info) as member:
            data = member.read(info.file_size + 1)
    except _ZIP_ERRORS as error:
        raise InvalidFile(f"damaged zip archive, {info.filename} cannot be read") from error
    if len(data) != info.file_size:
        raise InvalidFile(f"damaged zip archive, {info.filename} is shorter than its entry says")
    return data


def read_array(archive: zipfile.ZipFile, name: str, kinds: str, what: str, max_side: int = MAX_SIDE,
               max_dimensions: int = MAX_DIMENSIONS) -> np.ndarray:
    """Reads one array of a ``.npz`` archive. Its header is checked before memory is allocated.

    Args:
        archive: The archive.
        name: The array's name.
        kinds: The allowed kinds of dtype, one letter each, as NumPy names them.
        what: What the file should be, for messages, such as "a mask".
        max_side: The largest number of elements along an axis.
        max_dimensions: The largest number of axes.

    Returns:
        A read-only array.

    Raises:
        InvalidFile: The array is missing, damaged, too large, of another dtype, or holds Python objects (pickles).
    """
    if f"{name}.npy" not in archive.namelist():
        raise InvalidFile(f"not {what}: no array {name} in it")
    data = read_member(archive, archive.getinfo(f"{name}.npy"))
    stream = io.BytesIO(data)
    try:
        shape, fortran, dtype = _read_npy_header(stream)
    except _NPY_ERRORS as error:
        raise InvalidFile(f"damaged array {name}") from error
    if dtype.hasobject:
        raise InvalidFile(f"array {name} holds Python objects; only numbers are supported")
    if dtype.kind not in kinds or len(shape) > max_dimensions:
        raise InvalidFile(f"array {name} is {dtype} {list(shape)}: not {what}")
    content = data[stream.tell():]
    valid = all(type(side) is int and 0 <= side <= max_side for side in shape)
    if not valid or len(content) != int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise InvalidFile(f"damaged array {name}: its data do not have the size that its header says")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _read_npy_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and dtype. Raises what NumPy raises for damaged headers."""
    readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape, fortran, dtype = readers[npy_format.read_magic(stream)](stream)  # type: ignore[no-untyped-call]
    return shape, fortran, dtype
