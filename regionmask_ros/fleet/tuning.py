"""The work of ``tune_thresholds`` with workers: one clip of a trial. The search itself stays in one process.

A worker keeps the segments of the clips that it has met, and what the dense network finds in them, on its disk: they
are read and computed once, and one clip at a time is in memory.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.arithmetic import CARRY
from ..core.detections import Detections
from ..core.frame import Frame
from ..errors import UserError
from ..lab.tuning.trial import (
    ClipSegment,
    DenseReference,
    TrialResult,
    TrialRunner,
    dense_references,
    draw_starts,
    find_starts,
    read_chosen,
)
from ..network.chain import Network
from ..pipeline.settings import PipelineSettings
from ..sources import Reading
from .addresses import fetched
from .calls import Executor, UnitResult
from .progress import UnitProgress
from .scheduler import Failure, run_units
from .units import ImageLimits, Unit


@dataclass(frozen=True)
class Tuning:
    """What all trials share.

    Attributes:
        network: The network with its trained thresholds.
        preset: The masks of the trials; "": none.
        cuts: First frames of new shots by path.
        length: Frames of a segment.
        input_pixels: Largest number of pixels of the network's input.
        limits: Of the pictures.
    """

    network: Network
    preset: str
    cuts: Mapping[str, tuple[int, ...]]
    length: int
    input_pixels: int
    limits: ImageLimits


@dataclass(frozen=True)
class ClipTrial(Unit):
    """One clip of one trial.

    Attributes:
        starts: First frames of its segments.
        thresholds: In 1/64, by name; empty: the trained ones.
        arithmetic: Name of the arithmetic.
        input_step: Unit of the encoder.
    """

    starts: tuple[int, ...] = ()
    thresholds: tuple[tuple[str, int], ...] = ()
    arithmetic: str = CARRY
    input_step: int = 1


def find_segments(job: Tuning, unit: Unit) -> UnitResult:
    """Finds where the segments of a clip may begin: the work of a unit before segments are drawn."""
    reading = job.limits.new_reading()
    with fetched(unit.place.path) as local:
        starts, frames = find_starts(local, job.cuts.get(unit.place.path, ()), job.length, reading)
    return UnitResult({"starts": starts, "frames": frames, **reading.dropped.as_json()})


def try_clip(job: Tuning, trial: ClipTrial) -> UnitResult:
    """Runs a trial on a clip: the work of a unit of a trial."""
    segments, references = _prepare(job, trial)
    runner = TrialRunner(job.network, segments, references, job.preset)
    result = (runner.run(dict(trial.thresholds), trial.arithmetic, trial.input_step) if trial.thresholds
              else runner.run_trained())
    return UnitResult({"clips": result.as_json(), "frames": sum(len(one.frames) for one in segments)})


class SharedTrialRunner:
    """Runs trials as ``TrialRunner`` does, each clip by a worker.

    Args:
        executor: The workers; their job is a ``Tuning``.
        clips: With their segments.
    """

    def __init__(self, executor: Executor, clips: Sequence[ClipTrial]) -> None:
        self._executor, self._clips = executor, clips

    def run_trained(self, progress: UnitProgress | None = None) -> TrialResult:
        """See ``TrialRunner``. The workers prepare the clips, which takes the most time of all."""
        return self._run(self._clips, progress)

    def run(self, thresholds: Mapping[str, int], arithmetic: str, input_step: int) -> TrialResult:
        """See ``TrialRunner``."""
        values = tuple(thresholds.items())
        return self._run([replace(clip, thresholds=values, arithmetic=arithmetic, input_step=input_step)
                          for clip in self._clips])

    def _run(self, trials: Sequence[ClipTrial], progress: UnitProgress | None = None) -> TrialResult:
        found: dict[str, Mapping[str, Any]] = {}

        def take(unit: Unit, result: UnitResult) -> None:
            found[unit.key] = result.facts["clips"]

        failures = run_units(self._executor, try_clip, trials, take, progress, strict=False)
        if failures:
            raise UserError(f"{failures[0].unit.title}: {failures[0].why}")
        return TrialResult.of_json({name: one for trial in trials for name, one in found[trial.key].items()})


def draw_clips(executor: Executor, units: Sequence[Unit], count: int, rng: np.random.Generator, strict: bool,
               reading: Reading) -> tuple[list[ClipTrial], list[Failure]]:
    """Draws the segments of clips, as one process does that reads them in their order.

    Args:
        executor: The workers.
        units: The clips.
        count: Number of segments of a clip.
        rng: Draws them.
        strict: Whether a clip that cannot be used ends the work.
        reading: Takes the account of dropped pictures.

    Returns:
        The clips with their segments, and those that cannot be used.

    Raises:
        UserError: With ``strict``, a clip cannot be used.
    """
    starts: dict[str, list[int]] = {}

    def take(unit: Unit, result: UnitResult) -> None:
        starts[unit.key] = result.facts["starts"]
        reading.dropped.merge(result.facts)

    with UnitProgress(len(units), desc="reading") as progress:
        failures = run_units(executor, find_segments, units, take, progress, strict)
    return [ClipTrial(unit.name, unit.place, starts=tuple(draw_starts(starts[unit.key], count, rng)))
            for unit in units if unit.key in starts], failures


class _Prepared:
    """The clips that this process has met, in a folder that ends with it; one is in memory."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._folder: Path | None = None
        self._newest: tuple[str, Any] = ("", None)

    def get(self, key: str, make: Any) -> Any:
        """What is kept under a key; made if nothing is."""
        if self._newest[0] == key:
            return self._newest[1]
        if self._folder is None:
            # Removed when the process ends in order; by the system's cleaner of temporary files otherwise.
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="regionmask_ros_tuning_")))
        path = self._folder / f"{key}.npz"
        self._newest = ("", None)
        if not path.exists():
            _save(path, *make())
        self._newest = (key, _load(path))
        return self._newest[1]


