"""Arrays in ``.npz`` archives that may come from anybody: numbers only, and no larger than the file says."""

from __future__ import annotations

import io
import warnings
import zipfile

import numpy as np

from .archive import read_member
from .refused import Refused

LONGEST_SIDE = 16_384
MOST_SIDES = 2


def read_array(archive: zipfile.ZipFile, name: str, kinds: str, what: str,
               longest: int = LONGEST_SIDE) -> np.ndarray:
    """One array of at most two axes. Its header is checked before memory is taken; objects (pickles) are refused.

    kinds: the dtype kinds that may be, as NumPy names them. what: what the file should be, for people, such as
    "a mask". longest: length that an axis may have. Raises Refused.
    """
    if f"{name}.npy" not in archive.namelist():
        raise Refused(f"not {what}: no array {name} in it")
    data = read_member(archive, archive.getinfo(f"{name}.npy"))
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read_header[version](stream)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise Refused(f"damaged array {name}") from error
    if dtype.hasobject:
        raise Refused(f"array {name} holds Python objects; only numbers are read")
    if dtype.kind not in kinds or len(shape) > MOST_SIDES:
        raise Refused(f"array {name} is {dtype} {list(shape)}: not {what}")
    content = data[stream.tell():]
    sane = all(type(side) is int and 0 <= side <= longest for side in shape)
    if not sane or len(content) != int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise Refused(f"damaged array {name}: its size is not what it says")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
