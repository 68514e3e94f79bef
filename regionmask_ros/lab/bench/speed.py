"""Where the time of a frame goes: layer by layer, in the slowest frame, and before the network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ...core.frame import Frame, choose_input_size, resize_frame
from ...mask.schedule import is_refresh
from ...network.chain import Network
from .baselines import ORT_INT8
from .candidates import DENSE, UNMASKED, Candidate, EventCandidate, encode_frame, open_camera
from .clip import Clip
from .measure import Row, run_interleaved, spread, subject
from .startup import IMAGE_WH

ENCODER, INPUT, OUTPUT = "encoder", "input", "output"
"""Before the layers: mask and encoder, and the way of the events into the engine. After them: the copy of the head."""


class _StageTimer:
    """Processor time since the last stage, by the name of the stage."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        self._last = time.process_time()

    def stop_stage(self, name: str) -> None:
        now = time.process_time()
        self.ms[name] = (now - self._last) * 1e3
        # Read again, so that the time of this note belongs to no stage.
        self._last = time.process_time()


def layer_rows(network: Network, candidate: EventCandidate, clip: Clip, skipped: int,
               indices: Iterable[int]) -> list[Row]:
    """Measures the encoder, each layer, and what lies before and after them.

    The clip is replayed from the start for this alone: reading the clock between layers would disturb other results.

    Args:
        network: The network.
        candidate: The engine.
        clip: The frames.
        skipped: Number of frames at the start that are not recorded.
        indices: 0, 1, ... len(clip.images) - 1.

    Returns:
        A row for each stage. Counts are means over the frames: events that a layer sends, synops that it does.
    """
    timer, frames, counts = _StageTimer(), [], []
    candidate.reset()
    candidate.watch(timer.stop_stage)
    for index in indices:
        timer.start()
        candidate.step(clip.images[index])
        timer.stop_stage(OUTPUT)
        counted = candidate.counts()
        if counted is not None and index >= skipped:
            frames.append(dict(timer.ms))
            counts.append(counted)
    candidate.watch(None)
    names = [node.name for node in network.graph.nodes]
    fired, computed = network.counted_layers
    events = dict(zip([ENCODER, *fired], np.mean([(c.encoder_events, *c.layer_events) for c in counts], axis=0)))
    synops = dict(zip(computed, np.mean([c.synops for c in counts], axis=0)))
    ms = {name: [frame[name] for frame in frames] for name in (ENCODER, INPUT, *names, OUTPUT)}
    total = sum(float(np.median(times)) for times in ms.values())
    return [
        {
            **subject(clip, candidate), "layer": name, **spread(times),
            "share": round(float(np.median(times) / total), 4),
            "synops_per_frame": _round(synops.get(name)), "events_per_frame": _round(events.get(name)),
        }
        for name, times in ms.items()]


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 1)


REPLAYS = 5
REFRESH_PERIOD = 8
Progress = Callable[[range, str], Iterable[int]]
"""Wraps the frame numbers of one replay, with a text about it."""


def worst_frames(candidates: Sequence[Candidate], clip: Clip, progress: Progress) -> list[Row]:
    """Finds the slowest frame of each candidate.

    The time of a frame is the least of ``REPLAYS`` replays of the whole clip from the start: state and events are the
    same in each, so all differences come from the machine. Masks are replayed without refresh frames, and again with
    one every ``REFRESH_PERIOD`` frames; the slower of both counts.

    Args:
        candidates: What is measured.
        clip: The frames.
        progress: Wraps the frame numbers of each replay.

    Returns:
        For each candidate worst_ms, worst_frame and worst_kind (first, refresh or other).
    """
    plain = _least_ms(candidates, clip, 0, progress)
    is_masked = [candidate.setting not in (DENSE, UNMASKED) for candidate in candidates]
    refreshed = _least_ms(candidates, clip, REFRESH_PERIOD, progress) if any(is_masked) else plain
    found = []
    for masked, without, having in zip(is_masked, plain, refreshed):
        worst = _worst(without, 0)
        found.append(max(worst, _worst(having, REFRESH_PERIOD), key=lambda one: one["worst_ms"]) if masked else worst)
    return found


