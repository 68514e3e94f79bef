"""What every engine detects in a labelled sequence, and how right it is."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterable, Sequence

import numpy as np

from ..detection.detections import Detections
from ..detection.yolo import decode
from ..errors import UserError
from ..frames import make_view
from ..network.spec import Network
from ..sources import open_source
from .accuracy import LABELS, VIDEO, mean_average_precision, read_labels
from .clip import Clip
from .contestant import Contestant
from .measure import subject
from .peers.choice import ORT_FP32
from .settings import NMS_IOU

SCORE_THRESHOLD = 0.02
ALLOWED_POINTS = 2.0
FIXED_POINT = 1 << 16
LARGEST = (1 << 23) - 1


def labelled_video(folder: str) -> str:
    """The video of a labelled sequence. Raises UserError unless both files are there."""
    for name in (VIDEO, LABELS):
        if not (Path(folder) / name).is_file():
            raise UserError(f"--accuracy {folder}: there is no {name} in it")
    return str(Path(folder) / VIDEO)


def accuracy_rows(network: Network, contestants: Sequence[Contestant], clip: Clip, folder: str,
                  progress: Callable[[Iterable, int | None], Iterable]) -> list[dict]:
    """map50 of each contestant over the whole sequence, in percent; accuracy_note where it is more than 2 points below
    ONNX Runtime fp32, else None.

    clip: frames of that sequence, for its sizes. All contestants start from the first frame.
    """
    labels = read_labels(Path(folder) / LABELS)
    found: list[list[Detections]] = [[] for _ in contestants]
    with open_source(clip.path) as source:
        for frame in progress(source.frames(), source.frame_count):
            image = make_view(frame, clip.input_wh).image
            for contestant, detections in zip(contestants, found):
                head = fixed_head(contestant.real_head(contestant.step(image)))
                detections.append(decode(head, network.head, clip.picture_wh, SCORE_THRESHOLD, NMS_IOU))
    rows = [
        {**subject(clip, contestant), "frames": len(detections), "calibration": contestant.calibration or None,
         "map50": round(100 * mean_average_precision(detections, network.labels, labels), 2)}
        for contestant, detections in zip(contestants, found)
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
