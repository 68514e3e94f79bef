"""Trials: thresholds run on short segments of clips, and compared with the dense network.

Nothing is labeled: the detections of the dense network are the truth.
"""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...core.arithmetic import CARRY, MESSAGE_EXP, head_values
from ...core.detections import Detections
from ...core.frame import Frame, choose_input_size, resize_frame
from ...detection.yolo import decode
from ...errors import UserError
from ...metrics.average_precision import FrameMatches, PrecisionCurve, match
from ...metrics.dense_reference import dense_head, encode_exactly
from ...metrics.loihi2 import allocate, even_cost
from ...network.chain import Network, YoloHead
from ...network.thresholds import with_thresholds
from ...pipeline.pipeline import Pipeline
from ...pipeline.settings import PipelineSettings
from ...sources import Reading, open_source

SURE, UNSURE = 0.3, 0.15
"""Scores of the dense network. From the first on, its detections are objects to find; those between the two count
neither for nor against a trial."""

SCORED_ABOVE = 0.02
"""Score threshold of the trials."""

MIN_OBJECTS = 20
"""A clip in which the dense network finds fewer objects says nothing about agreement."""


@dataclass(frozen=True)
class ClipSegment:
    """Consecutive frames of one shot, resized to the network's input.

    Attributes:
        name: Of the clip.
        first: Number of the first frame in the clip.
        frames: RGB.
    """

    name: str
    first: int
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class DenseReference:
    """Output of the dense network for one frame.

    Attributes:
        head: float32 [rows, cols, channels].
        found: Its detections from a score of ``UNSURE`` on.
    """

    head: np.ndarray
    found: Detections


@dataclass(frozen=True)
class ClipMetrics:
    """Figures of one clip. Those of work are means per frame, first frames of segments not counted.

    Attributes:
        edp_js: Energy-delay product in Js, modeled for Loihi 2 with the synops of each layer spread evenly.
        synops: Counted synaptic operations of all layers.
        events: Counted events of the encoder and all layers.
        cpu_ms: CPU time of the pipeline.
        agreement: Average precision against the dense network, 0 to 100; None when it finds next to nothing.
        head_rms: Root of the mean squared difference between the head and the dense one.
    """

    edp_js: float
    synops: float
    events: float
    cpu_ms: float
    agreement: float | None
    head_rms: float


@dataclass(frozen=True)
class TrialResult:
    """Figures of a trial.

    Attributes:
        clips: By name of the clip.
    """

    clips: Mapping[str, ClipMetrics]

    @property
    def disagreement(self) -> float:
        """100 minus the mean agreement of the clips, in points of average precision."""
        return 100.0 - float(np.mean([c.agreement for c in self.clips.values() if c.agreement is not None]))

    @property
    def head_rms(self) -> float:
        """Mean of the clips."""
        return float(np.mean([c.head_rms for c in self.clips.values()]))

    def gain(self, over: TrialResult, figure: str) -> float:
        """How many times smaller a figure is than in another result.

        Args:
            over: The other result, of the same clips.
            figure: ``edp_js``, ``synops``, ``events`` or ``cpu_ms``.

        Returns:
            Geometric mean over the clips.
        """
        ratios = [getattr(over.clips[name], figure) / getattr(mine, figure) for name, mine in self.clips.items()]
        return float(np.exp(np.mean(np.log(ratios))))

    def as_json(self) -> dict[str, Any]:
        """What ``of_json`` reads."""
        return {name: asdict(figures) for name, figures in self.clips.items()}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> TrialResult:
        """The result in parsed JSON. Raises TypeError or AttributeError when it holds something else."""
        return cls({name: ClipMetrics(**figures) for name, figures in content.items()})


