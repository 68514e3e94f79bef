"""How cost grows: with the size of the image, with synaptic operations, and with the number of cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ...core.grid import RegionGrid
from ...engine.engine import PackedNetwork
from ...metrics.machine import resident_bytes
from ...network.chain import Network
from .baselines import ORT_INT8, BaselineModels, open_baselines
from .candidates import EVENT, UNMASKED, Candidate, EventCandidate
from .clip import Clip
from .measure import WARM_UP, Row, count_operations, make_row, run_interleaved, spread, subject

SIZES = ((320, 192), (480, 288), (640, 384), (960, 544), (1280, 736), (1600, 896), (1920, 1088))
FRAMES, SKIPPED = 16, 4
CALIBRATION_FRAMES = 4


def scale_rows(network: Network, clip: Clip, engines: Sequence[str], threads: int, report: Callable[[str], None],
               indices: Iterable[int]) -> list[Row]:
    """Measures our engine, nothing masked, and ONNX Runtime int8 at the size of a clip.

    Args:
        network: The network.
        clip: The frames.
        engines: Names of the engines that were asked for.
        threads: Number of threads of the baseline.
        report: Called with a line if the baseline cannot run here.
        indices: 0, 1, ... len(clip.images) - 1.

    Returns:
        Rows as of `make_row`, with ``pixels``; heads are not compared.
    """
    candidates: list[Candidate] = []
    if EVENT in engines:
        full = RegionGrid.of_input(clip.input_wh).full(True)
        candidates.append(EventCandidate(network, clip.input_wh, UNMASKED, full))
    baselines = [engine for engine in engines if engine == ORT_INT8]
    candidates += open_baselines(baselines, BaselineModels(network, clip, threads, CALIBRATION_FRAMES), report)
    skipped = min(SKIPPED, len(clip.images) // 2)
    records, _ = run_interleaved(candidates, clip, skipped, indices) if candidates else ([], [])
    for record, candidate in zip(records, candidates):
        count_operations(record, candidate, clip, skipped)
    width, height = clip.input_wh
    return [{**make_row(clip, *pair), "pixels": width * height} for pair in zip(candidates, records)]


MEGA = 1e6
AREA, SYNOPS_BY_SIZE, SYNOPS_BY_FRAME = "Mpixel, by size", "Msynop, by size", "Msynop, by frame"


@dataclass(frozen=True)
class Line:
    """``y = slope * x + intercept``.

    Attributes:
        slope: Change of y for each unit of x.
        intercept: y at x = 0.
        r2: Share of the variance of y that the line explains; nan if y never varies.
    """

    slope: float
    intercept: float
    r2: float


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line | None:
    """Returns the line of least squares; None unless there are two different x.

    >>> fit_line([0, 1, 2], [1, 3, 5])
    Line(slope=2.0, intercept=1.0, r2=1.0)
    """
    if len(x) < 2:
        return None
    dx, dy = np.asarray(x, float) - np.mean(x), np.asarray(y, float) - np.mean(y)
    if dx @ dx == 0.0:
        return None
    slope = dx @ dy / (dx @ dx)
    residual, total = dy - slope * dx, dy @ dy
    r2 = 1.0 - residual @ residual / total if total else float("nan")
    return Line(float(slope), float(np.mean(y) - slope * np.mean(x)), float(r2))


def linearity_rows(scale: Iterable[Row], frames: Iterable[Row]) -> list[Row]:
    """Fits lines of time against pixels and synops.

    Args:
        scale: Rows of `scale_rows`, one point for each size.
        frames: Rows of `frame_series`, one point for each frame.

    Returns:
        A row for each line: slope_ms for each unit that ``against`` names, intercept_ms, r2 and points.
    """
    lines = []
    for group in _group_rows(scale, "sequence", "engine"):
        about, ms = {**group[0], "input_size": "all"}, [row["median_ms"] for row in group]
        lines.append(_line_row(about, AREA, [row["pixels"] / MEGA for row in group], ms))
        if about["engine"] == EVENT:
            lines.append(_line_row(about, SYNOPS_BY_SIZE, [row["synops_per_frame"] / MEGA for row in group], ms))
    lines += [_line_row(one, SYNOPS_BY_FRAME, [count / MEGA for count in one["synops"]], one["ms"]) for one in frames]
    return [line for line in lines if line]


def _group_rows(rows: Iterable[Row], *keys: str) -> Iterator[list[Row]]:
    def key(row: Row) -> tuple[str, ...]:
        return tuple(row[name] for name in keys)

    return (list(group) for _, group in groupby(sorted(rows, key=key), key))


def _line_row(about: Row, against: str, x: Sequence[float], ms: Sequence[float]) -> Row:
    line = fit_line(x, ms)
    if line is None:
        return {}
    return {
        **{name: about[name] for name in ("sequence", "setting", "engine", "input_size")}, "against": against,
        "slope_ms": round(line.slope, 5), "intercept_ms": round(line.intercept, 4),
        "r2": None if np.isnan(line.r2) else round(line.r2, 4), "points": len(x),
    }


STEADY_FPS = 30.0
MEGABYTE = 1e6


def ping_pong_index(position: int, length: int) -> int:
    """Returns the index into a clip that is played forwards, then backwards, without end and without a cut.

    >>> [ping_pong_index(position, 3) for position in range(7)]
    [0, 1, 2, 1, 0, 1, 2]
    """
    position %= max(1, 2 * length - 2)
    return position if position < length else 2 * length - 2 - position


class _Camera:
    """A candidate with a position of its own in the clip."""

    def __init__(self, candidate: EventCandidate, clip: Clip, offset: int) -> None:
        self.candidate, self._clip, self._position = candidate, clip, offset

    def step(self) -> None:
        image = self._clip.images[ping_pong_index(self._position, len(self._clip.images))]
        self._position += 1
        self.candidate.step(image)


def stream_row(network: Network, clip: Clip, setting: str, keep: np.ndarray, cameras: int, frames: int,
               progress: Callable[[range], Iterable[int]]) -> Row:
    """Measures cameras that share the weights of one network and take turns, each with a state of its own.

    Args:
        network: The network.
        clip: The frames; each camera starts at another place.
        setting: Name of the mask.
        keep: bool [rows, cols], the mask.
        cameras: Number of cameras.
        frames: Number of frames to measure, for each camera.
        progress: Wraps the frame numbers.

    Returns:
        A row. cameras_per_core: how many cameras one core can serve, by the mean processor time, at the sequence's rate
        and at 30 frames per second. memory_mb: growth of the resident memory of the process by one more camera that has
        run; measured on at least one more than the first. state_mb: all arrays of one camera, touched or not.
    """
    served, growth = _warm_up_cameras(network, clip, setting, keep, cameras)
    ms = []
    for _ in progress(range(frames)):
        for camera in served:
            start = time.process_time()
            camera.step()
            ms.append((time.process_time() - start) * 1e3)
    mean = float(np.mean(ms))
    candidate = served[0].candidate
    return {
        **subject(clip, candidate),
        "cameras": cameras,
        "frames": frames,
        "mean_ms": round(mean, 4),
        **spread(ms),
        "fps": round(clip.fps, 3),
        "cameras_per_core": {"at_fps": round(1e3 / mean / clip.fps, 2), "at_30": round(1e3 / mean / STEADY_FPS, 2)},
        "memory_mb": None if growth is None else round(growth / MEGABYTE, 2),
        "state_mb": round(candidate.state_bytes() / MEGABYTE, 2),
    }


def _warm_up_cameras(network: Network, clip: Clip, setting: str, keep: np.ndarray,
                     cameras: int) -> tuple[list[_Camera], float | None]:
    """Returns the cameras after some frames each, and the bytes by which memory has grown with each but the first.

    One camera alone shows no growth; a second one is then opened for that and closed again.
    """
    packed = PackedNetwork(network)
    opened: list[_Camera] = []
    resident: list[int] = []
    for number in range(max(2, cameras)):
        candidate = EventCandidate(network, clip.input_wh, setting, keep, packed=packed)
        opened.append(_Camera(candidate, clip, number * len(clip.images) // cameras))
        for _ in range(WARM_UP):
            opened[-1].step()
        size = resident_bytes()
        if size is not None:
            resident.append(size)
    known = len(resident) == len(opened)
    return opened[:cameras], (resident[-1] - resident[0]) / (len(resident) - 1) if known else None
