"""Unites the proposals of mask sources. A budget and the refresh wrap the union."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..core.detections import Detections
from ..core.grid import RegionGrid
from ..core.result import RegionMask, StepResult
from ..errors import UserError
from .adaptive import AdaptiveSource, OccupancyLearner
from .heat import min_cover_mask
from .learned import LearnedMask
from .schedule import is_refresh
from .source import ATTENTION, MaskContext, MaskSource, StatelessSource


class AttentionSource(StatelessSource):
    """Proposes the regions of ``MaskContext.attention``."""

    name = ATTENTION

    def propose(self, context: MaskContext) -> np.ndarray | None:
        """The regions that the boxes touch, bool [rows, cols]; None without a box."""
        return context.grid.cover(context.attention, context.image_wh) if len(context.attention) else None


class Budget(Protocol):
    """Limits how many regions are observed in a frame that is not a refresh frame."""

    def apply(self, proposals: dict[str, np.ndarray], context: MaskContext) -> dict[str, np.ndarray]:
        """Proposals by source name, bool [rows, cols] each, within the budget."""


class MaskComposer:
    """The masks of one camera.

    Without a source, every region of every frame is observed.

    Attributes:
        grid: The region grid.
        image_wh: Width and height of the camera's image, in pixels.
        sources: Those whose proposals are united.
        refresh_period: Frames from one refresh frame to the next, see ``schedule.frames_to_refresh``.
        least_held: Share of the predictions that must hold; otherwise the guard shortens the refresh period, or
            idle frames, see ``tracking.guard``. 0: there is no guard.
        budget: Limits the union. None: as many regions as the sources propose.
        learner: Where objects were seen so far; the adaptive source itself where there is one.
    """

    def __init__(self, grid: RegionGrid, image_wh: tuple[int, int], sources: Sequence[MaskSource] = (),
                 refresh_period: int = 0, budget: Budget | None = None, least_held: float = 0.0) -> None:
        self.grid, self.image_wh, self.sources = grid, image_wh, tuple(sources)
        self.refresh_period, self.budget, self.least_held = refresh_period, budget, least_held
        adaptive = [source for source in self.sources if isinstance(source, AdaptiveSource)]
        self.learner: OccupancyLearner = adaptive[0] if adaptive else OccupancyLearner(grid, image_wh)
        self._observers: Sequence[MaskSource | OccupancyLearner] = (
            self.sources if adaptive else (*self.sources, self.learner))
        self._asked: Sequence[MaskSource] = (*self.sources, AttentionSource())

    def compose(self, context: MaskContext) -> RegionMask:
        """Makes the mask of the next frame.

        Args:
            context: What is known before the frame is encoded.

        Returns:
            The union of the sources; everything on a refresh frame.
        """
        if not self.sources:
            return RegionMask(self.grid.full(True), {}, refresh=context.since_refresh == 0)
        proposals = {source.name: keep for source in self._asked if (keep := source.propose(context)) is not None}
        refresh = is_refresh(context.since_refresh, self.refresh_period)
        if self.budget is not None:
            proposals = self.budget.apply(proposals, context)
        keep = self.grid.full(refresh)
        if not refresh:
            for proposal in proposals.values():
                keep |= proposal
        return RegionMask(keep, proposals, refresh)

    def observe(self, result: StepResult) -> None:
        """Lets all sources learn from a result."""
        for source in self._observers:
            source.observe(result)

    def reset(self) -> None:
        """Resets all sources. What was learned of the place stays, see ``OccupancyLearner.forget``."""
        for source in self.sources:
            source.reset()

    def learned_mask(self, cover: float) -> LearnedMask:
        """A static mask of what was seen.

        Args:
            cover: Share of the heat that it holds, above 0 to 1. An adaptive source has its own.

        Returns:
            What the adaptive source observes or, without one, the fewest regions that hold the share of the heat.

        Raises:
            UserError: No object was seen yet.
        """
        learner = self.learner
        adaptive = learner if isinstance(learner, AdaptiveSource) else None
        heat, frames = (adaptive.stats.share, adaptive.stats.frames) if adaptive else (
            learner.heat.heat.copy(), learner.heat.frames)
        if not heat.any():
            raise UserError(
                f"no object was seen yet (in {frames} frames observed as a whole), so there is nothing to observe")
        keep = self._limit(adaptive) if adaptive else min_cover_mask(heat, cover)
        return LearnedMask(self.grid, keep, heat, frames)

    def _limit(self, adaptive: AdaptiveSource) -> np.ndarray:
        """The adaptive mask within the budget, bool [rows, cols]."""
        if self.budget is None:
            return adaptive.keep
        context = MaskContext(Detections.empty(), self.grid, self.image_wh, since_refresh=1)
        return self.budget.apply({adaptive.name: adaptive.keep}, context)[adaptive.name]
