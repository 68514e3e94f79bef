"""A whole benchmark: measures what a plan asks for, one sequence after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.frame import MAX_PIXELS
from ...datasets.labels import LabelledSequence
from ...errors import UserError
from ...network.chain import Network
from ...network.dense import AnyNetwork, DenseNetwork
from ...progress import Progress
from ...report.tables import Table
from ...sources import Reading
from ..evaluation.scoring import Scorer
from . import tables
from .accuracy import accuracy_rows, add_accuracy, drift_rows, measured_accuracy_rows, open_labelled
from .baselines import BaselineModels, open_baselines
from .candidates import DENSE, EVENT, TILES, UNMASKED, Candidate, EventCandidate, ExactCandidate, keep_mask
from .clip import MAX_FRAMES, Clip, load_clip, open_images, sequence_name
from .measure import WARM_UP, Row, add_ratios, frame_series, make_row, measure, warm_up_frames
from .networks import DenseCandidate, add_scores, group_by_input, network_rows, onnx_rows
from .peers import PeerModels, open_peers
from .scaling import FRAMES, SIZES, SKIPPED, linearity_rows, scale_rows, stream_row
from .speed import add_worst, encode_row, layer_rows, resize_row, worst_frames
from .startup import start_rows
from .tile_layers import tile_layer_rows
from .tiles import open_tiles

Size = str | tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        settings: Masks of our engine.
        engines: Names of engines, ours and baselines.
        paths: Kernel sets of our engine besides the default one.
        threads: Number of threads of the baselines.
        input_sizes: Each ``auto`` or (width, height).
        frames: Number of frames to measure.
        max_pixels: Largest number of pixels of an ``auto`` size.
        streams: Number of cameras in one process; 0: not measured.
        layers: Measure each layer.
        worst: Find the slowest frames.
        scale: Measure small inputs to large ones.
        start: Measure new processes, and the stages before the network.
        accuracy: Folder of a labeled sequence, or "".
        drift: Number of frames to play for the distance from the dense evaluation; 0: not measured.
        backend: What computes dense networks that are compared with others.
        side_by_side: Whether the networks are compared with each other, even if there is only one.
    """

    settings: tuple[str, ...]
    engines: tuple[str, ...]
    paths: tuple[str, ...]
    threads: int
    input_sizes: tuple[Size, ...]
    frames: int
    max_pixels: int = MAX_PIXELS
    streams: int = 0
    layers: bool = False
    worst: bool = False
    scale: bool = False
    start: bool = False
    accuracy: str = ""
    drift: int = 0
    backend: str = "auto"
    side_by_side: bool = False


