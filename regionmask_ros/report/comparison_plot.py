"""Networks side by side: accuracy against processor time, a color for each network, a marker for each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .plots import GRID, INK, PAGE_COLORS, PALETTE, PNG_COLORS, figure_png, figure_svg, new_figure, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^v<>pP*Xd"
"""By setting, in the order in which settings come: first filled, then hollow."""


@dataclass(frozen=True)
class CostPoint:
    """Accuracy and time of one setting of one network.

    Attributes:
        network: Name of the network.
        setting: Name of the setting.
        ms: Processor time per frame in milliseconds, above 0.
        map50: mAP at IoU 0.5, 0 to 100.
        is_baseline: Frame skipping, the unmasked run included; a line joins those of a network.
    """

    network: str
    setting: str
    ms: float
    map50: float
    is_baseline: bool = False


def comparison_svg(points: Sequence[CostPoint], salt: str) -> str:
    """Draws the comparison for a page.

    Args:
        points: In the order of the legends.
        salt: Different for each figure of a page.

    Returns:
        An <svg> element that takes the colors of its text from the page.
    """
    return figure_svg(_draw(points, {color: color for color in PAGE_COLORS}), salt)


def comparison_png(points: Sequence[CostPoint]) -> bytes:
    """Draws the comparison.

    Args:
        points: In the order of the legends.

    Returns:
        Content of a PNG file.
    """
    return figure_png(_draw(points, PNG_COLORS))


def _draw(points: Sequence[CostPoint], colors: Mapping[str, str]) -> Figure:
    networks, settings = ({getattr(point, kind): None for point in points} for kind in ("network", "setting"))
    color_of = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(networks)}
    marker_of = {name: _marker(place) for place, name in enumerate(settings)}
    # The legends need a line for each name.
    figure = new_figure(9.6, max(5.4, 0.9 + 0.2 * (len(color_of) + len(marker_of))))
    axis, side = figure.subplots(1, 2, gridspec_kw={"width_ratios": (5, 1)})
    for network, color in color_of.items():
        members = [point for point in points if point.network == network]
        skipping = sorted((point for point in members if point.is_baseline), key=lambda point: point.ms)
        axis.plot([p.ms for p in skipping], [p.map50 for p in skipping], "--", color=color, linewidth=1.0, alpha=0.6)
        for point in members:
            axis.plot([point.ms], [point.map50], color=color, markersize=7, **marker_of[point.setting])
    _label(axis, colors)
    _add_legends(side, color_of, marker_of, colors)
    return figure


def _marker(place: int) -> dict[str, Any]:
    """How the points of a setting look."""
    hollow = place // len(MARKERS) % 2
    return {"marker": MARKERS[place % len(MARKERS)], "fillstyle": "none" if hollow else "full"}


def _label(axis: Axes, colors: Mapping[str, str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.margins(x=0.08, y=0.08)
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("processor time per frame, ms, measured; mean over frames and sequences")
    axis.set_ylabel("mAP@0.5, mean over sequences")
    style_axes(axis, colors)


def _add_legends(axis: Axes, color_of: Mapping[str, str], marker_of: Mapping[str, Mapping[str, Any]],
                 colors: Mapping[str, str]) -> None:
    """Colors above, markers below, on axes of their own."""
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

    axis.set_axis_off()
    lines = [Line2D([], [], color=color, marker="o", linestyle="", label=name) for name, color in color_of.items()]
    marks = [Line2D([], [], color=colors[INK], linestyle="", label=name, **mark)
             for name, mark in marker_of.items()]
    for handles, title, corner in ((lines, "network", "upper left"), (marks, "setting", "lower left")):
        legend = Legend(axis, handles, [str(line.get_label()) for line in handles], title=title, loc=corner,
                        borderaxespad=0.0, fontsize=8, title_fontsize=8, labelcolor=colors[INK], facecolor="none",
                        edgecolor=colors[GRID])
        legend.get_title().set_color(colors[INK])
        axis.add_artist(legend)
