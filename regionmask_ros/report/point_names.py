"""Names of points in a plot, which overlap neither each other nor a point."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT_SIZE = 8
POINT_PX = 7.0
"""Half the side of the square around a point that names leave free, in pixels of the figure."""

_WIDER = 1.12
"""A browser has other fonts than matplotlib, some of them wider."""

_RADII = np.array([10.0, 18.0, 28.0, 40.0, 55.0])
_ANGLES = np.deg2rad([35.0, -35.0, 145.0, -145.0, 90.0, -90.0, 0.0, 180.0, 60.0, -60.0, 120.0, -120.0])
"""Where a name is tried first, from its point. In pixels; counterclockwise from the right."""

_NEAR_PLACES = 40

_GRID_PX = 8.0
"""Then it is tried everywhere, in steps of as many pixels, the nearest place first."""

_STROKE_PX = 5.0
"""Distance of the points that stand for a line."""

_NEAR_PX = 16.0
"""A name that is farther from its point is joined to it by a line."""


def place_names(points: np.ndarray, sizes_wh: np.ndarray, area: tuple[float, float, float, float],
                strokes: np.ndarray | None = None) -> np.ndarray:
    """Finds a place for each name, the first name first.

    Args:
        points: float [n, 2], x and y in pixels, y upwards.
        sizes_wh: float [n, 2], width and height of each name.
        area: x0, y0, x1, y1, in which names stay.
        strokes: float [m, 2], points on lines, which names leave free where they can.

    Returns:
        float [n, 4], x0, y0, x1, y1 of each name. No two of them overlap, and none covers a point; nan where there is
        no such place.
    """
    points, sizes = np.asarray(points, float).reshape(-1, 2), np.asarray(sizes_wh, float).reshape(-1, 2)
    taken = np.concatenate([points - POINT_PX, points + POINT_PX], axis=1)
    lines = np.zeros((0, 2)) if strokes is None else np.asarray(strokes, float).reshape(-1, 2)
    placed = np.full((len(points), 4), np.nan)
    way = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    steps = (_RADII[:, None, None] * way).reshape(-1, 2)
    sides = np.tile(way, (len(_RADII), 1))
    across, down = (np.arange(area[axis], area[axis + 2], _GRID_PX) for axis in range(2))
    anywhere = np.stack(np.meshgrid(across, down), axis=2).reshape(-1, 2)
    for index, (point, size) in enumerate(zip(points, sizes)):
        # The side of the name that is towards the point is at the end of the step.
        low = np.concatenate([
            point + steps + (sides - 1.0) * size / 2.0,
            anywhere[np.argsort(np.linalg.norm(anywhere + size / 2.0 - point, axis=1), kind="stable")]])
        boxes = np.concatenate([low, low + size], axis=1)
        inside = (boxes[:, :2] >= area[:2]).all(axis=1) & (boxes[:, 2:] <= area[2:]).all(axis=1)
        apart = (boxes[:, None, 2:] <= taken[None, :, :2]) | (boxes[:, None, :2] >= taken[None, :, 2:])
        # Among the near places; a place far away is worse than a line through a name.
        free = boxes[inside & apart.any(axis=2).all(axis=1)][:_NEAR_PLACES]
        if len(free):
            hidden = ((free[:, None, :2] < lines[None]) & (free[:, None, 2:] > lines[None])).all(axis=2).sum(axis=1)
            placed[index] = free[np.argmin(hidden)]
            taken = np.concatenate([taken, placed[index][None]])
    return placed


def name_points(axis: Axes, points: Sequence[tuple[str, float, float]], ink: str) -> None:
    """Writes the names into a plot whose layout and limits are set.

    Names without a place stand in one line at its lower edge, which only happens where the plot is full of names.

    Args:
        axis: The axes.
        points: Name, x and y of each, in the units of the axes.
        ink: Color of the names, and of the lines that join them to their points.
    """
    if not points:
        return
    places = axis.transData.transform([point[1:] for point in points])
    texts = [axis.text(x, y, name, fontsize=FONT_SIZE, color=ink, in_layout=False) for name, x, y in points]
    extents = [text.get_window_extent() for text in texts]
    sizes = np.array([(_WIDER * extent.width, extent.height) for extent in extents])
    frame = axis.get_window_extent()
    boxes = place_names(places, sizes, (frame.x0, frame.y0, frame.x1, frame.y1), _sample_lines(axis))
    to_data = axis.transData.inverted()
    for text, point, box in zip(texts, places, boxes):
        if np.isnan(box[0]):
            text.remove()
            continue
        text.set_position(tuple(to_data.transform(box[:2])))
        nearest = np.clip(point, box[:2], box[2:])
        if np.linalg.norm(nearest - point) > _NEAR_PX:
            ends = to_data.transform([point, nearest])
            axis.plot(ends[:, 0], ends[:, 1], color=ink, linewidth=0.5, alpha=0.6, scalex=False, scaley=False)
    unnamed = [name for (name, *_), box in zip(points, boxes) if np.isnan(box[0])]
    if unnamed:
        axis.text(0.01, 0.01, f"not named: {', '.join(unnamed)}", transform=axis.transAxes, fontsize=FONT_SIZE - 1,
                  color=ink, in_layout=False)


def _sample_lines(axis: Axes) -> np.ndarray:
    """Points on all lines of a plot that join data, in pixels: float [m, 2]."""
    points = [np.zeros((0, 2))]
    for line in axis.get_lines():
        if line.get_transform() != axis.transData:
            continue
        ends = axis.transData.transform(np.asarray(line.get_xydata()))
        for start, end in pairwise(ends):
            steps = np.linspace(0.0, 1.0, 2 + int(np.linalg.norm(end - start) / _STROKE_PX))
            points.append(start + steps[:, None] * (end - start))
    return np.concatenate(points)
