"""Detections as a table of text, one line an object."""

from __future__ import annotations

import csv

from ..detection.detections import Detections

COLUMNS = ("frame", "stamp_ns", "class", "score", "x", "y", "w", "h")


class DetectionsCsv:
    """Writes ``frame,stamp_ns,class,score,x,y,w,h`` while frames come in.

    x and y are the upper left corner, w and h the size, in pixels of the picture with two decimals; score has four. A
    class id without a name is written as its number.
    """

    def __init__(self, path: str, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._file = open(path, "w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, index: int, stamp_ns: int, detections: Detections) -> None:
        """Adds the objects of the frame of that index, in their order."""
        rows = zip(detections.boxes.tolist(), detections.scores.tolist(), detections.class_ids.tolist())
        for (x0, y0, x1, y1), score, kind in rows:
            name = self._labels[kind] if 0 <= kind < len(self._labels) else str(kind)
            corner_and_size = (f"{value:.2f}" for value in (x0, y0, x1 - x0, y1 - y0))
            self._writer.writerow((index, stamp_ns, name, f"{score:.4f}", *corner_and_size))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> DetectionsCsv:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
