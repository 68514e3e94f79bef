"""A whole benchmark: what was asked for, one sequence after the other, into one result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ...errors import UserError
from ...network.graph import Network
from . import sections
from .clip import MAX_FRAMES, Clip, load_clip, sequence_name
from .engine import EVENT, EventCandidate
from .masks import UNMASKED, keep_mask
from .measure import WARM_UP, Candidate, add_ratios, frame_series, make_row, measure, warm_up_frames
from .quality import (
    FRAMES,
    SIZES,
    SKIPPED,
    accuracy_rows,
    add_accuracy,
    drift_rows,
    labelled,
    linearity_rows,
    scale_rows,
)
from .runtimes.choice import BaselineModels, open_baselines
from .speed import add_worst, encode_row, layer_rows, resize_row, stream_row, worst_frames
from .startup import start_rows
from .table import Table

Size = str | tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    input_sizes: each ``auto`` or (width, height). streams: cameras in one process, 0: do not measure it. accuracy: the
    folder of a labelled sequence, or "". drift: frames to play for the distance from the dense evaluation. The rest is
    switched on: layers, worst (single frames), scale (small inputs to large ones), start (fresh processes, and the
    stages before the network).
    """

    settings: tuple[str, ...]
    engines: tuple[str, ...]
    paths: tuple[str, ...]
    threads: int
    input_sizes: tuple[Size, ...]
    frames: int
    streams: int = 0
    layers: bool = False
    worst: bool = False
    scale: bool = False
    start: bool = False
    accuracy: str = ""
    drift: int = 0


