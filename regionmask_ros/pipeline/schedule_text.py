"""What decides about a frame, and how long a schedule is, in words."""

from __future__ import annotations

from collections.abc import Sequence

from ..mask.rolling import find_rolling
from ..mask.tile_schedule import TileSchedule, find_tile_schedule
from .camera_state import CameraState


def describe_mask(names: Sequence[str], camera: CameraState | None, frames_to_refresh: int | None) -> str:
    """Says what decides about the coming frame.

    Args:
        names: Of the masks and of the preset.
        camera: The camera; None before the first frame.
        frames_to_refresh: Frames until a refresh frame; None when none comes.

    Returns:
        Such as "tracking, refresh in 4".
    """
    if not names:
        return "no mask"
    refresh = {None: "", 0: ", refresh"}.get(frames_to_refresh, f", refresh in {frames_to_refresh}")
    shortened = f", {describe_schedule(camera)}" if camera and is_shortened(camera) else ""
    return " + ".join(names) + refresh + shortened


def is_shortened(camera: CameraState) -> bool:
    """Whether the guard shortens the camera's schedule, or the rate of images does."""
    rolling, tiles = find_rolling(camera.composer.sources), find_tile_schedule(camera.composer.sources)
    if rolling is not None:
        return camera.horizon > 0 and rolling.looks_per_frame(camera.horizon) > 0
    if tiles is not None:
        return _limit(tiles, camera) != tiles
    return camera.effective_period < camera.composer.refresh_period


def describe_schedule(camera: CameraState) -> str:
    """Says how long a camera's schedule is.

    Args:
        camera: The camera.

    Returns:
        Such as "refresh every 2 of 9 frames, predictions held 34 %"; "" where there is nothing to shorten.
    """
    composer, horizon = camera.composer, camera.horizon
    rolling, tiles = find_rolling(composer.sources), find_tile_schedule(composer.sources)
    held = f", predictions held {100 * camera.guard.held_share:.0f} %" if horizon else ""
    if tiles is not None:
        idle = _limit(tiles, camera).idle_frames
        return f"{idle} of {tiles.idle_frames} idle frames{held}" if tiles.idle_frames else ""
    if not horizon or not (composer.refresh_period or rolling):
        return ""
    if rolling is not None:
        return f"{rolling.describe(horizon)}{held}"
    if is_shortened(camera):
        return f"refresh every {camera.effective_period} of {composer.refresh_period} frames{held}"
    return f"refresh every {camera.effective_period} frames{held}"


def _limit(tiles: TileSchedule, camera: CameraState) -> TileSchedule:
    return tiles.limited(camera.horizon, camera.interval_s)
