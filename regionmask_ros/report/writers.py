"""Files of a run, written frame by frame: detections as CSV, and raw heads as ``.npz``."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
import zipfile
from typing import IO, Any

import numpy as np

from ..core.detections import UNTRACKED, Detections

COLUMNS = ("frame", "stamp_ns", "class", "score", "x", "y", "w", "h", "track")


class DetectionsCsv:
    """Writes ``frame,stamp_ns,class,score,x,y,w,h,track``, a line for each object.

    x and y are the upper left corner, w and h the size, in image pixels with two decimals; score has four. A class id
    without a name is written as its number. track is the number that the overlay shows, empty where objects are not
    tracked.

    Args:
        path: Where to write.
        labels: Class names by class id.
    """

    def __init__(self, path: str, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115  Closed by close().
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, index: int, stamp_ns: int, detections: Detections) -> None:
        """Appends the objects of one frame.

        Args:
            index: Number of the frame.
            stamp_ns: Its time stamp in nanoseconds.
            detections: Its objects, written in their order.
        """
        rows = zip(detections.boxes.tolist(), detections.scores.tolist(), detections.class_ids.tolist(),
                   detections.track_ids.tolist())
        for (x0, y0, x1, y1), score, kind, track in rows:
            name = self._labels[kind] if 0 <= kind < len(self._labels) else str(kind)
            corner_and_size = (f"{value:.2f}" for value in (x0, y0, x1 - x0, y1 - y0))
            self._writer.writerow((index, stamp_ns, name, f"{score:.4f}", *corner_and_size,
                                   "" if track == UNTRACKED else track))

    def close(self) -> None:
        """Finishes the file."""
        self._file.close()

    def __enter__(self) -> DetectionsCsv:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


COPY_BYTES = 1 << 20


class HeadDump:
    """Writes the heads and masks of a run as the arrays ``head`` and ``masked``; numpy.load reads them without pickle.

    head: int32 [frames, rows, cols, channels]. masked: bool [frames, rows, cols], True = not sent in that frame; its
    grid is that of the regions, not of the head.

    The number of frames is unknown, and together they can be larger than memory: they are collected in unnamed files in
    the folder of the target, and the archive is made from these at the end.

    Args:
        path: Where to write.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        folder = os.path.dirname(os.path.abspath(path))
        self._members = {"head": _Member(np.dtype("<i4"), 3, folder), "masked": _Member(np.dtype(bool), 2, folder)}

    def add(self, head: np.ndarray, masked: np.ndarray) -> None:
        """Appends one frame. Another dtype, or another shape than that of the first frame, is a ``ValueError``.

        Args:
            head: int32 [rows, cols, channels].
            masked: bool [rows, cols].
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

    def __init__(self, dtype: np.dtype, dimensions: int, folder: str) -> None:
        self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  Closed with the archive.
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

    def write_to(self, target: IO[bytes]) -> None:
        shape = (self._count, *self._shape)
        npy: Any = np.lib.format
        npy.write_array_header_1_0(
            target, {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape})
        self.file.seek(0)
        shutil.copyfileobj(self.file, target, COPY_BYTES)
