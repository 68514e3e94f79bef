"""``python -m checks.fleet_slices WHOLE SLICED``: how far detections of slices differ from those of the whole source.

Both are files of detections of the same source. A detection counts as equal when the other file has one in the same
frame, of the same class, with the same box and the same score, and as found when its box has an IoU of 0.5 or more with
one of the same class.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.core.boxes import iou_matrix

IOU = 0.5
Found = dict[int, list[tuple[str, str, np.ndarray]]]
"""By frame: class, score and box of each detection."""


def read_detections(path: Path) -> Found:
    """Reads a file of detections."""
    found: Found = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            x, y, w, h = (float(row[name]) for name in "xywh")
            found[int(row["frame"])].append((row["class"], row["score"], np.array([x, y, x + w, y + h])))
    return found


def compare_frame(whole: Sequence[tuple[str, str, np.ndarray]], sliced: Sequence[tuple[str, str, np.ndarray]]
                  ) -> tuple[int, int]:
    """How many of the whole run's detections in a frame the sliced one has: equal ones, and found ones."""
    equal = found = 0
    for kind, score, box in whole:
        same = [(other, one) for name, other, one in sliced if name == kind]
        equal += any(other == score and np.array_equal(one, box) for other, one in same)
        found += bool(same) and bool(iou_matrix(box[None], np.stack([one for _, one in same])).max() >= IOU)
    return equal, found


def main(argv: Sequence[str] | None = None) -> int:
    """Compares the files that the arguments name, and prints a table. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m checks.fleet_slices", description=__doc__)
    parser.add_argument("whole", type=Path)
    parser.add_argument("sliced", type=Path)
    parser.add_argument("--frames", type=int, required=True, help="frames of a slice")
    parser.add_argument("--behind", type=int, nargs="+", default=[1, 10, 50], help="frames behind a cut")
    args = parser.parse_args(argv)

    def call() -> int:
        whole, sliced = read_detections(args.whole), read_detections(args.sliced)
        print("| frames behind a cut | detections of the whole | equal | found |\n| --- | ---: | ---: | ---: |")
        ends = [*args.behind, args.frames]
        for low, high in zip([0, *ends[:-1]], ends):
            frames = [frame for frame in whole if frame >= args.frames and low <= frame % args.frames < high]
            count = sum(len(whole[frame]) for frame in frames)
            pairs = [compare_frame(whole[frame], sliced.get(frame, [])) for frame in frames]
            equal, found = (sum(pair[at] for pair in pairs) for at in (0, 1))
            print(f"| {low} to {high - 1} | {count} | {equal / max(count, 1):.1%} | {found / max(count, 1):.1%} |")
        return 0

    return run_guarded(call)


if __name__ == "__main__":
    sys.exit(main())
