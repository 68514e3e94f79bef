"""How right engines are: mAP on a labeled sequence, and the distance of the head from the dense evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ...core.detections import Detections
from ...core.frame import resize_frame
from ...datasets import open_dataset
from ...datasets.labels import LabelledSequence, Labels
from ...metrics.agreement import measure_agreement
from ...metrics.dense_reference import rms
from ...network.chain import Network
from ...sources import Reading
from ..evaluation.scoring import Scorer
from .baselines import ORT_FP32
from .candidates import UNMASKED, Candidate, EventCandidate
from .clip import Clip
from .measure import Row, exact_head, subject
from .scaling import ping_pong_index

SCORE_THRESHOLD = 0.02
ALLOWED_POINTS = 2.0


def open_labelled(folder: str, reading: Reading | None = None) -> LabelledSequence:
    """Opens a labeled sequence.

    Args:
        folder: With video.mp4 and gt.csv. A file that is missing or cannot be read is a ``UserError``.
        reading: How images are read; None: as by default.

    Returns:
        The sequence.
    """
    return open_dataset(f"csv:{folder}", reading=reading)[0]


def accuracy_rows(labels: Sequence[Sequence[str]], candidates: Sequence[Candidate], clip: Clip,
                  sequence: LabelledSequence, progress: Callable[[Iterable, int | None], Iterable]) -> list[Row]:
    """Scores candidates on a whole sequence, from its first frame on.

    Args:
        labels: Class names of each candidate's network.
        candidates: What is scored.
        clip: Frames of that sequence, for its sizes.
        sequence: Frames and labels.
        progress: Wraps the numbered frames; its second argument is how many there are, if it is known.

    Returns:
        A row for each candidate. map50: mAP in percent; None without an object. agreement: average precision in percent
        with what ONNX Runtime finds in fp32 as the objects, see ``metrics.agreement``; None without it. accuracy_note:
        says so if it is more than ``ALLOWED_POINTS`` below ONNX Runtime fp32, else None.
    """
    with sequence.open() as source:
        frames = progress(source.numbered(), source.frame_count)
        images = ((number, resize_frame(frame, clip.input_wh)) for number, frame in frames)
        return _score(labels, candidates, clip, sequence.labels, images, 0)


def measured_accuracy_rows(labels: Sequence[Sequence[str]], candidates: Sequence[Candidate], clip: Clip, skipped: int,
                           progress: Callable[[Iterable, int | None], Iterable]) -> list[Row]:
    """Scores candidates on those frames of a clip that were measured.

    That is a replay from the start, so that no box is decoded between measured frames: without state, or with integers
    alone, each engine finds in it what it found while time was measured.

    Args:
        labels: Class names of each candidate's network.
        candidates: What is scored.
        clip: The frames, with labels.
        skipped: Number of frames at the start that are not scored.
        progress: Wraps the numbered frames; its second argument is how many there are.

    Returns:
        As `accuracy_rows`.
    """
    assert clip.labels is not None, "only clips with labels are scored"
    for candidate in candidates:
        candidate.reset()
    images = progress(enumerate(clip.images), len(clip.images))
    return _score(labels, candidates, clip, clip.labels, images, skipped)


def _score(labels: Sequence[Sequence[str]], candidates: Sequence[Candidate], clip: Clip, truth: Labels,
           images: Iterable[tuple[int, np.ndarray]], first: int) -> list[Row]:
    """The rows of `accuracy_rows`, of numbered network inputs; those before the number ``first`` are not scored."""
    scorers = [Scorer(truth, names) for names in labels]
    found: list[list[Detections]] = [[] for _ in candidates]
    for number, image in images:
        for candidate, scorer, detections in zip(candidates, scorers, found):
            raw = candidate.step(image)
            candidate.follow(raw)
            if number >= first:
                detections.append(candidate.detect(raw, clip.image_wh, SCORE_THRESHOLD))
                scorer.add(number, detections[-1])
    rows: list[Row] = [
        {**subject(clip, candidate), "frames": scorer.frames, "calibration": candidate.calibration or None,
         "map50": _percent(scorer.map50())}
        for candidate, scorer in zip(candidates, scorers)]
    exact = next(((row["map50"], seen) for row, seen in zip(rows, found) if row["engine"] == ORT_FP32), None)
    for row, seen in zip(rows, found):
        row["agreement"] = _percent(measure_agreement(exact[1], seen)) if exact else None
        row["accuracy_note"] = _note(row["map50"], exact[0]) if exact else "fp32 not run"
    return rows


def _percent(value: float) -> float | None:
    """As JSON has it: None for nan."""
    return None if math.isnan(value) else round(value, 2)


def _note(map50: float | None, exact: float | None) -> str | None:
    """What is to be said about the distance from fp32."""
    if map50 is None or exact is None or exact - map50 <= ALLOWED_POINTS:
        return None
    return f"{exact - map50:.1f} points below fp32"


def add_accuracy(rows: Sequence[Row], accuracy: Sequence[Row]) -> None:
    """Adds accuracy to the rows of a sequence.

    Args:
        rows: Changed in place: map50, map50_on (the labeled sequence), map50_frames (how many of its frames were
            scored), agreement and accuracy_note of the same engine in the same setting; None if it was not scored.
        accuracy: Rows of `accuracy_rows`, or those of the same sequence of `measured_accuracy_rows`.
    """
    scored = {(row["engine"], row["setting"]): row for row in accuracy}
    for row in rows:
        known = scored.get((row["engine"], row["setting"]), {})
        row.update(map50=known.get("map50"), map50_on=known.get("sequence"), map50_frames=known.get("frames"),
                   agreement=known.get("agreement"), accuracy_note=known.get("accuracy_note"))


CHECKPOINTS = (24, 100, 300, 600)
"""Frames of the first pass at which the distance is taken, in addition to every visit of the last image."""


def drift_rows(network: Network, clip: Clip, frames: int, keep: np.ndarray,
               progress: Callable[[range], Iterable[int]]) -> list[Row]:
    """Plays a clip forwards and backwards, unmasked, and compares heads with the dense evaluation.

    Args:
        network: The network.
        clip: The frames.
        frames: How many to play.
        keep: bool [rows, cols], all True.
        progress: Wraps the frame numbers.

    Returns:
        A row for each comparison. head_rms: root mean square of the difference over the head, in its raw units;
        output_rms: of the dense head itself.
    """
    engine, last = EventCandidate(network, clip.input_wh, UNMASKED, keep), len(clip.images) - 1
    exact: dict[int, np.ndarray] = {}
    rows = []
    for played in progress(range(frames)):
        at = ping_pong_index(played, last + 1)
        raw = engine.step(clip.images[at])
        if at != last and played not in CHECKPOINTS:
            continue
        if at not in exact:
            exact[at] = exact_head(network, clip.images[at])
        rows.append({
            "sequence": clip.path, "input_size": "{}x{}".format(*clip.input_wh), "path": engine.path,
            "played": played, "picture": at,
            "head_rms": round(rms(engine.real_head(raw), exact[at]), 4),
            "output_rms": round(rms(exact[at], np.zeros_like(exact[at])), 4),
        })
    return rows