class Session:
    """Runs a plan. result: the JSON result's lists of rows, by section, as far as they were measured.

    tell: gets lines about what is left out. show: gets each table as soon as it is complete.
    """

    def __init__(self, network: Network, plan: Plan, tell: Callable[[str], None],
                 show: Callable[[Table], None]) -> None:
        self._network, self._plan, self._tell, self._show = network, plan, tell, show
        self.result: dict[str, list[dict]] = {"rows": []}

    def run(self, sequences: Sequence[str]) -> None:
        """Raises UserError when there is nothing to measure with."""
        plan = self._plan
        accuracy = {size: self._accuracy(size) for size in plan.input_sizes} if plan.accuracy else {}
        for path in sequences:
            for size, clip in self._clips(path):
                self._sequence(clip, accuracy.get(size))
        for path in sequences if plan.drift else ():
            self._drift(path)
        if plan.scale:
            for path in sequences:
                self._scale(path)
            self._add("linearity", linearity_rows(self.result["scale"], self.result["frames"]),
                      sections.linearity_table)
        if plan.start:
            stages = [resize_row(), *self.result.pop("stages", [])]
            self._add("stages", stages, sections.stages_table)
            progress = _progress("fresh processes", "process")
            self._add("start", start_rows(self._network.source_file, progress), sections.start_table)

    def _clips(self, path: str) -> Iterable[tuple[Size, Clip]]:
        """The sequence at each input size of the plan; where two come to the same, once."""
        seen = set()
        for size in self._plan.input_sizes:
            clip = load_clip(path, size, self._plan.frames + WARM_UP)
            if clip.input_wh not in seen:
                seen.add(clip.input_wh)
                yield size, clip

    def _add(self, section: str, rows: list[dict], table: Callable[[Sequence[dict]], Table]) -> None:
        self.result.setdefault(section, []).extend(rows)
        if rows:
            self._show(table(rows))

    def _sequence(self, clip: Clip, accuracy: list[dict] | None) -> None:
        plan, name = self._plan, sequence_name(clip.path)
        keeps = {one: keep_mask(one, self._network, clip) for one in plan.settings} if EVENT in plan.engines else {}
        own, candidates = self._make_candidates(clip, keeps)
        skipped = warm_up_frames(len(clip.images), plan.frames)
        frames = range(len(clip.images))
        records = measure(self._network, candidates, clip, skipped, _progress(name)(frames))
        rows = [make_row(clip, *pair) for pair in zip(candidates, records)]
        add_ratios(rows)
        if plan.worst:
            found = worst_frames(candidates, clip, lambda indices, words: _progress(f"{name}, {words}")(indices))
            add_worst(rows, found)
        if accuracy is not None:
            add_accuracy(rows, accuracy)
        self._add("rows", rows, sections.rows_table)
        self._show(sections.cold_table(rows))
        if plan.worst:
            self._show(sections.worst_table(rows))
        self.result.setdefault("frames", []).extend(
            frame_series(clip, *pair) for pair in zip(candidates, records) if pair[0].engine == EVENT
        )
        if plan.layers:
            layers = [
                row for candidate in own
                for row in layer_rows(self._network, candidate, clip, skipped, _progress(f"{name}, layers")(frames))
            ]
            self._add("layers", layers, sections.layers_table)
        del own, candidates  # Their memory is free before cameras are weighed.
        self._cameras(clip, keeps, skipped)

    def _cameras(self, clip: Clip, keeps: dict[str, np.ndarray], skipped: int) -> None:
        """What is measured with cameras of its own: several of them, and the encoder alone."""
        plan, name = self._plan, sequence_name(clip.path)
        if plan.streams:
            progress = _progress(f"{name}, {plan.streams} cameras")
            measured = len(clip.images) - skipped
            self._add("streams", [
                stream_row(self._network, clip, setting, keep, plan.streams, measured, progress)
                for setting, keep in keeps.items()
            ], sections.streams_table)
        if plan.start:
            self.result.setdefault("stages", []).extend(
                encode_row(self._network, clip, setting, keep, skipped, range(len(clip.images)))
                for setting, keep in keeps.items()
            )

    def _make_candidates(self, clip: Clip, keeps: dict[str, np.ndarray],
                     paths: Sequence[str] | None = None) -> tuple[list[EventCandidate], list[Candidate]]:
        """Our engine's, and all. paths: kernels besides the default ones; None: those of the plan."""
        plan = self._plan
        own = [
            EventCandidate(self._network, clip.input_wh, setting, keep, forced)
            for forced in ("", *(plan.paths if paths is None else paths)) for setting, keep in keeps.items()
        ]
        everybody = [*own, *open_baselines(plan.engines, BaselineModels(self._network, clip, plan.threads), self._tell)]
        if not everybody:
            raise UserError(f"none of the engines {', '.join(plan.engines)} can run here")
        return own, everybody

    def _accuracy(self, size: Size) -> list[dict]:
        """The labelled sequence at one of the input sizes. A forced path gives the default one's integers: it is not
        scored.
        """
        plan = self._plan
        sequence = labelled(plan.accuracy)
        clip = load_clip(sequence.inputs[1], size, plan.frames + WARM_UP)
        keeps = {one: keep_mask(one, self._network, clip) for one in plan.settings} if EVENT in plan.engines else {}
        _, candidates = self._make_candidates(clip, keeps, paths=())
        name = f"{sequence_name(clip.path)}, accuracy"
        rows = accuracy_rows(
            self._network, candidates, clip, sequence,
            lambda frames, total: tqdm(frames, total=total, desc=name, unit="frame", disable=None),
        )
        self._add("accuracy", rows, sections.accuracy_table)
        return rows

    def _drift(self, path: str) -> None:
        """At the first input size of the plan, over the whole sequence."""
        clip = load_clip(path, self._plan.input_sizes[0], MAX_FRAMES)
        everywhere = keep_mask(UNMASKED, self._network, clip)
        rows = drift_rows(self._network, clip, self._plan.drift, everywhere,
                          _progress(f"{sequence_name(path)}, forth and back"))
        self._add("drift", rows, sections.drift_table)

    def _scale(self, path: str) -> None:
        rows = []
        for size in SIZES:
            clip = load_clip(path, size, FRAMES + SKIPPED)
            progress = _progress("{}, {}x{}".format(sequence_name(path), *size))
            rows += scale_rows(self._network, clip, self._plan.engines, self._plan.threads, self._tell,
                               progress(range(len(clip.images))))
        self._add("scale", rows, sections.scale_table)


def _progress(words: str, unit: str = "frame") -> Callable[[range], Iterable[int]]:
    """A bar on a terminal, nothing elsewhere."""
    return lambda indices: tqdm(indices, desc=words, unit=unit, disable=None)
