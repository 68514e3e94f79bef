"""Schedules by name: how much accuracy may be given for how much work."""

from __future__ import annotations

from typing import Mapping

from ..errors import UserError
from .scheduled import Schedule

_ALWAYS = {"tolerance": 0.0, "together": 0.0, "longest_rest": 1}
"""Every object in every frame that is not a pause. Objects with rates of their own cost more accuracy than they save:
where neighbours are fresh and stale by turns, the seams between them fire the deep layers and spoil the boxes."""

PRESETS: Mapping[str, Schedule] = {
    "careful": Schedule(**_ALWAYS, refresh_period=6, border_period=2, steer_threshold=0.3),
    "balanced": Schedule(**_ALWAYS, refresh_period=8, border_period=4, steer_threshold=0.5, pause_period=8),
    "fast": Schedule(**_ALWAYS, refresh_period=8, border_period=4, steer_threshold=0.5, pause_period=2),
}


def preset(name: str) -> Schedule | None:
    """The schedule of that name, None for "". Raises UserError for an unknown one."""
    if name and name not in PRESETS:
        raise UserError(f"preset {name!r}: unknown; use {', '.join(PRESETS)}")
    return PRESETS[name] if name else None
