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

    refresh_period: int = _knob(
        PRESETS_OWN, 1, MOST_FRAMES, "Every so many frames everything is sent; best a multiple of work and rest.")
    work: int = _knob(PRESETS_OWN, 1, MOST_FRAMES, "So many frames are for looking at objects, then rest follows.")
    rest: int = _knob(PRESETS_OWN, 0, MOST_FRAMES, "So many frames after those of work nothing is looked at. 0: none.")
    rest_shift: float = _knob(
        float(PRESETS_OWN), 0, 1e6, "An object that has gone so far, in its own size, is looked at in rest, too.")
    tolerance: float = _knob(
        float(PRESETS_OWN), 0, 1e6, "An object is looked at again once it has gone so far, in its own size.")
    longest_rest: int = _knob(
        PRESETS_OWN, 1, MOST_FRAMES, "An object is looked at again after so many frames in any case.")
    border_period: int = _knob(
        PRESETS_OWN, 0, MOST_FRAMES,
        "Every so many frames the border is sent, where objects enter. 0: never on its own.")
    steer_threshold: float = _knob(
        float(PRESETS_OWN), 0, 1.0, "Lowest score of an object that is followed and looked at again.")
    trial_looks: int = _knob(
        PRESETS_OWN, 0, MOST_FRAMES,
        "A weaker object is looked at so many times, because newcomers are often weak. 0: never.")
    trial_threshold: float = _knob(
        float(PRESETS_OWN), 0, 1.0, "Lowest score of an object that is looked at a few times.")

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
