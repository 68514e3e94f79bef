"""Schedules by name: how much accuracy may be given for how much work."""

from __future__ import annotations

from typing import Mapping

from ..errors import UserError
from .scheduled import Schedule

PRESETS: Mapping[str, Schedule] = {
    "careful": Schedule(tolerance=0.0, together=0.0, longest_rest=1, refresh_period=4, border_period=2),
    "balanced": Schedule(tolerance=0.0, together=0.0, longest_rest=1, refresh_period=8, border_period=2),
    "fast": Schedule(tolerance=9.0, together=0.0, longest_rest=2, refresh_period=8, border_period=2),
}


def preset(name: str) -> Schedule | None:
    """The schedule of that name, None for "". Raises UserError for an unknown one."""
    if name and name not in PRESETS:
        raise UserError(f"preset {name!r}: unknown; use {', '.join(PRESETS)}")
    return PRESETS[name] if name else None
