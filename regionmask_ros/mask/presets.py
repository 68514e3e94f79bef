"""Schedules by name: how much accuracy may be given for how much work."""

from __future__ import annotations

from typing import Mapping

from ..errors import UserError
from .scheduled import Schedule

BALANCED = "balanced"

PRESETS: Mapping[str, Schedule] = {
    "careful": Schedule(refresh_period=5, work=4, rest=1, border_period=2, steer_threshold=0.3),
    BALANCED: Schedule(refresh_period=9, work=2, rest=1, steer_threshold=0.25),
    "fast": Schedule(refresh_period=12, work=2, rest=2, rest_shift=0.4, steer_threshold=0.3),
}


def preset(name: str) -> Schedule | None:
    """The schedule of that name, None for "". Raises UserError for an unknown one."""
    if name and name not in PRESETS:
        raise UserError(f"preset {name!r}: unknown; use {', '.join(PRESETS)}")
    return PRESETS[name] if name else None