def read_segments(path: str, cuts: Sequence[int], length: int, count: int, max_pixels: int, rng: np.random.Generator,
                  tick: Callable[[], object] = lambda: None, reading: Reading | None = None,
                  choose: Callable[[tuple[int, int], int], tuple[int, int]] = choose_input_size) -> list[ClipSegment]:
    """Reads a clip and draws segments of it at random.

    Args:
        path: A video.
        cuts: First frames of new shots, rising.
        length: Frames of a segment.
        count: Number of segments; fewer when the clip has fewer.
        max_pixels: Largest number of pixels of the network's input.
        rng: Draws the segments.
        tick: Called after each frame that is decoded.
        reading: How images are read; None: as by default.
        choose: The size of the network's input, from that of the images and ``max_pixels``.

    Returns:
        The segments in the clip's order.

    Raises:
        UserError: The clip cannot be read, or no shot is that long.
    """
    with open_source(path, reading=reading) as source:
        input_wh = choose(source.size_wh, max_pixels)
        images, numbers = [], []
        for number, frame in source.numbered():
            numbers.append(number)
            # Resized once: less memory, and less work in every trial.
            images.append(Frame(resize_frame(frame, input_wh), "rgb", frame.stamp_ns, frame.frame_id))
            tick()
        name = source.name
    # Cuts count dropped images, too.
    starts = segment_starts(len(images), [bisect_left(numbers, cut) for cut in cuts], length)
    _check_starts(path, starts, length)
    return [ClipSegment(name, start, tuple(images[start:start + length])) for start in draw_starts(starts, count, rng)]


def _check_starts(path: str, starts: Sequence[int], length: int) -> None:
    if not starts:
        raise UserError(f"{path}: no shot of {length} frames; give a smaller --frames")


def draw_starts(starts: Sequence[int], count: int, rng: np.random.Generator) -> list[int]:
    """Draws segments at random.

    Args:
        starts: First frames of all segments, at least one.
        count: How many are drawn; fewer when there are fewer.
        rng: Draws them.

    Returns:
        Their first frames, rising.
    """
    drawn = np.sort(rng.choice(len(starts), min(count, len(starts)), replace=False))
    return [starts[i] for i in drawn]


def find_starts(path: str, cuts: Sequence[int], length: int, reading: Reading) -> tuple[list[int], int]:
    """Finds the segments from which ``read_segments`` draws, without keeping an image.

    Args:
        path: A video.
        cuts: First frames of new shots, rising.
        length: Frames of a segment.
        reading: How images are read.

    Returns:
        First frames of the segments, and the number of frames of the clip.

    Raises:
        UserError: The clip cannot be read, or no shot is that long.
    """
    with open_source(path, reading=reading) as source:
        numbers = [number for number, _ in source.numbered()]
    starts = segment_starts(len(numbers), [bisect_left(numbers, cut) for cut in cuts], length)
    _check_starts(path, starts, length)
    return starts, len(numbers)


def read_chosen(path: str, starts: Sequence[int], length: int, max_pixels: int, reading: Reading
                ) -> list[ClipSegment]:
    """Reads segments whose first frames are known.

    Args:
        path: A video.
        starts: First frames, rising.
        length: Frames of a segment.
        max_pixels: Largest number of pixels of the network's input.
        reading: How images are read.

    Returns:
        The segments, as ``read_segments`` gives them.

    Raises:
        UserError: The clip cannot be read, or is shorter now.
    """
    images: dict[int, list[Frame]] = {start: [] for start in starts}
    with open_source(path, reading=reading) as source:
        input_wh, name = choose_input_size(source.size_wh, max_pixels), source.name
        for place, frame in enumerate(source.frames()):
            for start, found in images.items():
                if start <= place < start + length:
                    found.append(Frame(resize_frame(frame, input_wh), "rgb", frame.stamp_ns, frame.frame_id))
            if place + 1 >= starts[-1] + length:
                break
    if any(len(found) < length for found in images.values()):
        raise UserError(f"{path}: it has become shorter")
    return [ClipSegment(name, start, tuple(found)) for start, found in images.items()]


def segment_starts(frames: int, cuts: Sequence[int], length: int) -> list[int]:
    """First frames of the consecutive segments into which each shot can be divided.

    Args:
        frames: Number of frames of the clip.
        cuts: First frames of new shots, rising.
        length: Frames of a segment.

    Returns:
        Frame numbers, rising.
    """
    borders = [0, *(cut for cut in cuts if 0 < cut < frames), frames]
    return [start for low, high in pairwise(borders) for start in range(low, high - length + 1, length)]


