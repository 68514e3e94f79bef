"""The footage: short stretches of consecutive frames, drawn from clips and never across a cut.

How well a run agrees with the dense network: its detections are the truth, as nobody has labelled anything.

One vector of thresholds tried: what it costs, and how far it is from the dense network.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...core.arithmetic import CARRY, HEAD_EXP, head_values
from ...core.detections import Detections
from ...core.frame import Frame, choose_input_size, resize_frame
from ...detection.yolo import decode
from ...errors import UserError
from ...metrics.average_precision import FrameMatches, PrecisionCurve, match
from ...metrics.dense_reference import dense_head, encode_exactly
from ...metrics.loihi2 import allocate, even_cost
from ...network.graph import Network
from ...network.thresholds import with_thresholds
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings
from ...sources import open_source


@dataclass(frozen=True)
class Clip:
    """path: a video. cuts: numbers of the first frames of new shots, rising."""

    path: str
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of a clip, already as large as the network's input. name: of the clip."""

    name: str
    first: int
    frames: tuple[Frame, ...]


def read_stretches(clip: Clip, length: int, count: int, max_pixels: int, rng: np.random.Generator,
                   tick: Callable[[], None] = lambda: None) -> list[Stretch]:
    """``count`` stretches of ``length`` frames, or as many as the clip has; drawn at random, in the clip's order.

    tick: called for every frame that is decoded. Raises UserError when no shot is that long.
    """
    with open_source(clip.path) as source:
        input_wh = choose_input_size(source.size_wh, max_pixels)
        images = []
        for frame in source.frames():
            # A third of the memory, and a resize less in every trial.
            images.append(Frame(resize_frame(frame, input_wh), "rgb", frame.stamp_ns, frame.frame_id))
            tick()
        name = source.name
    starts = windows(len(images), clip.cuts, length)
    if not starts:
        raise UserError(f"{clip.path}: no shot of {length} frames; give shorter stretches")
    drawn = np.sort(rng.choice(len(starts), min(count, len(starts)), replace=False))
    return [Stretch(name, starts[i], tuple(images[starts[i]:starts[i] + length])) for i in drawn]


def windows(frames: int, cuts: Sequence[int], length: int) -> list[int]:
    """First frames of the stretches that each shot can be cut into, one behind the other."""
    borders = [0, *(cut for cut in cuts if 0 < cut < frames), frames]
    return [start for low, high in zip(borders, borders[1:]) for start in range(low, high - length + 1, length)]


SURE, UNSURE = 0.3, 0.15
"""Scores of the dense network. From the first on its detections are objects to be found; those between the two are
neither right nor wrong to find."""

SCORED_ABOVE = 0.02


@dataclass(frozen=True)
class DenseReference:
    """What the dense network says about a frame. head: float32 [rows, cols, channels]. found: from ``UNSURE`` on."""

    head: np.ndarray
    found: Detections


def dense_references(network: Network, stretch: Stretch, nms_iou: float) -> list[DenseReference]:
    """One entry a frame."""
    truths = []
    for frame in stretch.frames:
        head = dense_head(network, encode_exactly(network, frame.pixels))
        whole = np.rint(head * (1 << HEAD_EXP)).astype(np.int64).astype(np.int32)
        truths.append(DenseReference(head.astype(np.float32), decode(whole, network.head, frame.size_wh, UNSURE, nms_iou)))
    return truths


def match_frames(found: Detections, truth: DenseReference) -> list[FrameMatches]:
    """One entry for every class that either of them sees."""
    result = []
    sure = truth.found.scores >= SURE
    for kind in np.union1d(found.class_ids, truth.found.class_ids):
        mine, theirs = found.class_ids == kind, truth.found.class_ids == kind
        boxes = truth.found.boxes.astype(np.float64)
        result.append(match(found.boxes[mine], found.scores[mine], boxes[theirs & sure], boxes[theirs & ~sure]))
    return result


def average_precision(frames: Sequence[FrameMatches]) -> float:
    """0 to 100, all classes counted together; nan where the dense network sees nothing."""
    return PrecisionCurve(frames).average_precision()


def head_error(head: np.ndarray, truth: DenseReference) -> float:
    """Mean squared difference of a head (int32, sigma) from the dense one."""
    return float(np.mean(np.square(head_values(head) - truth.head)))