_PREPARED = _Prepared()
"""One process has one. Ray's processes, and ours, live as long as the search."""


def _prepare(job: Tuning, trial: ClipTrial) -> tuple[list[ClipSegment], list[list[DenseReference]]]:
    def make() -> tuple[list[ClipSegment], list[list[DenseReference]]]:
        with fetched(trial.place.path) as local:
            segments = read_chosen(local, trial.starts, job.length, job.input_pixels, job.limits.new_reading())
        nms_iou = PipelineSettings().nms_iou
        return segments, [dense_references(job.network, segment, nms_iou) for segment in segments]

    found: tuple[list[ClipSegment], list[list[DenseReference]]] = _PREPARED.get(trial.key, make)
    return found


def _save(path: Path, segments: Sequence[ClipSegment], references: Sequence[Sequence[DenseReference]]) -> None:
    arrays: dict[str, Any] = {
        "names": np.array([one.name for one in segments]), "firsts": np.array([one.first for one in segments])}
    for number, (segment, dense) in enumerate(zip(segments, references)):
        arrays[f"pixels{number}"] = np.stack([frame.pixels for frame in segment.frames])
        arrays[f"stamps{number}"] = np.array([frame.stamp_ns for frame in segment.frames], np.int64)
        arrays[f"heads{number}"] = np.stack([one.head for one in dense])
        arrays[f"counts{number}"] = np.array([len(one.found) for one in dense], np.int64)
        for field in ("boxes", "scores", "class_ids"):
            arrays[f"{field}{number}"] = np.concatenate([getattr(one.found, field) for one in dense])
    np.savez(path, **arrays)


def _load(path: Path) -> tuple[list[ClipSegment], list[list[DenseReference]]]:
    segments, references = [], []
    with np.load(path, allow_pickle=False) as arrays:
        for number, (name, first) in enumerate(zip(arrays["names"].tolist(), arrays["firsts"].tolist())):
            stamps = arrays[f"stamps{number}"].tolist()
            frames = tuple(Frame(pixels, "rgb", stamp, "camera")
                           for pixels, stamp in zip(arrays[f"pixels{number}"], stamps))
            ends = np.cumsum(arrays[f"counts{number}"])
            columns = [np.split(arrays[f"{field}{number}"], ends[:-1]) for field in ("boxes", "scores", "class_ids")]
            segments.append(ClipSegment(name, first, frames))
            references.append([DenseReference(head, Detections(*row)) for head, *row in zip(
                arrays[f"heads{number}"], *columns)])
    return segments, references
