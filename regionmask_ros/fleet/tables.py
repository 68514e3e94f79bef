"""Detections of one source from the files of its units."""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from ..files.outputs import write_whole
from ..report.writers import COLUMNS

_TRACK = COLUMNS.index("track")


def join_slices(parts: Iterable[bytes]) -> bytes:
    """Joins the detections of slices.

    Args:
        parts: What ``DetectionsCsv`` has written for each slice, in the order of time.

    Returns:
        One table. Tracks begin anew in each slice: their numbers go on behind those of the slices before.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    behind = 0
    for part in parts:
        first = behind
        for row in list(csv.reader(io.StringIO(part.decode("utf-8"), newline="")))[1:]:
            if row[_TRACK]:
                row[_TRACK] = str(int(row[_TRACK]) + first)
                behind = max(behind, int(row[_TRACK]) + 1)
            writer.writerow(row)
    return out.getvalue().encode("utf-8")


def publish(part: Path, target: Path) -> None:
    """Gives a finished file a second name, in one step; a copy where the file system has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    link = target.with_name(f".{secrets.token_hex(4)}.link")
    try:
        os.link(part, link)
    except OSError:
        write_whole(target, part.read_bytes())
        return
    os.replace(link, target)
    # Two names of the same file: the system left both where they were.
    link.unlink(missing_ok=True)
