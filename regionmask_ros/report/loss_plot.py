"""What static masks of all sizes would lose: objects lost against regions kept, with the chosen mask marked."""

from __future__ import annotations

import numpy as np

from ..mask.heat import LossCurve
from .plots import FONT_SIZE, INK, LINE, MARK, figure_svg, new_figure, style_axes


def loss_svg(curve: LossCurve, kept: float, lost: float) -> str:
    """Draws the curve.

    Args:
        curve: Masks of all sizes.
        kept: Share of the regions that the chosen mask observes, 0 to 1.
        lost: Share of the objects that it loses, 0 to 1.

    Returns:
        An <svg> element that takes its colors from the page.
    """
    from matplotlib.ticker import PercentFormatter

    figure = new_figure(8.4, 3.6)
    axis = figure.subplots()
    axis.plot(curve.kept, curve.lost, color=LINE, linewidth=1.6, label="the hottest regions")
    axis.fill_between(curve.kept, curve.lost, color=LINE, alpha=0.14, linewidth=0)
    axis.plot([kept], [lost], "o", color=MARK, markersize=8, clip_on=False, zorder=3,
              label=f"this mask: {kept:.1%} kept, {lost:.1%} lost")
    axis.set_xlabel("regions kept")
    axis.set_ylabel("objects lost")
    axis.set_xlim(0.0, min(1.0, 1.03 * max(kept, float(np.max(curve.kept)))))
    axis.set_ylim(0.0, 1.02)
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(PercentFormatter(1.0))
    style_axes(axis)
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=FONT_SIZE, labelcolor=INK,
                frameon=False)
    return figure_svg(figure, "losses")
