"""What every engine detects in a labelled sequence, and how right it is.

Whether the head stays near the dense evaluation however long a camera runs.

How cost grows with the picture: small inputs to large ones, on the same sequence.

How well a straight line tells what a frame costs: by area, and by synops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ...core.frame import make_view
from ...core.grid import RegionGrid
from ...datasets import open_dataset
from ...datasets.labels import LabelledSequence
from ...detection.yolo import decode
from ...network.graph import Network
from ..evaluation.scoring import Scorer
from .clip import Clip
from .engine import EVENT, EventCandidate, dense_head, encode_exactly, rms
from .masks import NMS_IOU, UNMASKED
from .measure import Candidate, count, make_row, run_interleaved, subject
from .runtimes.choice import ORT_FP32, ORT_INT8, BaselineModels, open_baselines
from .speed import ping_pong_index

SCORE_THRESHOLD = 0.02
ALLOWED_POINTS = 2.0
FIXED_POINT = 1 << 16
LARGEST = (1 << 23) - 1


def labelled(folder: str) -> LabelledSequence:
    """The sequence of a folder with video.mp4 and gt.csv. Raises UserError unless both are there and can be read."""
    return open_dataset(f"csv:{folder}")[0]


def accuracy_rows(network: Network, candidates: Sequence[Candidate], clip: Clip, sequence: LabelledSequence,
                  progress: Callable[[Iterable, int | None], Iterable]) -> list[dict]:
    """map50 of each contestant over the whole sequence, in percent; accuracy_note where it is more than 2 points below
    ONNX Runtime fp32, else None.

    clip: frames of that sequence, for its sizes. All contestants start from the first frame.
    """
    scorers = [Scorer(sequence.labels, network.labels) for _ in candidates]
    with sequence.open() as source:
        for number, frame in enumerate(progress(source.frames(), source.frame_count)):
            image = make_view(frame, clip.input_wh).image
            for candidate, scorer in zip(candidates, scorers):
                head = to_fixed_point(candidate.real_head(candidate.step(image)))
                scorer.add(number, decode(head, network.head, clip.image_wh, SCORE_THRESHOLD, NMS_IOU))
    rows = [
        {**subject(clip, candidate), "frames": scorer.frames, "calibration": candidate.calibration or None,
         "map50": round(scorer.map50(), 2)}
        for candidate, scorer in zip(candidates, scorers)
    ]
    _add_notes(rows)
    return rows


def to_fixed_point(real: np.ndarray) -> np.ndarray:
    """int32, as the engine's sigma: real values at 2**16, clipped to its 24 bits."""
    return np.rint(np.clip(real * FIXED_POINT, -LARGEST, LARGEST)).astype(np.int32)


def _add_notes(rows: Sequence[dict]) -> None:
    exact = next((row["map50"] for row in rows if row["engine"] == ORT_FP32), None)
    for row in rows:
        if exact is None:
            row["accuracy_note"] = "fp32 not run"
            continue
        below = exact - row["map50"]
        row["accuracy_note"] = f"{below:.1f} points below fp32" if below > ALLOWED_POINTS else None


def add_accuracy(rows: Sequence[dict], accuracy: Sequence[dict]) -> None:
    """Gives the rows of a sequence map50, map50_on (the labelled sequence) and accuracy_note of the same engine in the
    same setting; None to those not scored.
    """
    scored = {(row["engine"], row["setting"]): row for row in accuracy}
    for row in rows:
        known = scored.get((row["engine"], row["setting"]), {})
        row.update(map50=known.get("map50"), map50_on=known.get("sequence"), accuracy_note=known.get("accuracy_note"))


OBSERVED = (24, 100, 300, 600)
"""Pictures of the first lap at which the distance is taken, beside the last picture at every visit."""


def drift_rows(network: Network, clip: Clip, frames: int, keep: np.ndarray,
               progress: Callable[[range], Iterable[int]]) -> list[dict]:
    """Plays the clip forth and back for ``frames`` frames, unmasked, and compares heads with the dense evaluation.

    keep: bool [rows, cols], all True. head_rms: root mean square of the difference over the head, in its raw units;
    output_rms: of the dense head itself.
    """
    engine, last = EventCandidate(network, clip.input_wh, UNMASKED, keep), len(clip.images) - 1
    exact: dict[int, np.ndarray] = {}
    rows = []
    for played in progress(range(frames)):
        at = ping_pong_index(played, last + 1)
        raw = engine.step(clip.images[at])
        if at != last and played not in OBSERVED:
            continue
        if at not in exact:
            exact[at] = dense_head(network, encode_exactly(network, clip.images[at]))
        rows.append({
            "sequence": clip.path, "input_size": "{}x{}".format(*clip.input_wh), "path": engine.path,
            "played": played, "picture": at,
            "head_rms": round(rms(engine.real_head(raw), exact[at]), 4),
            "output_rms": round(rms(exact[at], np.zeros_like(exact[at])), 4),
        })
    return rows


SIZES = ((320, 192), (480, 288), (640, 384), (960, 544), (1280, 736), (1600, 896), (1920, 1088))
FRAMES, SKIPPED = 16, 4
CALIBRATION_FRAMES = 4


def scale_rows(network: Network, clip: Clip, engines: Sequence[str], threads: int, tell: Callable[[str], None],
               indices: Iterable[int]) -> list[dict]:
    """Rows of our engine, nothing masked, and of ONNX Runtime int8, at the clip's size. indices: of the clip's frames.

    ``pixels`` is added to what other rows have; heads are not compared.
    """
    candidates: list[Candidate] = []
    if EVENT in engines:
        everything = RegionGrid.of_input(clip.input_wh).full(True)
        candidates.append(EventCandidate(network, clip.input_wh, UNMASKED, everything))
    baselines = [engine for engine in engines if engine == ORT_INT8]
    candidates += open_baselines(baselines, BaselineModels(network, clip, threads, CALIBRATION_FRAMES), tell)
    skipped = min(SKIPPED, len(clip.images) // 2)
    records, _ = run_interleaved(candidates, clip, skipped, indices) if candidates else ([], [])
    for record, candidate in zip(records, candidates):
        count(record, candidate, clip, skipped)
    width, height = clip.input_wh
    return [{**make_row(clip, *pair), "pixels": width * height} for pair in zip(candidates, records)]


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

    scale: rows of ``scale_rows``, one point for each size. frames: of ``frame_series``, one point for each frame.
    """
    lines = []
    for group in _group_rows(scale, "sequence", "engine"):
        about, ms = {**group[0], "input_size": "all"}, [row["median_ms"] for row in group]
        lines.append(_row(about, AREA, [row["pixels"] / MEGA for row in group], ms))
        if about["engine"] == EVENT:
            lines.append(_row(about, SYNOPS_BY_SIZE, [row["synops_per_frame"] / MEGA for row in group], ms))
    lines += [_row(one, SYNOPS_BY_FRAME, [count / MEGA for count in one["synops"]], one["ms"]) for one in frames]
    return [line for line in lines if line]


def _group_rows(rows: Iterable[dict], *keys: str) -> Iterator[list[dict]]:
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
