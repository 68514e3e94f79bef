"""How well a straight line tells what a frame costs: by area, and by synops."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Iterable, Iterator, Sequence

import numpy as np

from .event_engine import EVENT

MEGA = 1e6
AREA, SYNOPS_BY_SIZE, SYNOPS_BY_FRAME = "Mpixel, by size", "Msynop, by size", "Msynop, by frame"


@dataclass(frozen=True)
class Line:
    """``y = slope * x + intercept``. r2: the share of y's variance that the line tells, nan when y never varies."""

    slope: float
    intercept: float
    r2: float


def fit(x: Sequence[float], y: Sequence[float]) -> Line | None:
    """The line of least squares; None unless there are two different x.

    >>> fit([0, 1, 2], [1, 3, 5])
    Line(slope=2.0, intercept=1.0, r2=1.0)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(x) < 2:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    if dx @ dx == 0.0:
        return None
    slope = dx @ dy / (dx @ dx)
    left, all_of_it = dy - slope * dx, dy @ dy
    r2 = 1.0 - left @ left / all_of_it if all_of_it else float("nan")
    return Line(float(slope), float(y.mean() - slope * x.mean()), float(r2))


def linearity_rows(scale: Iterable[dict], frames: Iterable[dict]) -> list[dict]:
    """A row for each line: slope_ms for each unit that ``against`` names, intercept_ms, r2, points.

    scale: rows of ``scale_rows``, one point for each size. frames: of ``series_of``, one point for each frame.
    """
    lines = []
    for group in _grouped(scale, "sequence", "engine"):
        about, ms = {**group[0], "input_size": "all"}, [row["median_ms"] for row in group]
        lines.append(_row(about, AREA, [row["pixels"] / MEGA for row in group], ms))
        if about["engine"] == EVENT:
            lines.append(_row(about, SYNOPS_BY_SIZE, [row["synops_per_frame"] / MEGA for row in group], ms))
    lines += [_row(one, SYNOPS_BY_FRAME, [count / MEGA for count in one["synops"]], one["ms"]) for one in frames]
    return [line for line in lines if line]


def _grouped(rows: Iterable[dict], *keys: str) -> Iterator[list[dict]]:
    def key(row: dict) -> tuple[str, ...]:
        return tuple(row[name] for name in keys)

    return (list(group) for _, group in groupby(sorted(rows, key=key), key))


def _row(about: dict, against: str, x: Sequence[float], ms: Sequence[float]) -> dict:
    line = fit(x, ms)
    if line is None:
        return {}
    return {
        **{name: about[name] for name in ("sequence", "setting", "engine", "input_size")}, "against": against,
        "slope_ms": round(line.slope, 5), "intercept_ms": round(line.intercept, 4),
        "r2": None if np.isnan(line.r2) else round(line.r2, 4), "points": len(x),
    }
