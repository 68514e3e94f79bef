"""What a user may turn in a preset: a value of -1 leaves it as the preset has it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..errors import UserError
from .scheduled import Schedule

PRESETS_OWN = -1
"""In every knob, this value takes the preset's."""

MOST_FRAMES = 2**31 - 1


def _knob(default: int | float, low: int, high: float, text: str) -> Any:
    """A field of ``Knobs``, named as in ``Schedule``. low, high: both ends belong to its range."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "text": text})


@dataclass(frozen=True)
class Knobs:
    """Values that take the place of a preset's. Raises UserError for one that makes no sense."""

    refresh_period: int = _knob(PRESETS_OWN, 1, MOST_FRAMES, "Every so many frames everything is sent.")
    border_period: int = _knob(
        PRESETS_OWN, 0, MOST_FRAMES,
        "Every so many frames the border is sent, where objects enter. 0: never on its own.")
    pause_period: int = _knob(
        PRESETS_OWN, 0, MOST_FRAMES, "Every so many frames all objects rest but the fast ones. 0: never.")
    pause_shift: float = _knob(
        float(PRESETS_OWN), 0, 1e6,
        "How far an object may go while it rests in a pause, in its own size; faster ones are sent.")
    steer_threshold: float = _knob(
        float(PRESETS_OWN), 0, 1.0, "Lowest score of an object that is followed and looked at again.")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, low, high = getattr(self, field.name), field.metadata["low"], field.metadata["high"]
            if value != PRESETS_OWN and not low <= value <= high:
                raise UserError(
                    f"preset {field.name} {value:g}: must be {low} to {high:g}, or {PRESETS_OWN} for the preset's own")

    def applied(self, schedule: Schedule) -> Schedule:
        """The schedule with those values that are set."""
        turned = {name: value for name, value in vars(self).items() if value != PRESETS_OWN}
        return dataclasses.replace(schedule, **turned)
