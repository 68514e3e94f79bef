"""Settings by name: what ``evaluate`` compares. To add one, add an entry to ``RECIPES``.

A name is ``NAME``, ``NAME@SHARE`` for a wanted masked share, and either with ``:trained`` behind it, for the trained
thresholds and the ``carry`` arithmetic whatever else is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...core.arithmetic import CARRY
from ...core.detections import Detections
from ...core.grid import RegionGrid
from ...datasets.labels import Labels
from ...errors import UserError
from ...mask.adaptive import Adaptive
from ...mask.budget import attended_regions, nearest_regions
from ...mask.dynamic import MGNET, DynamicChoice, tracking
from ...mask.heat import min_cover_mask, top_k_mask
from ...mask.policy import MaskComposer
from ...mask.scheduling import PRESETS
from ...mask.source import MaskContext
from ...network import thresholds
from ...pipeline.pipeline import ComposerFactory
from ...pipeline.policy import limit_schedule
from ...pipeline.settings import PipelineSettings

UNMASKED = "unmasked"
TRAINED = ":trained"
REFRESH_PERIOD = PipelineSettings().refresh_period

NOTHING, DETECTOR, LABELS = "nothing", "detector", "labels"
"""What a setting learns from, on the first part of a sequence: its own unmasked detections, or the labels."""


@dataclass(frozen=True)
class SequenceContext:
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
    policy: Callable[[SequenceContext], ComposerFactory] | None
    learns: str = NOTHING
    accepts_share: bool = True
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


def _static(sequence_context: SequenceContext) -> ComposerFactory:
    def make(grid: RegionGrid, image_wh: tuple[int, int]) -> MaskComposer:
        regions = _regions(sequence_context, grid)
        keep = min_cover_mask(sequence_context.heat) if regions is None else top_k_mask(sequence_context.heat, regions)
        return MaskComposer(grid, image_wh, keep, None, REFRESH_PERIOD)

    return make


def _adaptive(sequence_context: SequenceContext) -> ComposerFactory:
    """Begins as ``static`` does, and goes on learning from its own refresh frames while it is scored."""
    return lambda grid, image_wh: replace(
        _static(sequence_context)(grid, image_wh), adaptive=Adaptive(), regions=_regions(sequence_context, grid))


def _regions(sequence_context: SequenceContext, grid: RegionGrid) -> int | None:
    """So many are attended in a frame that is no refresh frame, for the wanted share."""
    return None if sequence_context.share is None else attended_regions(grid, sequence_context.share, REFRESH_PERIOD)


def _tracking(sequence_context: SequenceContext) -> ComposerFactory:
    return lambda grid, image_wh: MaskComposer(
        grid, image_wh, None, tracking, REFRESH_PERIOD, regions=_regions(sequence_context, grid))


def _mgnet(sequence_context: SequenceContext) -> ComposerFactory:
    choice = _mgnet_choice(sequence_context)
    return lambda grid, image_wh: MaskComposer(grid, image_wh, None, choice.make(REFRESH_PERIOD), REFRESH_PERIOD)


def _static_mgnet(sequence_context: SequenceContext) -> ComposerFactory:
    """For a wanted share, the static mask takes a third of what may be attended."""
    choice = _mgnet_choice(sequence_context)

    def make(grid: RegionGrid, image_wh: tuple[int, int]) -> MaskComposer:
        if sequence_context.share is None:
            keep = min_cover_mask(sequence_context.heat)
        else:
            keep = top_k_mask(sequence_context.heat, attended_regions(grid, sequence_context.share, REFRESH_PERIOD) // 3)
        return MaskComposer(grid, image_wh, keep, choice.make(REFRESH_PERIOD, keep), REFRESH_PERIOD)

    return make


def _mgnet_choice(sequence_context: SequenceContext) -> DynamicChoice:
    return DynamicChoice(MGNET, sequence_context.mgnet_weights, sequence_context.share or 0.0)


def _oracle(sequence_context: SequenceContext) -> ComposerFactory:
    return lambda grid, image_wh: MaskComposer(
        grid, image_wh, None, _TrueBoxes(sequence_context, _regions(sequence_context, grid)), REFRESH_PERIOD)


class _TrueBoxes:
    """A dynamic mask that sees the labels of the frame to come. It is asked once a frame, in order.

    regions: so many of those nearest to the boxes, instead of what ``tracking`` attends.
    """

    def __init__(self, sequence_context: SequenceContext, regions: int | None) -> None:
        self._labels, self._frame = sequence_context.labels, sequence_context.first_frame
        self._regions = regions

    def __call__(self, cues: MaskContext) -> np.ndarray:
        labels = self._labels.at(self._frame)
        self._frame += 1
        boxes = labels.boxes[~labels.ignore].astype(np.float32)
        sure = Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int32))
        if self._regions is None:
            return tracking(replace(cues, last=sure))
        return nearest_regions(sure.boxes, sure.scores, cues.grid, cues.image_wh, self._regions)


def _skip(period: int) -> Recipe:
    def policy(sequence_context: SequenceContext) -> ComposerFactory:
        return lambda grid, image_wh: MaskComposer(grid, image_wh, grid.full(False), None, period)

    return Recipe(f"everything in each {period}. frame, nothing between; boxes move on", policy, accepts_share=False,
                  extrapolate=True)


def _preset(name: str) -> Recipe:
    def policy(sequence_context: SequenceContext) -> ComposerFactory:
        def make(grid: RegionGrid, image_wh: tuple[int, int]) -> MaskComposer:
            schedule = PRESETS[name]
            if sequence_context.share is not None:
                schedule = limit_schedule(
                    schedule, attended_regions(grid, sequence_context.share, schedule.refresh_period), grid)
            return MaskComposer(grid, image_wh, None, None, schedule.refresh_period, schedule)

        return make

    return Recipe(
        f"the schedule {name}: objects are sent as often as they ask for", policy, extrapolate=True, tuned=True)


RECIPES: Mapping[str, Recipe] = {
    UNMASKED: Recipe("everything in every frame", None, accepts_share=False),
    "unmasked-tuned": Recipe("the same, with the thresholds of the presets", None, accepts_share=False, tuned=True),
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
    if at and not recipe.accepts_share:
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
