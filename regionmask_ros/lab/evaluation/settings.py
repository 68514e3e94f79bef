"""Settings by name: what ``evaluate`` compares. To add one, add an entry to ``RECIPES``.

A name is ``NAME``, ``NAME@SHARE`` for a wanted masked share, and either with ``:trained`` behind it, for the trained
thresholds and the ``carry`` arithmetic whatever else is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Mapping

import numpy as np

from ...core.detections import Detections
from ...core.grid import RegionGrid
from ...datasets.labels import Labels
from ...engine.arithmetic import CARRY
from ...errors import UserError
from ...mask.adaptive import Adaptive
from ...mask.budget import attended_regions, nearest
from ...mask.dynamic import MGNET, DynamicChoice, tracking
from ...mask.heat import holding, hottest
from ...mask.policy import MaskPolicy
from ...mask.scheduling import PRESETS
from ...mask.source import Cues
from ...network import thresholds
from ...pipeline.pipeline import PipelineSettings, PolicyMaker
from ...pipeline.policy import within

UNMASKED = "unmasked"
TRAINED = ":trained"
REFRESH_PERIOD = PipelineSettings().refresh_period

NOTHING, DETECTOR, LABELS = "nothing", "detector", "labels"
"""What a setting learns from, on the first part of a sequence: its own unmasked detections, or the labels."""


@dataclass(frozen=True)
class Situation:
    """What a setting may know of a sequence before it is scored.

    share: wanted masked share, None for the setting's own. heat: float64 [rows, cols], learned; zeros when the setting
    learns nothing. labels, first_frame: the truth, and the number of the first scored frame, for the oracle alone.
    mgnet_weights: file of a mask network, "" for the package's.
    """

    share: float | None
    heat: np.ndarray
    labels: Labels
    first_frame: int
    mgnet_weights: str = ""


@dataclass(frozen=True)
class Recipe:
    """help: one line. policy: makes the mask policy; None: everything is attended. learns: see above.

    takes_share: whether ``@SHARE`` means something. extrapolate: boxes move on while their regions rest.
    tuned: runs with the tuned thresholds, unless trained ones or an arithmetic are asked for.
    """

    help: str
    policy: Callable[[Situation], PolicyMaker] | None
    learns: str = NOTHING
    takes_share: bool = True
    extrapolate: bool = False
    tuned: bool = False


@dataclass(frozen=True)
class Setting:
    """A setting as asked for."""

    name: str
    recipe: Recipe
    share: float | None
    trained: bool

    def settings(self, base: PipelineSettings, tuned: bool) -> PipelineSettings:
        """The base with this setting's thresholds and arithmetic. tuned: whether tuned thresholds may be used."""
        if self.trained:
            return replace(base, thresholds=thresholds.TRAINED, arithmetic=CARRY)
        if self.recipe.tuned and tuned:
            return replace(base, thresholds=thresholds.TUNED, arithmetic="")
        return base


def _static(situation: Situation) -> PolicyMaker:
    def make(grid: RegionGrid, picture_wh: tuple[int, int]) -> MaskPolicy:
        regions = _regions(situation, grid)
        keep = holding(situation.heat) if regions is None else hottest(situation.heat, regions)
        return MaskPolicy(grid, picture_wh, keep, None, REFRESH_PERIOD)

    return make


def _adaptive(situation: Situation) -> PolicyMaker:
    """Begins as ``static`` does, and goes on learning from its own refresh frames while it is scored."""
    return lambda grid, picture_wh: replace(
        _static(situation)(grid, picture_wh), adaptive=Adaptive(), regions=_regions(situation, grid))


def _regions(situation: Situation, grid: RegionGrid) -> int | None:
    """So many are attended in a frame that is no refresh frame, for the wanted share."""
    return None if situation.share is None else attended_regions(grid, situation.share, REFRESH_PERIOD)


def _tracking(situation: Situation) -> PolicyMaker:
    return lambda grid, picture_wh: MaskPolicy(
        grid, picture_wh, None, tracking, REFRESH_PERIOD, regions=_regions(situation, grid))


def _mgnet(situation: Situation) -> PolicyMaker:
    choice = _mgnet_choice(situation)
    return lambda grid, picture_wh: MaskPolicy(grid, picture_wh, None, choice.make(REFRESH_PERIOD), REFRESH_PERIOD)


