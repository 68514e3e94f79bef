"""Long truth: many frames of a looped clip, in which the detector must neither drift nor grow.

Every now and then the state of all layers is compared with that of a reference implementation, bit for bit. At the end
the accuracy of the last frames is compared with that of the first ones. Right is what the unmasked detector finds in
the same clip: its average precision is 100.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.frame import Frame, resize_frame
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.errors import UserError
from regionmask_ros.metrics.agreement import LOWEST_SCORE, match_picture
from regionmask_ros.metrics.average_precision import FrameMatches, PrecisionCurve
from regionmask_ros.metrics.machine import resident_bytes
from regionmask_ros.network.chain import Network
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import make_settings
from regionmask_ros.sources import open_source

from .table import Line, judge_memory
from .witness import Witness

INPUT_WH = (320, 192)
CLIP_FRAMES = 500
FRAME_NS = 40_000_000
WINDOW_SHARE = 20
"""The first and the last frames that are compared are one of so many parts of the run: 5,000 of 100,000."""
POINTS = 1.0
MEMORY_PERCENT = 5.0
PRESET = {"mask_mode": "preset", "preset": "balanced"}
UNMASKED = {"mask_mode": "none"}


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        frames: Number of frames.
        check_every: Frames from one comparison of the state to the next.
        limit_s: The run ends after this time, whatever the number of frames.
    """

    frames: int = 100_000
    check_every: int = 1000
    limit_s: float = float("inf")


@dataclass
class _Scores:
    """The matches of the first and of the last rounds of the clip; whole rounds, so that the images are the same."""

    rounds: int
    first: list[list[FrameMatches]] = field(default_factory=list)
    last: deque[list[FrameMatches]] = field(default_factory=deque)
    current: list[FrameMatches] = field(default_factory=list)

    def add(self, matches: FrameMatches, is_end: bool) -> None:
        self.current.append(matches)
        if is_end:
            if len(self.first) < self.rounds:
                self.first.append(self.current)
            self.last.append(self.current)
            if len(self.last) > self.rounds:
                self.last.popleft()
            self.current = []

    def judge(self) -> Line:
        first, last = (PrecisionCurve([frame for each in rounds for frame in each]).average_precision()
                       for rounds in (self.first, self.last))
        frames = sum(map(len, self.last))
        return Line(f"accuracy of the first and the last {frames:,} frames", f"{first:.2f} and {last:.2f}",
                    f"differ by {POINTS:g} point at most", bool(abs(first - last) <= POINTS))


def load_clip(path: str) -> list[np.ndarray]:
    """Loads the first frames of a video as a small camera delivers them: uint8 [192, 320, 3], BGR."""
    with open_source(path) as source:
        frames = [resize_frame(frame, INPUT_WH)[:, :, ::-1] for frame in islice(source.frames(), CLIP_FRAMES)]
    if not frames:
        raise UserError(f"{path}: no frame")
    return [np.ascontiguousarray(pixels) for pixels in frames]


def run_truth(network: Network, images: Sequence[np.ndarray], plan: Plan, say: Callable[[str], object]) -> list[Line]:
    """Runs the detector on a looped clip.

    Args:
        network: A sigma-delta network with boxes.
        images: The clip, uint8 [height, width, 3] BGR each.
        plan: How much of it.
        say: Called with a line about the progress at each comparison.

    Returns:
        The lines of the table. A state that differs ends the run.
    """
    expected = list(_find_unmasked(network, images))
    witness, rounds = Witness(), max(1, plan.frames // WINDOW_SHARE // len(images))
    pipeline = Pipeline(network, _settings(PRESET), open_backend=witness.open)
    scores, warm = _Scores(rounds), min(rounds * len(images), plan.frames - 1)
    start_bytes, done, compared, wrong = None, 0, 0, list[str]()
    begin_s = time.monotonic()
    try:
        for done, frame in enumerate(_camera(images, plan.frames), 1):
            (result,) = pipeline.process(frame)
            at = (done - 1) % len(images)
            scores.add(match_picture(expected[at], result.detections), at == len(images) - 1)
            if done == warm:
                start_bytes = resident_bytes()
            if done % plan.check_every and done < plan.frames:
                continue
            assert witness.opened is not None
            wrong, compared = witness.opened.differences(), compared + 1
            spent_s = time.monotonic() - begin_s
            say(f"frame {done:,}: {'the state differs' if wrong else 'the state is equal'}; "
                f"{1e3 * spent_s / done:.1f} ms a frame, {(resident_bytes() or 0) / 1e6:.0f} MB, "
                f"{pipeline.schedule_text}")
            if wrong or spent_s > plan.limit_s:
                break
        end_bytes, resets = resident_bytes(), pipeline.resets
    finally:
        pipeline.close()
    return [
        Line("frames", f"{done:,}", f"{plan.frames:,}, or {plan.limit_s / 60:g} minutes"),
        Line("resets", f"{resets}", "0", resets == 0),
        Line("states that were compared with the reference", f"{compared}", "equal in every bit", not wrong),
        *(Line(f"    frame {done:,}", line) for line in wrong),
        scores.judge(),
        judge_memory(start_bytes, end_bytes, MEMORY_PERCENT),
    ]


def _settings(chosen: dict[str, str]):
    values = {name: option.default for name, option in OPTIONS.items()}
    size = "{}x{}".format(*INPUT_WH)
    return make_settings(values | chosen | {"input_size": size, "score_threshold": LOWEST_SCORE, "backend": "cpu"})


def _camera(images: Sequence[np.ndarray], frames: int) -> Iterable[Frame]:
    """The clip in a loop; time goes on."""
    for number in range(frames):
        yield Frame(images[number % len(images)], "bgr", (number + 1) * FRAME_NS, "camera")


def _find_unmasked(network: Network, images: Sequence[np.ndarray]) -> Iterable[Detections]:
    """What the unmasked detector finds in the second round of the clip, when it has settled."""
    pipeline = Pipeline(network, _settings(UNMASKED))
    try:
        for number, frame in enumerate(_camera(images, 2 * len(images))):
            (result,) = pipeline.process(frame)
            if number >= len(images):
                yield result.detections
    finally:
        pipeline.close()
