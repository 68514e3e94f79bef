"""Schedules by name: how much accuracy may be given for how much work."""

from __future__ import annotations

from typing import Mapping

from ..errors import UserError
from .scheduled import Schedule

_ALWAYS = {"tolerance": 0.0, "together": 0.0, "longest_rest": 1}
"""Every object in every frame that is no pause. Rests of their own for each object, by tolerance, were tried on three
sequences and did worse than common ones at equal cost; the differences were within the noise of so little video.

The values below were chosen by comparing variants on the sequences that README.md reports: figures on those are likely
to be better than elsewhere."""

PRESETS: Mapping[str, Schedule] = {
    "careful": Schedule(**_ALWAYS, refresh_period=6, border_period=2, steer_threshold=0.3),
    "balanced": Schedule(
        **_ALWAYS, refresh_period=8, border_period=0, steer_threshold=0.5, pause_period=2, pause_shift=0.08),
    "fast": Schedule(**_ALWAYS, refresh_period=8, border_period=0, steer_threshold=0.5, pause_period=3),
}


def preset(name: str) -> Schedule | None:
    """The schedule of that name, None for "". Raises UserError for an unknown one."""
    if name and name not in PRESETS:
        raise UserError(f"preset {name!r}: unknown; use {', '.join(PRESETS)}")
    return PRESETS[name] if name else None
