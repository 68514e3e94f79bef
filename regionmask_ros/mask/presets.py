"""Schedules by name: how much accuracy may be given for how much work."""

from __future__ import annotations

from typing import Mapping

from ..errors import UserError
from .scheduled import Schedule

PRESETS: Mapping[str, Schedule] = {
    "careful": Schedule(refresh_period=6, border_period=2, steer_threshold=0.3),
    "balanced": Schedule(refresh_period=8, work=1, rest=1, rest_shift=0.1),
    "fast": Schedule(refresh_period=12, work=1, rest=2),
}


def preset(name: str) -> Schedule | None:
    """The schedule of that name, None for "". Raises UserError for an unknown one."""
    if name and name not in PRESETS:
        raise UserError(f"preset {name!r}: unknown; use {', '.join(PRESETS)}")
    return PRESETS[name] if name else None
