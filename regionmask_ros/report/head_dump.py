"""The network's raw answers of a whole run, as one ``.npz`` file."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from typing import BinaryIO

import numpy as np

COPY_BYTES = 1 << 20


class HeadDump:
    """Collects heads and masks frame by frame and writes ``head`` and ``masked``.

    head: int32 [frames, rows, cols, channels]. masked: bool [frames, rows, cols], True = not sent in that frame; its
    grid is the regions', not the head's.

    How many frames there will be is unknown, and together they may be larger than memory: they wait in nameless files
    in the target's folder, and the archive is put together at the end. numpy.load reads it without pickle.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        folder = os.path.dirname(os.path.abspath(path))
        self._members = {
            "head": _Member(np.dtype("<i4"), 3, tempfile.TemporaryFile(dir=folder)),
            "masked": _Member(np.dtype(bool), 2, tempfile.TemporaryFile(dir=folder)),
        }

    def add(self, head: np.ndarray, masked: np.ndarray) -> None:
        """Appends one frame: head int32 [rows, cols, channels], masked bool [rows, cols].

        Raises ValueError when a type is another one, or a shape differs from the first frame's.
        """
        self._members["head"].add(head)
        self._members["masked"].add(masked)

    def close(self) -> None:
        """Writes the archive."""
        with zipfile.ZipFile(self._path, "w", zipfile.ZIP_STORED) as archive:
            for name, member in self._members.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as target:
                    member.write_to(target)
        self._release()

    def __enter__(self) -> HeadDump:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self._release()

    def _release(self) -> None:
        for member in self._members.values():
            member.file.close()


class _Member:
    """One array of the archive, whose first axis grows."""

    def __init__(self, dtype: np.dtype, dimensions: int, file: BinaryIO) -> None:
        self.file = file
        self._dtype = dtype
        self._shape = (0,) * dimensions
        self._count = 0

    def add(self, array: np.ndarray) -> None:
        if self._count == 0 and array.ndim == len(self._shape):
            self._shape = array.shape
        if array.dtype != self._dtype or array.shape != self._shape:
            raise ValueError(f"expected {self._dtype} {list(self._shape)}, got {array.dtype} {list(array.shape)}")
        self.file.write(np.ascontiguousarray(array).data)
        self._count += 1

    def write_to(self, target: BinaryIO) -> None:
        shape = (self._count, *self._shape)
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        self.file.seek(0)
        shutil.copyfileobj(self.file, target, COPY_BYTES)
