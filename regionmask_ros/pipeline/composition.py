"""From settings to the masks of a camera: mask files are read here, and what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.grid import RegionGrid
from ..core.option_table import USE_PRESET
from ..mask.adaptive import AdaptiveSource
from ..mask.budget import RegionBudget, attended_regions, non_refresh_share
from ..mask.composer import Budget, MaskComposer
from ..mask.dense_schedule import ROLLING, DenseSchedule, choose_schedule, limit_schedule, mask_tiles
from ..mask.mgnet.source import MGNET, MgnetMask
from ..mask.mgnet.weights import load_weights
from ..mask.rolling import SMALL_SHARE, RollingSource
from ..mask.schedule import OBJECTS, PRESETS, Schedule, ScheduleBudget, ScheduledBorder, ScheduledObjects
from ..mask.source import ADAPTIVE, STATIC, IdleSource, MaskSource
from ..mask.static import StaticMaskFile, StaticSource, read_static_mask
from ..mask.tile_schedule import make_tile_sources
from ..mask.tiling import Tiling, make_tiling
from ..mask.tracking import TRACKING, TrackingSource
from ..network.dense import DenseNetwork
from .settings import PipelineSettings

ComposerFactory = Callable[[RegionGrid, "tuple[int, int]"], MaskComposer]
"""Makes the masks of a camera from the region grid and the image's (width, height)."""


@dataclass(frozen=True)
class SourceParts:
    """What a source can be made from.

    Attributes:
        settings: What the user chose.
        grid: The region grid.
        image_wh: Width and height of the camera's image.
        static: The static mask's file on the grid, bool [rows, cols]; None without a file.
        heat: Heat of the same file; None where it has none.
        schedule: The preset's schedule; None without a preset, or for a dense network.
        dense: The preset's schedule for a dense network; None without a preset, or for a sigma-delta network.
        tiling: The windows of a dense network; None for a sigma-delta network.
    """

    settings: PipelineSettings
    grid: RegionGrid
    image_wh: tuple[int, int]
    static: np.ndarray | None
    heat: np.ndarray | None
    schedule: Schedule | None
    dense: DenseSchedule | None = None
    tiling: Tiling | None = None


def _static(parts: SourceParts) -> Sequence[MaskSource]:
    assert parts.static is not None, "the settings require a file"
    return [StaticSource(parts.static, parts.heat)]


def _adaptive(parts: SourceParts) -> Sequence[MaskSource]:
    return [AdaptiveSource(parts.settings.adaptive, parts.grid, parts.image_wh, parts.static)]


def _tracking(_: SourceParts) -> Sequence[MaskSource]:
    return [TrackingSource()]


def _mgnet(parts: SourceParts) -> Sequence[MaskSource]:
    settings = parts.settings
    share = settings.target_masked if settings.target_moves_threshold else 0.0
    return [make_mgnet(settings.mgnet_weights, share, settings.effective_refresh_period, parts.static)]


def _schedule(parts: SourceParts) -> Sequence[MaskSource]:
    tiles = parts.settings.tile_schedule
    if tiles:
        return make_tile_sources(tiles)
    if parts.dense and parts.tiling:
        if parts.dense.form == ROLLING:
            return [RollingSource(parts.tiling, parts.dense.period, parts.dense.burst)]
        return [IdleSource(OBJECTS)]
    assert parts.schedule is not None, "its name is in PRESETS"
    return [ScheduledObjects(parts.schedule), ScheduledBorder(parts.schedule)]


SOURCES: Mapping[str, Callable[[SourceParts], Sequence[MaskSource]]] = {
    STATIC: _static, ADAPTIVE: _adaptive, TRACKING: _tracking, MGNET: _mgnet, **dict.fromkeys(PRESETS, _schedule)}
"""Mask sources by their name in the settings. A preset is two sources: its objects, and the border."""


