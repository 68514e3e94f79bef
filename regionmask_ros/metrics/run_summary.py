"""The summary of a run: a record for each frame, and the results over all frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.result import StepCounts

STAGES = ("total", "resize", "mask", "encode", "engine", "decode")
"""The stages of a frame that are timed; ``total`` is the whole frame."""


@dataclass(frozen=True)
class FrameRecord:
    """One processed frame.

    Attributes:
        index: Number of the frame, from 0.
        stamp_ns: Time stamp in nanoseconds.
        refresh: Whether it is a refresh frame.
        masked_share: Share of the regions that are masked, 0 to 1.
        detections: Number of detections.
        counts: Events and synaptic operations.
        ms: Wall time of each of ``STAGES``.
    """

    index: int
    stamp_ns: int
    refresh: bool
    masked_share: float
    detections: int
    counts: StepCounts
    ms: Mapping[str, float]


def summarise(records: Sequence[FrameRecord]) -> dict[str, Any]:
    """Summarises a run.

    Args:
        records: One for each frame.

    Returns:
        Values for JSON. Means and percentiles are over all frames but the first, refresh frames included: the first
        frame is never masked, and its time includes opening. A run of one frame is described by that frame.
        ``detections`` is the number over all frames; ``events_per_frame`` includes the encoder and all layers.
    """
    steady = records[1:] or records

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values)) if values else 0.0

    def spread(values: Sequence[float]) -> dict[str, float]:
        median, p90 = np.percentile(values, [50, 90]) if values else (0.0, 0.0)
        return {"median": round(float(median), 4), "p90": round(float(p90), 4)}

    return {
        "frames": len(records),
        "masked_share": mean([r.masked_share for r in steady]),
        "detections": sum(r.detections for r in records),
        "events_per_frame": mean([r.counts.events for r in steady]),
        "encoder_events_per_frame": mean([r.counts.encoder_events for r in steady]),
        "synops_per_frame": mean([r.counts.total_synops for r in steady]),
        "ms": {stage: spread([r.ms[stage] for r in steady]) for stage in STAGES},
    }
