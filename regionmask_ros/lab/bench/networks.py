"""Networks side by side: each on its backend and at its own input size, on the same frames, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...backends import AUTO, open_backend
from ...backends.runtimes import find_runtime
from ...core.detections import Detections
from ...core.look import Look, LookImage
from ...detection.heads import decode_looks
from ...network.dense import AnyNetwork, DenseNetwork
from ...pipeline.settings import PipelineSettings
from .candidates import DENSE, NMS_IOU, Candidate
from .clip import Clip
from .measure import Row, add_ratios, count_operations, make_row, run_interleaved


class DenseCandidate:
    """A dense network on its backend. Its step computes the whole image; see `candidates.Candidate`.

    Args:
        network: The network.
        backend: Name of the backend, or ``auto``.
        clip: The frames, for their sizes.
        threads: Number of threads.
    """

    setting = DENSE
    calibration = ""
    counting = True
    mac_share: float | None = 1.0

    def __init__(self, network: DenseNetwork, backend: str, clip: Clip, threads: int) -> None:
        self._network, self.network, self.threads = network, network.name, threads
        self.backend = self.engine = find_runtime() if backend == AUTO else backend
        self._opened = open_backend(self.backend, network, clip.input_wh, "", {"threads": threads})
        self.path = self._opened.kernels
        self._look = Look((0.0, 0.0, float(clip.image_wh[0]), float(clip.image_wh[1])), clip.input_wh)

    def step(self, image: np.ndarray) -> Any:
        """Computes one frame. Returns what the backend gives: ``LookOutput``s."""
        self._opened.submit([LookImage(self._look, image)], None)
        result = self._opened.poll(0.0)
        assert result is not None, "a dense backend computes in submit"
        return result.head

    def follow(self, raw: Any) -> None:
        """Does nothing: no frame depends on another."""

    def reset(self, refresh_period: int = 0) -> None:
        """Does nothing: there is no state."""

    def counts(self) -> None:
        """Returns None: a dense network always does all of its operations."""

    def detect(self, raw: Any, image_wh: tuple[int, int], lowest: float) -> Detections:
        """Decodes the outputs; see `Candidate`."""
        return decode_looks(raw, self._network.head, image_wh, lowest, NMS_IOU).found


def group_by_input(networks: Sequence[AnyNetwork], input_size: str | tuple[int, int], max_pixels: int,
                   image_wh: tuple[int, int]) -> dict[tuple[int, int], list[AnyNetwork]]:
    """Sorts networks by the input that they have for a camera.

    Args:
        networks: The networks.
        input_size: ``auto``, or width and height. A network whose file allows one size only has that one.
        max_pixels: Largest number of pixels of an ``auto`` size.
        image_wh: Width and height of the camera's image.

    Returns:
        The networks by width and height of their inputs.
    """
    groups: dict[tuple[int, int], list[AnyNetwork]] = {}
    for network in networks:
        is_fixed = isinstance(network, DenseNetwork) and network.fixed_wh is not None
        settings = PipelineSettings(input_size="auto" if is_fixed else input_size, max_pixels=max_pixels)
        groups.setdefault(settings.input_wh(image_wh, network), []).append(network)
    return groups


def network_rows(candidates: Sequence[Candidate], clip: Clip, skipped: int, indices: Iterable[int]) -> list[Row]:
    """Measures candidates of different networks that have the same input.

    Args:
        candidates: What takes turns.
        clip: The frames.
        skipped: Number of frames at the start that are not recorded.
        indices: 0, 1, ... len(clip.images) - 1.

    Returns:
        A row for each candidate. mean_ms: mean processor time; all else as for `measure.make_row`.
    """
    records, _ = run_interleaved(candidates, clip, skipped, indices)
    rows = []
    for record, candidate in zip(records, candidates):
        count_operations(record, candidate, clip, skipped)
        rows.append({**make_row(clip, candidate, record), "mean_ms": round(float(np.mean(record.ms)), 4)})
    return rows


def onnx_rows(candidates: Sequence[Candidate], clip: Clip, skipped: int, indices: Iterable[int]) -> list[Row]:
    """Measures engines that compute one ONNX network, interleaved.

    Args:
        candidates: What takes turns.
        clip: The frames.
        skipped: Number of frames at the start that are not recorded.
        indices: 0, 1, ... len(clip.images) - 1.

    Returns:
        A row for each candidate, as of `network_rows`, with ratios and mac_share: mean share of the dense network's
        multiplications.
    """
    records, _ = run_interleaved(candidates, clip, skipped, indices)
    rows = [{**make_row(clip, candidate, record), "mean_ms": round(float(np.mean(record.ms)), 4),
             "mac_share": round(float(np.mean(record.mac_shares)), 4)}
            for record, candidate in zip(records, candidates)]
    add_ratios(rows)
    return rows


def add_scores(rows: Sequence[Row], scores: Sequence[Row]) -> None:
    """Adds accuracy to the rows of a sequence.

    Args:
        rows: Changed in place: map50, map50_on (the labeled sequence) and map50_frames (how many of its frames were
            scored) of the same network, engine, setting and input; None if it was not scored. An input that follows
            the camera has the labeled sequence's shape there.
        scores: Rows of `accuracy.accuracy_rows`, or those of the same sequence of `accuracy.measured_accuracy_rows`.
    """
    known: dict[tuple[str, ...], Row] = {}
    for score in scores:
        for key in _score_keys(score):
            known.setdefault(key, score)
    for row in rows:
        score = next((known[key] for key in _score_keys(row) if key in known), {})
        row.update(map50=score.get("map50"), map50_on=score.get("sequence"), map50_frames=score.get("frames"))


def _score_keys(row: Row) -> list[tuple[str, ...]]:
    """With the same input first."""
    about = tuple(row[name] for name in ("network", "engine", "setting"))
    return [(*about, row["input_size"]), about]
