"""Settings by name: what ``evaluate`` compares. To add one, add an entry to ``RECIPES``.

A name is ``NAME``, ``NAME@SHARE`` for a wanted masked share, and either with ``:trained`` behind it, for the trained
thresholds and the ``carry`` arithmetic whatever else is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...core.arithmetic import CARRY
from ...core.grid import RegionGrid
from ...datasets.labels import Labels
from ...errors import UserError
from ...mask.adaptive import Adaptive, AdaptiveSource
from ...mask.budget import RegionBudget, attended_regions
from ...mask.composer import MaskComposer
from ...mask.heat import min_cover_mask, top_k_mask
from ...mask.mgnet.source import MGNET
from ...mask.schedule import PRESETS
from ...mask.static import StaticSource
from ...mask.tracking import TrackingSource
from ...network import thresholds
from ...network.chain import Network
from ...network.dense import AnyNetwork
from ...pipeline.composition import ComposerFactory, make_mgnet
from ...pipeline.settings import PipelineSettings
from .oracle import OracleSource

UNMASKED = "unmasked"
TRAINED = ":trained"
REFRESH_PERIOD = PipelineSettings().refresh_period

NOTHING, DETECTOR, LABELS = "nothing", "detector", "labels"
"""What a setting learns from, on the first part of a sequence: its own unmasked detections, or the labels."""


@dataclass(frozen=True)
class SequenceContext:
    """What a setting may know of a sequence before it is scored.

    Attributes:
        share: Wanted masked share; None for the setting's own.
        heat: What was learned, float64 [rows, cols]; zeros when the setting learns nothing.
        labels: The labels, for the oracle alone.
        number: Returns the number of the frame that is processed now, for the oracle alone.
        mgnet_weights: File of a mask network, "" for the package's.
    """

    share: float | None
    heat: np.ndarray
    labels: Labels
    number: Callable[[], int]
    mgnet_weights: str = ""

    def regions(self, grid: RegionGrid) -> int | None:
        """Regions to observe in a frame that is not a refresh frame, for the wanted share; None without one."""
        return None if self.share is None else attended_regions(grid, self.share, REFRESH_PERIOD)

    def learned(self, regions: int | None) -> np.ndarray:
        """The hottest regions, bool [rows, cols]: this number of them, or for None, enough of the heat."""
        return min_cover_mask(self.heat) if regions is None else top_k_mask(self.heat, regions)


@dataclass(frozen=True)
class Recipe:
    """How a setting is made.

    Attributes:
        help: What it is, one line.
        composer: Makes its masks, where they are not those of the pipeline's settings.
        options: Values of the pipeline's settings. A wanted share becomes ``target_masked`` beside them.
        learns: What it learns from, see ``NOTHING``.
        accepts_share: Whether ``@SHARE`` means something.
        extrapolate: Whether boxes move on while their regions are masked.
        tuned: Whether it runs with the tuned thresholds, unless trained ones or an arithmetic are asked for.
        needs_thresholds: Whether it means something only for a network with thresholds, a sigma-delta network.
    """

    help: str
    composer: Callable[[SequenceContext], ComposerFactory] | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    learns: str = NOTHING
    accepts_share: bool = True
    extrapolate: bool = False
    tuned: bool = False
    needs_thresholds: bool = False


@dataclass(frozen=True)
class Setting:
    """A setting as asked for.

    Attributes:
        name: As the user wrote it.
        recipe: How it is made.
        share: The wanted masked share; None without one.
        trained: Whether trained thresholds are asked for.
    """

    name: str
    recipe: Recipe
    share: float | None
    trained: bool

    def suits(self, network: AnyNetwork) -> bool:
        """Whether the setting means something for a network."""
        return isinstance(network, Network) or not (self.trained or self.recipe.needs_thresholds)

    def settings(self, base: PipelineSettings, tuned: bool) -> PipelineSettings:
        """Makes the pipeline's settings.

        Args:
            base: Input size, arithmetic and thresholds of all settings.
            tuned: Whether tuned thresholds may be used.

        Returns:
            The base with this setting's masks, thresholds and arithmetic.
        """
        options: dict[str, Any] = dict(self.recipe.options)
        if base.is_dense:
            pass
        elif self.trained:
            options.update(thresholds=thresholds.TRAINED, arithmetic=CARRY)
        elif self.recipe.tuned and tuned:
            options.update(thresholds=thresholds.TUNED, arithmetic="")
        if not options:
            return base
        share = self.share if self.recipe.options and self.share else 0.0
        return replace(base, target_masked=share, **options)


def _static(sequence: SequenceContext) -> ComposerFactory:
    return lambda grid, image_wh: MaskComposer(
        grid, image_wh, [StaticSource(sequence.learned(sequence.regions(grid)))], REFRESH_PERIOD)


def _adaptive(sequence: SequenceContext) -> ComposerFactory:
    """Begins as ``static`` does, and continues to learn from its own refresh frames while it is scored."""
    def make(grid: RegionGrid, image_wh: tuple[int, int]) -> MaskComposer:
        regions = sequence.regions(grid)
        source = AdaptiveSource(Adaptive(), grid, image_wh, sequence.learned(regions))
        budget = None if regions is None else RegionBudget(regions, source)
        return MaskComposer(grid, image_wh, [source], REFRESH_PERIOD, budget)

    return make


def _tracking(sequence: SequenceContext) -> ComposerFactory:
    def make(grid: RegionGrid, image_wh: tuple[int, int]) -> MaskComposer:
        regions = sequence.regions(grid)
        budget = None if regions is None else RegionBudget(regions, None)
        return MaskComposer(grid, image_wh, [TrackingSource()], REFRESH_PERIOD, budget)

    return make


def _static_mgnet(sequence: SequenceContext) -> ComposerFactory:
    """For a wanted share, the static mask takes a third of what may be observed."""
    def make(grid: RegionGrid, image_wh: tuple[int, int]) -> MaskComposer:
        regions = sequence.regions(grid)
        keep = sequence.learned(None if regions is None else regions // 3)
        mgnet = make_mgnet(sequence.mgnet_weights, sequence.share or 0.0, REFRESH_PERIOD, keep)
        return MaskComposer(grid, image_wh, [StaticSource(keep), mgnet], REFRESH_PERIOD)

    return make


def _oracle(sequence: SequenceContext) -> ComposerFactory:
    return lambda grid, image_wh: MaskComposer(
        grid, image_wh, [OracleSource(sequence.labels, sequence.number, sequence.regions(grid))], REFRESH_PERIOD)


def _skip(period: int) -> Recipe:
    def composer(_: SequenceContext) -> ComposerFactory:
        return lambda grid, image_wh: MaskComposer(grid, image_wh, [StaticSource(grid.full(False))], period)

    return Recipe(f"everything in each {period}. frame, nothing between; boxes move on", composer, accepts_share=False,
                  extrapolate=True)


def _preset(name: str) -> Recipe:
    return Recipe(f"the schedule {name}: objects are sent as often as they need it", options={"preset": name},
                  extrapolate=True, tuned=True)


RECIPES: Mapping[str, Recipe] = {
    UNMASKED: Recipe("everything in every frame", accepts_share=False),
    "unmasked-tuned": Recipe("the same, with the thresholds of the presets", accepts_share=False, tuned=True,
                             needs_thresholds=True),
    **{name: _preset(name) for name in PRESETS},
    "static": Recipe("where the unmasked detector saw objects before", _static, learns=DETECTOR),
    "static-labels": Recipe("where objects were labeled before", _static, learns=LABELS),
    "adaptive": Recipe(
        "begins as static and learns on, from the frames that are observed as a whole", _adaptive, learns=DETECTOR),
    "tracking": Recipe("the boxes of the last result, widened by a region", _tracking),
    "mgnet": Recipe("what a mask network and the boxes of the last result say",
                    options={"mask": "dynamic", "dynamic": MGNET}),
    "static+mgnet": Recipe("what either of static and mgnet observes", _static_mgnet, learns=DETECTOR),
    "oracle": Recipe("the true boxes of the frame to come, widened by a region: a ceiling, not a method", _oracle),
    "skip2": _skip(2),
    "skip3": _skip(3),
    "skip4": _skip(4),
    "skip8": _skip(8),
}


def parse_setting(text: str) -> Setting:
    """Reads the name of a setting.

    Args:
        text: As the user wrote it.

    Returns:
        The setting.

    Raises:
        UserError: The name is unknown, or the share makes no sense.
    """
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
