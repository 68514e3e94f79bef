"""From settings to the mask policy of a camera: files are read here, and what does not fit is refused."""

from __future__ import annotations

from dataclasses import replace

from ..core.grid import RegionGrid
from ..mask.adaptive import OccupancyStats
from ..mask.budget import attended_regions, rank_by_heat
from ..mask.policy import MaskComposer
from ..mask.scheduling import Schedule
from ..mask.static import read_static_mask
from .settings import PipelineSettings


def make_composer(settings: PipelineSettings, grid: RegionGrid, image_wh: tuple[int, int]) -> MaskComposer:
    """What decides about the pictures of a camera, an adaptive mask before it has seen anything.

    Raises UserError when the static mask's file cannot be read or is for another grid or picture.
    """
    file = read_static_mask(settings.static_mask) if settings.reads_static_mask else None
    static = file.fit(grid, image_wh) if file else None
    dynamic = settings.dynamic_choice.make(settings.refresh_period, static) if settings.uses_dynamic else None
    adaptive = settings.adaptive if settings.uses_adaptive else None
    regions = None
    if settings.target_masked and not settings.target_moves_threshold:
        regions = attended_regions(grid, settings.target_masked, settings.effective_refresh_period)
    hot = rank_by_heat(static if file.heat is None else file.heat) if file and regions is not None else None
    schedule = settings.schedule
    if schedule and regions is not None:
        schedule = limit_schedule(schedule, regions, grid)
    return MaskComposer(grid, image_wh, static, dynamic, settings.refresh_period, schedule, adaptive, regions, hot)


def initial_mask_state(policy: MaskComposer) -> OccupancyStats:
    """What is known before the first frame: the mask that an adaptive one starts from, if any, and nothing else."""
    if policy.adaptive is None or policy.static is None:
        return OccupancyStats.nothing(policy.grid)
    return OccupancyStats.from_mask(policy.static)


def limit_schedule(schedule: Schedule, regions: int, grid: RegionGrid) -> Schedule:
    """The schedule, attending no more than so many regions in a frame that is no refresh frame."""
    return replace(schedule, most_attended=regions / (grid.rows * grid.cols))
