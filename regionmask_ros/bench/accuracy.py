"""What every engine detects in a labelled sequence, and how right it is."""

from __future__ import annotations

from typing import Callable, Iterable, Sequence

import numpy as np

from ..datasets import open_dataset
from ..datasets.sequence import LabelledSequence
from ..detection.yolo import decode
from ..evaluation.scoring import Scorer
from ..frames import make_view
from ..network.spec import Network
from .clip import Clip
from .contestant import Contestant
from .measure import subject
from .peers.choice import ORT_FP32
from .settings import NMS_IOU

SCORE_THRESHOLD = 0.02
ALLOWED_POINTS = 2.0
FIXED_POINT = 1 << 16
LARGEST = (1 << 23) - 1


def labelled(folder: str) -> LabelledSequence:
    """The sequence of a folder with video.mp4 and gt.csv. Raises UserError unless both are there and can be read."""
    return open_dataset(f"csv:{folder}")[0]


def accuracy_rows(network: Network, contestants: Sequence[Contestant], clip: Clip, sequence: LabelledSequence,
                  progress: Callable[[Iterable, int | None], Iterable]) -> list[dict]:
    """map50 of each contestant over the whole sequence, in percent; accuracy_note where it is more than 2 points below
    ONNX Runtime fp32, else None.

    clip: frames of that sequence, for its sizes. All contestants start from the first frame.
    """
    scorers = [Scorer(sequence.labels, network.labels) for _ in contestants]
    with sequence.open() as source:
        for number, frame in enumerate(progress(source.frames(), source.frame_count)):
            image = make_view(frame, clip.input_wh).image
            for contestant, scorer in zip(contestants, scorers):
                head = fixed_head(contestant.real_head(contestant.step(image)))
                scorer.add(number, decode(head, network.head, clip.picture_wh, SCORE_THRESHOLD, NMS_IOU))
    rows = [
        {**subject(clip, contestant), "frames": scorer.frames, "calibration": contestant.calibration or None,
         "map50": round(scorer.map50(), 2)}
        for contestant, scorer in zip(contestants, scorers)
    ]
    _add_notes(rows)
    return rows


def fixed_head(real: np.ndarray) -> np.ndarray:
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
    same setting; None to those not scored."""
    scored = {(row["engine"], row["setting"]): row for row in accuracy}
    for row in rows:
        known = scored.get((row["engine"], row["setting"]), {})
        row.update(map50=known.get("map50"), map50_on=known.get("sequence"), accuracy_note=known.get("accuracy_note"))
