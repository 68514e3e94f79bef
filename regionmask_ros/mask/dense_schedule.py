"""Presets for dense networks: which of their frames run the network, and on how much of the image.

``burst``: the whole image in every Nth frame, and nothing in between. ``rolling``: one tile of the image at full
resolution in each frame, or the whole image made small. In between, objects are held (``tracking.held``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..core.option_table import OPTIONS
from ..errors import UserError, quote_outside

AUTO, BURST, ROLLING = "auto", "burst", "rolling"

ROLLING_PIXELS = 600_000
"""From this many pixels of the whole input on, ``auto`` takes rolling tiles: there, a whole input takes long."""

COARSE_TILES, FINE_TILES = (2, 2), (3, 2)
"""Columns and rows of tiles that masks use which are no schedule, below and from ``ROLLING_PIXELS`` on."""


@dataclass(frozen=True)
class DenseSchedule:
    """How often a dense network runs.

    Attributes:
        form: ``burst`` or ``rolling``.
        period: Frames from one run to the next.
        tiles: Columns and rows of tiles.
        least_held: As in ``schedule.Schedule``.
        burst: Frames from one whole image to the next while a rolling schedule sees large objects; 0: it rolls on.
    """

    form: str
    period: int
    tiles: tuple[int, int]
    least_held: float = 0.0
    burst: int = 0


@dataclass(frozen=True)
class DensePreset:
    """The two forms of a preset.

    Attributes:
        burst: Frames from one whole image to the next.
        rolling: Frames from one look to the next.
        tiles: Columns and rows of tiles.
        least_held: As in ``schedule.Schedule``. Nothing is observed between two runs, so more must hold than there.
    """

    burst: int
    rolling: int
    tiles: tuple[int, int]
    least_held: float


DENSE_PRESETS: Mapping[str, DensePreset] = {
    "careful": DensePreset(2, 1, (3, 1), 0.9),
    "balanced": DensePreset(4, 1, (5, 1), 0.83),
    "fast": DensePreset(6, 2, (4, 1), 0.76),
}
"""By the names of ``schedule.PRESETS``."""


DENSE_OVERRIDES = ("refresh_period", "least_held")
"""Values of ``schedule.PresetOverrides`` that mean something here."""


def mask_tiles(full_wh: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows of tiles for masks that are no schedule, for a whole input of this (width, height)."""
    return FINE_TILES if math.prod(full_wh) >= ROLLING_PIXELS else COARSE_TILES


def choose_schedule(preset: str, form: str, tiles: str, period: int, full_wh: tuple[int, int]) -> DenseSchedule:
    """Chooses the schedule of a camera.

    Args:
        preset: Name of the preset.
        form: ``auto``, ``burst`` or ``rolling``.
        tiles: ``auto``, or columns and rows such as ``3x2``.
        period: Replaces the preset's; 0: the preset's.
        full_wh: Width and height of the network's input for the whole image.

    Returns:
        The schedule.
    """
    values = DENSE_PRESETS[preset]
    changes_form = form == AUTO
    if changes_form:
        form = ROLLING if math.prod(full_wh) >= ROLLING_PIXELS else BURST
    own = values.burst if form == BURST else values.rolling
    chosen = values.tiles if form == ROLLING else mask_tiles(full_wh)
    if full_wh[0] < full_wh[1]:
        # Columns would be too narrow, and mostly margin.
        chosen = min(chosen[0], 2), min(chosen[0] // 2, 2)
    return DenseSchedule(form, period or own, chosen if tiles == AUTO else parse_tiles(tiles), values.least_held,
                         values.burst if changes_form and form == ROLLING else 0)


def limit_schedule(schedule: DenseSchedule, masked_share: float, look_share: float) -> DenseSchedule:
    """Makes a schedule mask at least a share of the regions, on average over all frames.

    Args:
        schedule: The preset's.
        masked_share: 0 to below 1.
        look_share: Largest share of the regions that one look observes on average, 0 to 1.

    Returns:
        The schedule, with longer periods where they are needed.
    """
    def lengthen(period: int, share: float) -> int:
        return max(period, math.ceil(share / (1.0 - masked_share) - 1e-9))

    return replace(schedule, period=lengthen(schedule.period, look_share),
                   burst=schedule.burst and lengthen(schedule.burst, 1.0))


def parse_tiles(text: str) -> tuple[int, int]:
    """Reads columns and rows of tiles.

    Args:
        text: Such as ``3x2``.

    Returns:
        Both numbers.

    Raises:
        UserError: The text is anything else.
    """
    cols, cross, rows = text.partition("x")
    if not (cross and text.isascii() and cols.isdecimal() and rows.isdecimal() and len(text) < 6
            and 1 <= int(cols) <= 8 and 1 <= int(rows) <= 8):
        raise UserError(f"{OPTIONS['tiles'].name} {quote_outside(text)}: write auto, or columns x rows such as 3x2, "
                        "each 1 to 8")
    return int(cols), int(rows)