class Session:
    """Runs a plan.

    Args:
        networks: One sigma-delta network at most, or one dense network, which all engines compute. Several networks
            are also measured side by side.
        plan: What to measure.
        report: Called with a line about what is left out.
        show: Called with each table as soon as it is complete.
        reading: How images are read; None: as by default.

    Attributes:
        result: The lists of rows of the JSON result, by section, as far as they are measured.
    """

    def __init__(self, networks: Sequence[AnyNetwork], plan: Plan, report: Callable[[str], None],
                 show: Callable[[Table], None], reading: Reading | None = None) -> None:
        self._networks, self._plan, self._report, self._show = networks, plan, report, show
        self._reading = reading or Reading()
        self._labels = {network.name: network.labels for network in networks}
        self._sequences: Mapping[str, LabelledSequence | None] = {}
        self._own = next((network for network in networks if isinstance(network, Network)), None)
        only = networks[0] if len(networks) == 1 and not plan.side_by_side else None
        self._onnx = only if isinstance(only, DenseNetwork) else None
        self.result: dict[str, list[Row]] = {"rows": []}

    def run(self, sequences: Mapping[str, LabelledSequence | None]) -> None:
        """Measures everything.

        Args:
            sequences: By path, or by the name in the result where there are labels. What has labels is scored on the
                measured frames.

        Raises:
            UserError: Nothing can be measured on them, or a network does not know a labeled class.
        """
        self._sequences = sequences
        for labelled in filter(None, sequences.values()):
            for names in self._labels.values():
                Scorer(labelled.labels, names)  # What cannot be scored is refused before minutes of measuring.
        if self._onnx is not None:
            self._measure_onnx(self._onnx, sequences)
        elif len(self._networks) > 1 or self._own is None:
            scores = self._score_networks() if self._plan.accuracy else []
            for path in sequences:
                self._measure_networks(path, scores)
        if self._own is not None:
            self._measure_engines(sequences)

    @property
    def _network(self) -> Network:
        """The one that all engines compute."""
        assert self._own is not None, "asked for with a sigma-delta network only"
        return self._own

    def _measure_engines(self, sequences: Iterable[str]) -> None:
        plan = self._plan
        accuracy = {size: self._score(size) for size in plan.input_sizes} if plan.accuracy else {}
        for path in sequences:
            for size, clip in self._clips(path, plan.input_sizes):
                self._measure_sequence(clip, accuracy.get(size))
        for path in sequences if plan.drift else ():
            self._measure_drift(path)
        if plan.scale:
            for path in sequences:
                self._measure_sizes(path)
            lines = linearity_rows(self.result["scale"], self.result["frames"])
            self._add("linearity", lines, tables.linearity_table)
        if plan.start:
            stages = [resize_row(), *self.result.pop("stages", [])]
            self._add("stages", stages, tables.stages_table)
            rows = start_rows(self._network.source_file, _progress("new processes", "process"))
            self._add("start", rows, tables.start_table)

    def _clips(self, path: str, sizes: Sequence[Size]) -> Iterator[tuple[Size, Clip]]:
        """The sequence at each input size; once where two sizes are the same."""
        seen = set()
        for size in sizes:
            clip = self._load(path, size, self._plan.frames + WARM_UP)
            if clip.input_wh not in seen:
                seen.add(clip.input_wh)
                yield size, clip

    def _load(self, path: str, size: Size, frames: int) -> Clip:
        """The first frames of a sequence, with its labels if it has any."""
        return load_clip(path, size, frames, self._plan.max_pixels, self._reading, self._sequences.get(path))

    def _add(self, section: str, rows: list[Row], table: Callable[[Sequence[Row]], Table]) -> None:
        self.result.setdefault(section, []).extend(rows)
        if rows:
            self._show(table(rows))

    def _measure_sequence(self, clip: Clip, accuracy: list[Row] | None) -> None:
        plan, name = self._plan, sequence_name(clip.path)
        keeps = self._keep_masks(clip)
        own, candidates = self._open_candidates(clip, keeps, plan.paths)
        skipped = warm_up_frames(len(clip.images), plan.frames)
        frames = range(len(clip.images))
        records = measure(self._network, candidates, clip, skipped, _progress(name)(frames))
        rows = [make_row(clip, *pair) for pair in zip(candidates, records)]
        add_ratios(rows)
        if clip.labels is not None:
            accuracy = self._score_measured(candidates, clip, skipped)
        if plan.worst:
            found = worst_frames(candidates, clip, lambda indices, text: _progress(f"{name}, {text}")(indices))
            add_worst(rows, found)
        if accuracy is not None:
            add_accuracy(rows, accuracy)
        self._add("rows", rows, tables.rows_table)
        self._show(tables.cold_table(rows))
        if plan.worst:
            self._show(tables.worst_table(rows))
        self.result.setdefault("frames", []).extend(
            frame_series(clip, *pair) for pair in zip(candidates, records) if pair[0].engine == EVENT)
        if plan.layers:
            layers = [
                row for candidate in own
                for row in layer_rows(self._network, candidate, clip, skipped, _progress(f"{name}, layers")(frames))]
            self._add("layers", layers, tables.layers_table)
        del own, candidates  # Their memory is free before that of cameras is measured.
        self._measure_cameras(clip, keeps, skipped)

    def _measure_cameras(self, clip: Clip, keeps: dict[str, np.ndarray], skipped: int) -> None:
        """What is measured with cameras of its own: several of them, and the encoder alone."""
        plan, frames = self._plan, len(clip.images)
        if plan.streams:
            progress = _progress(f"{sequence_name(clip.path)}, {plan.streams} cameras")
            self._add("streams", [
                stream_row(self._network, clip, setting, keep, plan.streams, frames - skipped, progress)
                for setting, keep in keeps.items()], tables.streams_table)
        if plan.start:
            self.result.setdefault("stages", []).extend(
                encode_row(self._network, clip, setting, keep, skipped, range(frames))
                for setting, keep in keeps.items())

    def _keep_masks(self, clip: Clip) -> dict[str, np.ndarray]:
        """The masks of our engine, by setting; none if it is not measured."""
        settings = self._plan.settings if EVENT in self._plan.engines else ()
        return {setting: keep_mask(setting, self._network, clip) for setting in settings}

    def _open_candidates(self, clip: Clip, keeps: dict[str, np.ndarray],
                         paths: Sequence[str]) -> tuple[list[EventCandidate], list[ExactCandidate]]:
        """Ours, and all. paths: kernel sets besides the default one."""
        plan = self._plan
        own = [
            EventCandidate(self._network, clip.input_wh, setting, keep, kernel_set)
            for kernel_set in ("", *paths) for setting, keep in keeps.items()]
        models = BaselineModels(self._network, clip, plan.threads)
        candidates = [*own, *open_baselines(plan.engines, models, self._report)]
        if not candidates:
            raise UserError(f"none of the engines {', '.join(plan.engines)} can run here")
        return own, candidates

    def _score_measured(self, candidates: Sequence[Candidate], clip: Clip, skipped: int) -> list[Row]:
        """The measured frames of a clip with labels."""
        labels = [self._labels[candidate.network] for candidate in candidates]
        progress = _progress(f"{sequence_name(clip.path)}, accuracy")
        return measured_accuracy_rows(labels, candidates, clip, skipped, progress)

    def _score(self, size: Size) -> list[Row]:
        """The labeled sequence at one input size. All kernel sets give the same integers: one is scored."""
        plan = self._plan
        sequence = open_labelled(plan.accuracy, self._reading)
        clip = self._load(sequence.inputs[1], size, plan.frames + WARM_UP)
        _, candidates = self._open_candidates(clip, self._keep_masks(clip), ())
        rows = accuracy_rows([self._network.labels] * len(candidates), candidates, clip, sequence,
                             _progress(f"{sequence_name(clip.path)}, accuracy"))
        self._add("accuracy", rows, tables.accuracy_table)
        return rows

    def _measure_networks(self, path: str, scores: Sequence[Row]) -> None:
        """All networks on a sequence, at each input size of the plan. scores: rows of another, labeled sequence."""
        rows, scores = [], [*scores]
        with open_images(path, self._reading, self._sequences[path]) as source:
            image_wh = source.size_wh
        for networks, clip in self._network_clips(path, image_wh):
            skipped = warm_up_frames(len(clip.images), self._plan.frames)
            progress = _progress("{}, networks, {}x{}".format(sequence_name(path), *clip.input_wh))
            candidates = self._open_networks(networks, clip)
            rows += network_rows(candidates, clip, skipped, progress(range(len(clip.images))))
            if clip.labels is not None:
                scores += self._score_measured(candidates, clip, skipped)
        add_scores(rows, scores)
        self._add("networks", rows, tables.networks_table)

    def _score_networks(self) -> list[Row]:
        """All networks on the labeled sequence."""
        sequence, rows = open_labelled(self._plan.accuracy, self._reading), []
        with sequence.open() as source:
            image_wh = source.size_wh
        for networks, clip in self._network_clips(sequence.inputs[1], image_wh):
            candidates = self._open_networks(networks, clip)
            progress = _progress(f"{sequence_name(clip.path)}, accuracy of networks")
            labels = [self._labels[candidate.network] for candidate in candidates]
            rows += accuracy_rows(labels, candidates, clip, sequence, progress)
        return rows

    def _network_clips(self, path: str, image_wh: tuple[int, int]) -> Iterator[tuple[list[AnyNetwork], Clip]]:
        """Networks with equal inputs, and the frames for them; each network once at each input."""
        plan = self._plan
        inputs: dict[tuple[int, int], list[AnyNetwork]] = {}
        for size in plan.input_sizes:
            for input_wh, networks in group_by_input(self._networks, size, plan.max_pixels, image_wh).items():
                members = inputs.setdefault(input_wh, [])
                members += [network for network in networks if network not in members]
        for input_wh, networks in inputs.items():
            yield networks, self._load(path, input_wh, plan.frames + WARM_UP)

    def _open_networks(self, networks: Sequence[AnyNetwork], clip: Clip) -> list[Candidate]:
        candidates: list[Candidate] = []
        for network in networks:
            if isinstance(network, DenseNetwork):
                candidates.append(DenseCandidate(network, self._plan.backend, clip, self._plan.threads))
            else:
                candidates += self._open_candidates(clip, self._keep_masks(clip), ())[1]
        return candidates

    def _measure_onnx(self, network: DenseNetwork, sequences: Iterable[str]) -> None:
        """All engines that compute one ONNX network."""
        plan, models = self._plan, PeerModels(network, self._plan.threads)
        sizes = (network.fixed_wh,) if network.fixed_wh else plan.input_sizes
        accuracy = {size: self._score_onnx(network, models, size) for size in sizes} if plan.accuracy else {}
        for path in sequences:
            for size, clip in self._clips(path, sizes):
                skipped, frames = warm_up_frames(len(clip.images), plan.frames), range(len(clip.images))
                progress = _progress("{}, {}x{}".format(sequence_name(path), *clip.input_wh))
                candidates = self._open_onnx(models, clip)
                rows = onnx_rows(candidates, clip, skipped, progress(frames))
                if clip.labels is not None:
                    add_accuracy(rows, self._score_measured(candidates, clip, skipped))
                elif size in accuracy:
                    add_accuracy(rows, accuracy[size])
                self._add("rows", rows, tables.onnx_table)
                if plan.layers:
                    self._count_tiles(network, clip, skipped)

    def _count_tiles(self, network: DenseNetwork, clip: Clip, skipped: int) -> None:
        """Each layer of the tile engine. Where all is computed there is nothing to see, unless that was asked for."""
        settings = [setting for setting in self._plan.settings if setting != DENSE] or self._plan.settings
        progress, frames = _progress(f"{sequence_name(clip.path)}, layers"), range(len(clip.images))
        rows = [row for candidate in open_tiles(network, settings, clip, self._report)
                for row in tile_layer_rows(candidate, clip, skipped, progress(frames))]
        self._add("tile_layers", rows, tables.tile_layers_table)

    def _score_onnx(self, network: DenseNetwork, models: PeerModels, size: Size) -> list[Row]:
        plan = self._plan
        sequence = open_labelled(plan.accuracy, self._reading)
        clip = self._load(sequence.inputs[1], size, plan.frames + WARM_UP)
        candidates = self._open_onnx(models, clip)
        rows = accuracy_rows([network.labels] * len(candidates), candidates, clip, sequence,
                             _progress(f"{sequence_name(clip.path)}, accuracy"))
        self._add("accuracy", rows, tables.accuracy_table)
        return rows

    def _open_onnx(self, models: PeerModels, clip: Clip) -> list[Candidate]:
        candidates: list[Candidate] = []
        if TILES in self._plan.engines:
            candidates += open_tiles(models.network, self._plan.settings, clip, self._report)
        candidates += open_peers(self._plan.engines, models, clip, self._report)
        if not candidates:
            raise UserError(f"none of the engines {', '.join(self._plan.engines)} can run here")
        return candidates

    def _measure_drift(self, path: str) -> None:
        """At the first input size of the plan, over the whole sequence."""
        clip = self._load(path, self._plan.input_sizes[0], MAX_FRAMES)
        rows = drift_rows(self._network, clip, self._plan.drift, keep_mask(UNMASKED, self._network, clip),
                          _progress(f"{sequence_name(path)}, forwards and backwards"))
        self._add("drift", rows, tables.drift_table)

    def _measure_sizes(self, path: str) -> None:
        rows = []
        for size in SIZES:
            clip = self._load(path, size, FRAMES + SKIPPED)
            progress = _progress("{}, {}x{}".format(sequence_name(path), *size))
            rows += scale_rows(self._network, clip, self._plan.engines, self._plan.threads, self._report,
                               progress(range(len(clip.images))))
        self._add("scale", rows, tables.scale_table)


def _progress(text: str, unit: str = "frame") -> Callable[..., Iterable[Any]]:
    """A progress bar on a terminal, nothing elsewhere."""
    return lambda steps, total=None: Progress(steps, total=total, desc=text, unit=unit)