def dense_references(network: Network, segment: ClipSegment, nms_iou: float) -> list[DenseReference]:
    """Runs the dense network on a segment.

    Args:
        network: The network; it has a YOLO head.
        segment: The segment.
        nms_iou: Intersection over union above which the weaker of two boxes is dropped.

    Returns:
        One reference a frame.
    """
    assert isinstance(network.head, YoloHead), "the command checks that it is YOLO-KP"
    references = []
    for frame in segment.frames:
        head = dense_head(network, encode_exactly(network, frame.pixels))
        sigma = np.rint(head * (1 << (MESSAGE_EXP + network.head.exponent))).astype(np.int64).astype(np.int32)
        found = decode(sigma, network.head, frame.size_wh, UNSURE, nms_iou)
        references.append(DenseReference(head.astype(np.float32), found))
    return references


class TrialRunner:
    """Runs trials on segments.

    Args:
        network: The network with its trained thresholds.
        segments: The segments.
        references: Of each segment, from ``dense_references``.
        preset: The masks of the trials; "": none.
    """

    def __init__(self, network: Network, segments: Sequence[ClipSegment],
                 references: Sequence[Sequence[DenseReference]], preset: str = "") -> None:
        self._network, self._segments, self._references, self._preset = network, segments, references, preset

    def run_trained(self) -> TrialResult:
        """Runs the trained thresholds with the arithmetic ``carry``, the baseline of all trials."""
        return self._run(self._network, CARRY)

    def run(self, thresholds: Mapping[str, int], arithmetic: str, input_step: int) -> TrialResult:
        """Runs a trial.

        Args:
            thresholds: In 1/64, by name.
            arithmetic: Name of the arithmetic.
            input_step: Unit of the encoder, see ``network.thresholds``.

        Returns:
            The figures of all clips.
        """
        return self._run(with_thresholds(self._network, thresholds, input_step), arithmetic)

    def _run(self, network: Network, arithmetic: str) -> TrialResult:
        settings = PipelineSettings(arithmetic=arithmetic, thresholds="trained", preset=self._preset,
                                    score_threshold=SCORED_ABOVE)
        names = list(dict.fromkeys(segment.name for segment in self._segments))
        return TrialResult({name: self._run_clip(network, settings, name) for name in names})

    def _run_clip(self, network: Network, settings: PipelineSettings, name: str) -> ClipMetrics:
        costs, synops, events, cpu_ms, matches, errors = [], [], [], [], [], []
        exponent = network.layers[-1].exponent
        with contextlib.closing(Pipeline(network, settings)) as pipeline:
            for segment, references in zip(self._segments, self._references):
                if segment.name != name:
                    continue
                pipeline.reset()
                allocation = allocate(network, segment.frames[0].size_wh)
                assert allocation is not None, "the command checks that the cost model knows the network"
                for number, (frame, reference) in enumerate(zip(segment.frames, references)):
                    start = time.thread_time()
                    (result,) = pipeline.process(frame)
                    assert result.counts is not None, "a sigma-delta network"
                    elapsed_s = time.thread_time() - start
                    matches += _match_frame(result.detections, reference)
                    errors.append(float(np.mean(np.square(head_values(result.head, exponent) - reference.head))))
                    # A first frame sends everything, whatever the thresholds.
                    if number:
                        costs.append(even_cost(allocation, result.counts.synops))
                        synops.append(result.counts.total_synops)
                        events.append(result.counts.events)
                        cpu_ms.append(elapsed_s * 1e3)
        objects = sum(one.objects for one in matches)
        return ClipMetrics(float(np.mean([c.energy_j for c in costs]) * np.mean([c.latency_s for c in costs])),
                           float(np.mean(synops)), float(np.mean(events)), float(np.mean(cpu_ms)),
                           PrecisionCurve(matches).average_precision() if objects >= MIN_OBJECTS else None,
                           float(np.sqrt(np.mean(errors))))


def _match_frame(found: Detections, reference: DenseReference) -> list[FrameMatches]:
    """Matches of each class that one of the two has, all counted together later."""
    matches = []
    sure, boxes = reference.found.scores >= SURE, reference.found.boxes.astype(np.float64)
    for kind in np.union1d(found.class_ids, reference.found.class_ids):
        ours, dense = found.class_ids == kind, reference.found.class_ids == kind
        matches.append(match(found.boxes[ours], found.scores[ours], boxes[dense & sure], boxes[dense & ~sure]))
    return matches