def _worst(ms: np.ndarray, refresh_period: int) -> Row:
    """The slowest of frames. ms: float [frames]."""
    frame = int(ms.argmax())
    kind = "first" if frame == 0 else "refresh" if is_refresh(frame, refresh_period) else "other"
    return {"worst_ms": round(float(ms[frame]), 4), "worst_frame": frame, "worst_kind": kind}


def _least_ms(candidates: Sequence[Candidate], clip: Clip, refresh_period: int, progress: Progress) -> np.ndarray:
    """Returns the processor time of every frame, the least of the replays: float [candidates, frames]."""
    least = np.full((len(candidates), len(clip.images)), np.inf)
    for replay in range(REPLAYS):
        for candidate in candidates:
            candidate.reset(refresh_period)
        text = f"worst frame, replay {replay + 1} of {REPLAYS}" + (", with refresh frames" if refresh_period else "")
        records, _ = run_interleaved(candidates, clip, 0, progress(range(len(clip.images)), text))
        least = np.minimum(least, [record.ms for record in records])
    return least


def add_worst(rows: Sequence[Row], worst: Sequence[Row]) -> None:
    """Adds the slowest frames to the rows of one sequence.

    Args:
        rows: Changed in place; worst_to_int8: worst_ms over the median of ONNX Runtime int8, None without it.
        worst: What `worst_frames` has found, in the same order.
    """
    int8 = next((row["median_ms"] for row in rows if row["engine"] == ORT_INT8), None)
    for row, found in zip(rows, worst):
        row.update(found, worst_to_int8=round(found["worst_ms"] / int8, 3) if int8 else None)


REPEATS, SKIPPED = 60, 10
RESIZE, ENCODE = "resize and colour", "mask and encoder"
LIMIT_MS = {RESIZE: 0.6, ENCODE: 0.3}


def resize_row() -> Row:
    """Measures the way from a camera's image of 1280x720 to the network's input of the automatic size, in RGB.

    Returns:
        A row.
    """
    width, height = IMAGE_WH
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    frame, input_wh, ms = Frame(pixels, "bgr", 0, "camera"), choose_input_size(IMAGE_WH), []
    for _ in range(SKIPPED + REPEATS):
        start = time.process_time()
        resize_frame(frame, input_wh)
        ms.append((time.process_time() - start) * 1e3)
    return _stage_row(RESIZE, None, None, IMAGE_WH, input_wh, ms[SKIPPED:])


def encode_row(network: Network, clip: Clip, setting: str, keep: np.ndarray, skipped: int,
               indices: Iterable[int]) -> Row:
    """Measures the composition of each frame's mask and the encoder.

    Args:
        network: The network.
        clip: The frames.
        setting: Name of the mask.
        keep: bool [rows, cols], the mask.
        skipped: Number of frames at the start that are not recorded.
        indices: 0, 1, ... len(clip.images) - 1.

    Returns:
        A row.
    """
    camera, ms = open_camera(network, clip.input_wh, keep), []
    for index in indices:
        start = time.process_time()
        encode_frame(camera, clip.images[index])
        ms.append((time.process_time() - start) * 1e3)
    return _stage_row(ENCODE, clip.path, setting, clip.image_wh, clip.input_wh, ms[skipped:])


def _stage_row(stage: str, sequence: str | None, setting: str | None, image_wh: tuple[int, int],
               input_wh: tuple[int, int], ms: list[float]) -> Row:
    return {
        "stage": stage, "sequence": sequence, "setting": setting,
        "picture": "{}x{}".format(*image_wh), "input_size": "{}x{}".format(*input_wh), "frames": len(ms),
        **spread(ms), "limit_ms": LIMIT_MS[stage],
    }
