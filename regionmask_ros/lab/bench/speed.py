"""Where the event engine's time goes: encoder, then layer by layer.

Several cameras in one process: how many a core can serve, and what one more costs in memory.

The slowest single frame, first frames and refresh frames included.

What happens before the network: resize and colour, mask and encoder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ...core.detections import Detections
from ...core.frame import Frame, choose_input_size, make_view
from ...core.grid import RegionGrid
from ...encoder.encoder import Encoder
from ...engine.engine import PackedNetwork
from ...mask.composer import MaskComposer
from ...mask.schedule import is_refresh
from ...mask.source import MaskContext
from ...mask.static import StaticSource
from ...metrics.machine import resident_bytes
from ...network.graph import Network
from .clip import Clip
from .engine import EventCandidate
from .first_result import IMAGE_WH
from .masks import UNMASKED
from .measure import DENSE, WARM_UP, Candidate, run_interleaved, spread, subject
from .runtimes.choice import ORT_INT8

ENCODER, INPUT, OUTPUT = "encoder", "input", "output"
"""Before the layers: from picture to events, and their way into the engine. After them: the head's copy."""


class _StageTimer:
    """Processor time since the last lap, by the lap's name."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        self._last = time.process_time()

    def profile_hook(self, name: str) -> None:
        now = time.process_time()
        self.ms[name] = (now - self._last) * 1e3
        # Read again, so that the note itself belongs to nobody.
        self._last = time.process_time()


def layer_rows(network: Network, candidate: EventCandidate, clip: Clip, skipped: int,
               indices: Iterable[int]) -> list[dict]:
    """A row for the encoder, for each layer, and for what lies before and after them.

    The clip is replayed from the start for this alone: reading the clock between layers would disturb other figures.
    Counts are means over the frames, of the events that a layer sends and the synops that it does.
    """
    clock, laps, counts = _StageTimer(), [], []
    candidate.reset()
    candidate.watch(clock.profile_hook)
    for index in indices:
        clock.start()
        candidate.step(clip.images[index])
        clock.profile_hook(OUTPUT)
        if index >= skipped:
            laps.append(dict(clock.ms))
            counts.append(candidate.counts())
    candidate.watch(None)
    names = [layer.name for layer in network.layers]
    events = dict(zip([ENCODER, *names], np.mean([(c.encoder_events, *c.layer_events) for c in counts], axis=0)))
    synops = dict(zip(names, np.mean([c.synops for c in counts], axis=0)))
    total = sum(np.median([profile_hook[name] for profile_hook in laps]) for name in laps[0])
    return [
        {
            **subject(clip, candidate), "layer": name, **spread([profile_hook[name] for profile_hook in laps]),
            "share": round(float(np.median([profile_hook[name] for profile_hook in laps]) / total), 4),
            "synops_per_frame": _rounded(synops.get(name)), "events_per_frame": _rounded(events.get(name)),
        }
        for name in (ENCODER, INPUT, *names, OUTPUT)
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 1)


STEADY_FPS = 30.0
MEGABYTE = 1e6


def ping_pong_index(position: int, length: int) -> int:
    """Index into a clip that is played forwards, then backwards, for ever: there is no cut where it turns.

    >>> [forth_and_back(position, 3) for position in range(7)]
    [0, 1, 2, 1, 0, 1, 2]
    """
    position %= max(1, 2 * length - 2)
    return position if position < length else 2 * length - 2 - position


class _Camera:
    """A contestant that has its own place in the clip."""

    def __init__(self, candidate: EventCandidate, clip: Clip, offset: int) -> None:
        self.candidate, self._clip, self._position = candidate, clip, offset

    def step(self) -> np.ndarray:
        image = self._clip.images[ping_pong_index(self._position, len(self._clip.images))]
        self._position += 1
        return self.candidate.step(image)


def stream_row(network: Network, clip: Clip, setting: str, keep: np.ndarray, cameras: int, frames: int,
               progress: Callable[[range], Iterable[int]]) -> dict:
    """``cameras`` that share one network's weights take turns, each with a state and a place in the clip of its own.

    frames: measured, for each camera. cameras_per_core: how many one core could serve, by the mean processor time, at
    the sequence's rate and at 30 frames a second. memory_mb: growth of the process's resident memory by one more camera
    that has run; measured on at least one more than the first. state_mb: all arrays of one camera, touched or not.
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
    """The cameras after some frames each, and the bytes by which memory has grown with each one after the first.

    One camera alone shows no growth; a second one is then opened for that and closed again.
    """
    packed, opened, resident = PackedNetwork(network), [], []
    for number in range(max(2, cameras)):
        candidate = EventCandidate(network, clip.input_wh, setting, keep, packed=packed)
        opened.append(_Camera(candidate, clip, number * len(clip.images) // cameras))
        for _ in range(WARM_UP):
            opened[-1].step()
        resident.append(resident_bytes())
    known = None not in resident
    return opened[:cameras], (resident[-1] - resident[0]) / (len(resident) - 1) if known else None


REPLAYS = 5
REFRESH_PERIOD = 8
Progress = Callable[[range, str], Iterable[int]]
"""Wraps the frames of one replay, with a word about it, and yields them."""


def worst_frames(candidates: Sequence[Candidate], clip: Clip, progress: Progress) -> list[dict]:
    """For each contestant worst_ms, worst_frame and worst_kind (first, refresh or other).

    A frame's time is the least of ``REPLAYS`` replays of the whole clip from the start: state and events are the same
    in each, so what differs is the machine's doing. Masks are replayed without refresh, and once more with a refresh
    frame every ``REFRESH_PERIOD`` frames; the slower of both counts.
    """
    plain = _least_ms(candidates, clip, 0, progress)
    masked = any(candidate.setting not in (DENSE, UNMASKED) for candidate in candidates)
    refreshed = _least_ms(candidates, clip, REFRESH_PERIOD, progress) if masked else plain
    found = []
    for candidate, without, having in zip(candidates, plain, refreshed):
        same = candidate.setting in (DENSE, UNMASKED)
        found.append(_worst(without, 0) if same else max(_worst(without, 0), _worst(having, REFRESH_PERIOD), key=_ms))
    return found


def _ms(worst: dict) -> float:
    return worst["worst_ms"]


def _worst(ms: np.ndarray, refresh_period: int) -> dict:
    """ms: float [frames]."""
    frame = int(ms.argmax())
    kind = "first" if frame == 0 else "refresh" if is_refresh(frame, refresh_period) else "other"
    return {"worst_ms": round(float(ms[frame]), 4), "worst_frame": frame, "worst_kind": kind}


def _least_ms(candidates: Sequence[Candidate], clip: Clip, refresh_period: int, progress: Progress) -> np.ndarray:
    """float [contestants, frames]: processor time of every frame, the least of the replays."""
    least = np.full((len(candidates), len(clip.images)), np.inf)
    for replay in range(REPLAYS):
        for candidate in candidates:
            candidate.reset(refresh_period)
        words = f"worst frame, replay {replay + 1} of {REPLAYS}" + (", refreshed" if refresh_period else "")
        records, _ = run_interleaved(candidates, clip, 0, progress(range(len(clip.images)), words))
        least = np.minimum(least, [record.ms for record in records])
    return least


def add_worst(rows: Sequence[dict], worst: Sequence[dict]) -> None:
    """Gives the rows of one sequence what ``worst_frames`` found, and worst_to_int8: over ONNX Runtime int8's median;
    None without it.
    """
    int8 = next((row["median_ms"] for row in rows if row["engine"] == ORT_INT8), None)
    for row, found in zip(rows, worst):
        row.update(found, worst_to_int8=round(found["worst_ms"] / int8, 3) if int8 else None)


REPEATS, SKIPPED = 60, 10
RESIZE, ENCODE = "resize and colour", "mask and encoder"
LIMIT_MS = {RESIZE: 0.6, ENCODE: 0.3}


def resize_row() -> dict:
    """A camera's picture of 1280x720 to the network's input of the automatic size, in RGB."""
    width, height = IMAGE_WH
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    frame, input_wh, ms = Frame(pixels, "bgr", 0, "camera"), choose_input_size(IMAGE_WH), []
    for _ in range(SKIPPED + REPEATS):
        start = time.process_time()
        make_view(frame, input_wh)
        ms.append((time.process_time() - start) * 1e3)
    return _row(RESIZE, "", "", IMAGE_WH, input_wh, ms[SKIPPED:])


def encode_row(network: Network, clip: Clip, setting: str, keep: np.ndarray, skipped: int,
               indices: Iterable[int]) -> dict:
    """The decision about each frame's mask and the encoder's step with it. keep: bool [rows, cols]."""
    grid = RegionGrid.of_input(clip.input_wh)
    composer = MaskComposer(grid, clip.image_wh, [] if setting == UNMASKED else [StaticSource(keep)])
    encoder, ms = Encoder(network.input_table, network.encoder_threshold, clip.input_wh), []
    for frame, index in enumerate(indices):
        start = time.process_time()
        context = MaskContext(Detections.empty(), grid, clip.image_wh, frame, since_refresh=frame)
        encoder.step(clip.images[index], composer.compose(context).keep)
        ms.append((time.process_time() - start) * 1e3)
    return _row(ENCODE, clip.path, setting, clip.image_wh, clip.input_wh, ms[skipped:])


def _row(stage: str, sequence: str, setting: str, image_wh: tuple[int, int], input_wh: tuple[int, int],
         ms: list[float]) -> dict:
    return {
        "stage": stage, "sequence": sequence or None, "setting": setting or None,
        "picture": "{}x{}".format(*image_wh), "input_size": "{}x{}".format(*input_wh), "frames": len(ms),
        **spread(ms), "limit_ms": LIMIT_MS[stage],
    }
