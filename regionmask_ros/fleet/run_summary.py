"""The summary of a run over many sources: totals, what each source gave, what failed, and the cameras."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..sources.pictures.reading import NAMED_DROPS
from .calls import UnitResult
from .scheduler import Failure

_ROW_KEYS = ("name", "source", "camera", "frames", "seconds", "detections", "masked_share", "input_size", "image_size",
             "backend", "kernels", "dropped_images")


def summarize_units(results: Sequence[UnitResult], failures: Sequence[Failure]) -> dict[str, Any]:
    """Sums up units.

    Args:
        results: Of the units that are done, in their order.
        failures: The others.

    Returns:
        Values for JSON. ``masked_share`` is the mean over frames, ``cpu_s`` the processor time of all workers for all
        that they did, decoding included.
    """
    frames = sum(result.facts["frames"] for result in results)
    cpu_s = sum(result.cpu_s for result in results)
    masked = sum(result.facts["masked_share"] * result.facts["frames"] for result in results)
    return {
        "units": len(results), "failed": len(failures), "frames": frames,
        "hours_of_video": round(sum(result.facts["seconds"] for result in results) / 3600.0, 4),
        "detections": sum(result.facts["detections"] for result in results),
        "masked_share": masked / frames if frames else 0.0,
        "cpu_s": round(cpu_s, 3), "cpu_ms_per_frame": round(cpu_s * 1e3 / frames, 4) if frames else None,
        **sum_dropped(results)}


def sum_dropped(results: Iterable[UnitResult]) -> dict[str, Any]:
    """The pictures that workers have dropped: the keys of ``DroppedPictures.as_json``."""
    reasons: Counter[str] = Counter()
    first: list[str] = []
    for result in results:
        reasons.update(result.facts.get("dropped_reasons", {}))
        first += result.facts.get("dropped_first", [])
    return {"dropped_images": reasons.total(), "dropped_reasons": dict(reasons), "dropped_first": first[:NAMED_DROPS]}


def describe_sources(results: Iterable[UnitResult]) -> list[dict[str, Any]]:
    """A row for each source, slices of one taken together: in JSON's types."""
    rows: dict[str, dict[str, Any]] = {}
    for result in results:
        facts = result.facts
        row = rows.get(facts["name"])
        if row is None:
            rows[facts["name"]] = {**{key: facts.get(key) for key in _ROW_KEYS}, "slices": 1,
                                   "cpu_s": result.cpu_s, "wall_s": result.wall_s}
            continue
        frames = row["frames"] + facts["frames"]
        row["masked_share"] = (row["masked_share"] * row["frames"] + facts["masked_share"] * facts["frames"]) / frames
        for key in ("frames", "seconds", "detections", "dropped_images"):
            row[key] += facts[key]
        row["slices"] += 1
        row["cpu_s"] = round(row["cpu_s"] + result.cpu_s, 3)
        row["wall_s"] = round(row["wall_s"] + result.wall_s, 3)
    return list(rows.values())


def describe_failures(failures: Iterable[Failure]) -> list[Mapping[str, str]]:
    """A row for each unit that failed: in JSON's types."""
    return [{"source": failure.unit.title, "why": failure.why} for failure in failures]
