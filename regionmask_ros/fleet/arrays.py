"""Arrays in JSON, exactly: as text of their bytes."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np

from ..errors import InvalidFile

MAX_VALUES = 1 << 24
_KINDS = {"<f8": 8, "<f4": 4, "<i4": 4}


def pack_array(array: np.ndarray) -> dict[str, Any]:
    """Packs an array.

    Args:
        array: Of float64, float32 or int32.

    Returns:
        Its text, in JSON's types.

    Raises:
        ValueError: It is of another type.
    """
    kind = array.dtype.newbyteorder("<").str
    if kind not in _KINDS:
        raise ValueError(f"arrays of {array.dtype} are not packed")
    data = np.ascontiguousarray(array, kind).tobytes()
    return {"kind": kind, "shape": list(array.shape), "data": base64.b64encode(zlib.compress(data)).decode("ascii")}


def unpack_array(packed: Any) -> np.ndarray:
    """Unpacks what ``pack_array`` has packed, within limits.

    Args:
        packed: Parsed JSON.

    Returns:
        The array, equal in every bit.

    Raises:
        InvalidFile: It is something else.
    """
    try:
        kind, shape, text = packed["kind"], tuple(packed["shape"]), packed["data"]
        is_known = kind in _KINDS and all(type(side) is int and side >= 0 for side in shape)
        count = math.prod(shape) if is_known else MAX_VALUES + 1
        wanted = 0 if count > MAX_VALUES else count * _KINDS[kind]
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), wanted + 1)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise InvalidFile(f"no packed array: {error}") from None
    if count > MAX_VALUES or len(data) != wanted:
        raise InvalidFile("no packed array: its type, its shape and its length do not fit")
    array: np.ndarray = np.frombuffer(data, kind).reshape(shape)
    return array