def make_composer(settings: PipelineSettings, grid: RegionGrid, image_wh: tuple[int, int],
                  tiling: Tiling | None = None,
                  read_mask: Callable[[str, int], StaticMaskFile] = read_static_mask) -> MaskComposer:
    """Makes the masks of a camera.

    Sources are united: with a preset and a static mask, a region is observed if either observes it. A preset's refresh
    period applies to all.

    Args:
        settings: What the user chose.
        grid: The region grid.
        image_wh: Width and height of the camera's image.
        tiling: The windows of a dense network; None for a sigma-delta network.
        read_mask: Reads the static mask's file, as ``read_static_mask``.

    Returns:
        The masks; an adaptive one has not seen anything yet.

    Raises:
        UserError: A file cannot be read, or the static mask is for another grid or image.
    """
    file = read_mask(settings.static_mask, settings.max_image_pixels) if settings.reads_static_mask else None
    static, heat = (file.fit(grid, image_wh), file.heat) if file else (None, None)
    schedule, regions = settings.schedule, None
    dense = None if tiling is None else _dense_schedule(settings, tiling)
    refresh_period = settings.effective_refresh_period
    if dense:
        refresh_period = 0 if dense.form == ROLLING else dense.period
    # A schedule of a dense network alone keeps to the target by its period.
    limits = dense is None or (dense.form != ROLLING and len(settings.active_sources) > 1)
    if settings.target_masked and not settings.target_moves_threshold and limits:
        regions = attended_regions(grid, settings.target_masked, refresh_period)
        schedule = schedule and schedule.limited(regions, grid)
    parts = SourceParts(settings, grid, image_wh, static, heat, schedule, dense, tiling)
    sources = [source for name in settings.active_sources for source in SOURCES[name](parts)]
    budget = None if regions is None else _make_budget(sources, regions, schedule)
    return MaskComposer(grid, image_wh, sources, refresh_period, budget, _least_held(settings, schedule, dense))


def _least_held(settings: PipelineSettings, schedule: Schedule | None, dense: DenseSchedule | None) -> float:
    """As in ``MaskComposer``. Whoever asks for a masked share has decided about the work."""
    if settings.target_masked:
        return 0.0
    if dense:
        wanted = settings.overrides.least_held
        return dense.least_held if wanted == USE_PRESET else wanted
    if tiles := settings.tile_schedule:
        return tiles.least_held if tiles.idle_frames else 0.0
    return schedule.least_held if schedule else 0.0


def make_camera_tiling(settings: PipelineSettings, network: DenseNetwork, grid: RegionGrid, image_wh: tuple[int, int],
                       input_wh: tuple[int, int]) -> Tiling:
    """Lays out the windows of a dense network.

    Args:
        settings: What the user chose.
        network: The network.
        grid: The region grid.
        image_wh: Width and height of the camera's image.
        input_wh: Width and height of the network's input for the whole image.

    Returns:
        The tiling.
    """
    tiles = mask_tiles(input_wh)
    if settings.preset:
        tiles = choose_schedule(settings.preset, settings.schedule_form, settings.tiles, 0, input_wh).tiles
    return make_tiling(image_wh, input_wh, grid, tiles, network.alignment, network.fixed_wh is not None)


def _dense_schedule(settings: PipelineSettings, tiling: Tiling) -> DenseSchedule | None:
    if not settings.preset:
        return None
    period = max(settings.overrides.refresh_period, 0)
    schedule = choose_schedule(settings.preset, settings.schedule_form, settings.tiles, period, tiling.full_wh)
    if not settings.target_masked:
        return schedule
    observed = 1.0
    if schedule.form == ROLLING:
        # Of the rotation, the small image is one look.
        tile = np.count_nonzero(tiling.regions_of(tiling.tiles[0])) / (tiling.grid.rows * tiling.grid.cols)
        observed = tile + (1.0 - tile) * SMALL_SHARE
    return limit_schedule(schedule, settings.target_masked, observed)


def make_mgnet(weights: str, masked_share: float, refresh_period: int, static: np.ndarray | None) -> MgnetMask:
    """Makes the mask network of one camera.

    Args:
        weights: File of the network; "": the package's.
        masked_share: Share of the regions to be masked over all frames, 0 to 1, which moves the threshold of its
            scores. 0: the threshold that comes with the weights.
        refresh_period: Frames from one refresh frame to the next.
        static: What another mask observes besides, bool [rows, cols]; None: nothing.

    Returns:
        The source.

    Raises:
        UserError: The weights cannot be read, or the share is out of reach because of the refresh frames.
    """
    share = non_refresh_share(masked_share, refresh_period) if masked_share else None
    return MgnetMask(load_weights(weights), share, static)


def _make_budget(sources: Sequence[MaskSource], regions: int, schedule: Schedule | None) -> Budget:
    if schedule is not None:
        objects = next(source for source in sources if isinstance(source, ScheduledObjects))
        return ScheduleBudget(schedule, objects)
    ranked = [source for source in sources if isinstance(source, (StaticSource, AdaptiveSource))]
    return RegionBudget(regions, ranked[0] if ranked else None)