def _static_mgnet(situation: Situation) -> PolicyMaker:
    """For a wanted share, the static mask takes a third of what may be attended."""
    choice = _mgnet_choice(situation)

    def make(grid: RegionGrid, picture_wh: tuple[int, int]) -> MaskPolicy:
        if situation.share is None:
            keep = holding(situation.heat)
        else:
            keep = hottest(situation.heat, attended_regions(grid, situation.share, REFRESH_PERIOD) // 3)
        return MaskPolicy(grid, picture_wh, keep, choice.make(REFRESH_PERIOD, keep), REFRESH_PERIOD)

    return make


def _mgnet_choice(situation: Situation) -> DynamicChoice:
    return DynamicChoice(MGNET, situation.mgnet_weights, situation.share or 0.0)


def _oracle(situation: Situation) -> PolicyMaker:
    return lambda grid, picture_wh: MaskPolicy(
        grid, picture_wh, None, _TrueBoxes(situation, _regions(situation, grid)), REFRESH_PERIOD)


class _TrueBoxes:
    """A dynamic mask that sees the labels of the frame to come. It is asked once a frame, in order.

    regions: so many of those nearest to the boxes, instead of what ``tracking`` attends.
    """

    def __init__(self, situation: Situation, regions: int | None) -> None:
        self._labels, self._frame = situation.labels, situation.first_frame
        self._regions = regions

    def __call__(self, cues: Cues) -> np.ndarray:
        labels = self._labels.at(self._frame)
        self._frame += 1
        boxes = labels.boxes[~labels.ignore].astype(np.float32)
        sure = Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int32))
        if self._regions is None:
            return tracking(replace(cues, last=sure))
        return nearest(sure.boxes, sure.scores, cues.grid, cues.picture_wh, self._regions)


def _skip(period: int) -> Recipe:
    def policy(situation: Situation) -> PolicyMaker:
        return lambda grid, picture_wh: MaskPolicy(grid, picture_wh, grid.full(False), None, period)

    return Recipe(f"everything in each {period}. frame, nothing between; boxes move on", policy, takes_share=False,
                  extrapolate=True)


def _preset(name: str) -> Recipe:
    def policy(situation: Situation) -> PolicyMaker:
        def make(grid: RegionGrid, picture_wh: tuple[int, int]) -> MaskPolicy:
            schedule = PRESETS[name]
            if situation.share is not None:
                schedule = within(
                    schedule, attended_regions(grid, situation.share, schedule.refresh_period), grid)
            return MaskPolicy(grid, picture_wh, None, None, schedule.refresh_period, schedule)

        return make

    return Recipe(
        f"the schedule {name}: objects are sent as often as they ask for", policy, extrapolate=True, tuned=True)


RECIPES: Mapping[str, Recipe] = {
    UNMASKED: Recipe("everything in every frame", None, takes_share=False),
    "unmasked-tuned": Recipe("the same, with the thresholds of the presets", None, takes_share=False, tuned=True),
    **{name: _preset(name) for name in PRESETS},
    "static": Recipe("where the unmasked detector saw objects before", _static, DETECTOR),
    "static-labels": Recipe("where objects were labelled before", _static, LABELS),
    "adaptive": Recipe("begins as static and learns on, from the frames that are sent as a whole", _adaptive, DETECTOR),
    "tracking": Recipe("the boxes of the last result, widened by a region", _tracking),
    "mgnet": Recipe("what a mask network and the boxes of the last result say", _mgnet),
    "static+mgnet": Recipe("what either of static and mgnet attends", _static_mgnet, DETECTOR),
    "oracle": Recipe("the true boxes of the frame to come, widened by a region: a ceiling, not a method", _oracle),
    "skip2": _skip(2),
    "skip3": _skip(3),
    "skip4": _skip(4),
}


def parse_setting(text: str) -> Setting:
    """Raises UserError for a name that is unknown, and for a share that makes no sense."""
    trained = text.endswith(TRAINED)
    base, at, share_text = text.removesuffix(TRAINED).partition("@")
    known = ", ".join(RECIPES)
    if base not in RECIPES:
        raise UserError(f"setting {text!r}: unknown; use {known}, with @0.6 for a wanted masked share")
    recipe = RECIPES[base]
    if at and not recipe.takes_share:
        raise UserError(f"setting {text!r}: {base} has no masked share to choose")
    return Setting(text, recipe, _share(text, share_text) if at else None, trained)


def _share(text: str, share_text: str) -> float:
    try:
        share = float(share_text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share < 1.0:
        raise UserError(f"setting {text!r}: the masked share is a number from 0 to below 1, such as @0.6")
    # Refused now, not after minutes of calibration.
    attended_regions(RegionGrid(1, 1), share, REFRESH_PERIOD)
    return share
