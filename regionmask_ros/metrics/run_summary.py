"""What a run adds up to: one record a frame, and the figures over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.result import StepCounts

STAGES = ("total", "resize", "mask", "encode", "engine", "decode")
"""What is timed of every frame; ``total`` is everything."""


@dataclass(frozen=True)
class FrameRecord:
    """One processed frame. masked_share: regions not sent, 0 to 1. ms: wall time by stage."""

    index: int
    stamp_ns: int
    refresh: bool
    masked_share: float
    detections: int
    counts: StepCounts
    ms: Mapping[str, float]


def summarise(records: Sequence[FrameRecord]) -> dict[str, Any]:
    """Figures of a run, ready for JSON.

    Shares, counts and times are taken over all frames but the first, refresh frames included: the first frame sends
    everything whatever the mask, and pays for opening. (A run of one frame is measured by that frame.) ``detections``
    is the number over all frames. ``events_per_frame`` counts those of the encoder and of all layers.
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