MIN_OBJECTS = 20
"""A clip in which the dense network sees fewer says nothing about agreement."""


@dataclass(frozen=True)
class ClipMetrics:
    """Of one clip. edp_js: modelled, synops spread evenly. synops, events: counted, of the encoder and all layers.
    cpu_ms: of the pipeline. All a frame.

    agreement: average precision against the dense network, 0 to 100; None where that sees next to nothing.
    head_rms: root of the mean squared difference of the head from the dense one.
    """

    edp_js: float
    synops: float
    events: float
    cpu_ms: float
    agreement: float | None
    head_rms: float


@dataclass(frozen=True)
class Outcome:
    """By clip."""

    clips: Mapping[str, ClipMetrics]

    @property
    def disagreement(self) -> float:
        """100 minus the mean agreement of the clips: points of average precision."""
        return 100.0 - float(np.mean([c.agreement for c in self.clips.values() if c.agreement is not None]))

    @property
    def head_rms(self) -> float:
        return float(np.mean([c.head_rms for c in self.clips.values()]))

    def gain(self, over: Outcome, figure: str) -> float:
        """Geometric mean over the clips: how many times less than ``over``.

        figure: ``edp_js``, ``synops``, ``events`` or ``cpu_ms``.
        """
        ratios = [getattr(over.clips[name], figure) / getattr(mine, figure) for name, mine in self.clips.items()]
        return float(np.exp(np.mean(np.log(ratios))))

    def as_json(self) -> dict[str, Any]:
        return {name: asdict(figures) for name, figures in self.clips.items()}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> Outcome:
        """Raises TypeError or AttributeError when that is none."""
        return cls({name: ClipMetrics(**figures) for name, figures in content.items()})


class Footage:
    """Stretches and what the dense network says about them; trials run on these."""

    def __init__(self, network: Network, stretches: Sequence[Stretch], truths: Sequence[Sequence[DenseReference]],
                 preset: str = "") -> None:
        """preset: what masks while the thresholds are tried, "" for nothing."""
        self._network, self._stretches, self._truths, self._preset = network, stretches, truths, preset

    def trained(self) -> Outcome:
        """What everything is compared with: trained thresholds and ``carry``, the same masks."""
        return self._run(self._network, CARRY)

    def trial(self, thresholds: Mapping[str, int], arithmetic: str, input_step: int) -> Outcome:
        """input_step: see ``network.thresholds``."""
        return self._run(with_thresholds(self._network, thresholds, input_step), arithmetic)

    def _run(self, network: Network, arithmetic: str) -> Outcome:
        settings = PipelineSettings(arithmetic=arithmetic, thresholds="trained", preset=self._preset,
                                    score_threshold=SCORED_ABOVE)
        names = list(dict.fromkeys(stretch.name for stretch in self._stretches))
        return Outcome({name: self._clip(network, settings, name) for name in names})

    def _clip(self, network: Network, settings: PipelineSettings, name: str) -> ClipMetrics:
        costs, synops, events, cpu_ms, found, errors = [], [], [], [], [], []
        with contextlib.closing(Pipeline(network, settings)) as pipeline:
            for stretch, truths in zip(self._stretches, self._truths):
                if stretch.name != name:
                    continue
                pipeline.reset()
                allocation = allocate(network, stretch.frames[0].size_wh)
                for number, (frame, truth) in enumerate(zip(stretch.frames, truths)):
                    start = time.thread_time()
                    (result,) = pipeline.process(frame)
                    elapsed_s = time.thread_time() - start
                    found += match_frames(result.detections, truth)
                    errors.append(head_error(result.head, truth))
                    # A first frame sends everything, whatever the thresholds.
                    if number:
                        costs.append(even_cost(allocation, result.counts.synops))
                        synops.append(result.counts.total_synops)
                        events.append(result.counts.events)
                        cpu_ms.append(elapsed_s * 1e3)
        objects = sum(one.objects for one in found)
        return ClipMetrics(
            float(np.mean([c.energy_j for c in costs]) * np.mean([c.latency_s for c in costs])),
            float(np.mean(synops)), float(np.mean(events)), float(np.mean(cpu_ms)),
            average_precision(found) if objects >= MIN_OBJECTS else None, float(np.sqrt(np.mean(errors))),
        )
