"""How sparse a network's values and their changes are. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from ...network.dense import Preprocessing
from .graph_model import GraphModel
from .inputs import to_input
from .pictures import Picture

STILL = 0.1
"""A value is still if it changes by less than this share of the root mean square of its layer's values."""

SIDES, MOST_PAIRS = 32, 12


def measure_sparsity(model: GraphModel, pictures: Sequence[Picture], preprocessing: Preprocessing) -> dict[str, float]:
    """Shares of values behind rectifiers that are 0, and that hardly change from one picture to the next.

    Args:
        model: Without normalizations.
        pictures: In their order; those of one source and size that follow each other are compared.
        preprocessing: What the model expects.

    Returns:
        ``zero_share``, 0 to 1, and ``still_share``, which is left out where no two pictures can be compared.
    """
    names = tuple(step.name for step in model.steps if step.operator == "Relu")
    zero: list[float] = []
    still: list[float] = []
    last: tuple[Any, Sequence[torch.Tensor]] | None = None
    with torch.no_grad():
        for picture in pictures:
            if len(zero) > MOST_PAIRS:
                break
            pixels = picture.pixels()
            size = tuple(max(SIDES, side // SIDES * SIDES) for side in (pixels.shape[1], pixels.shape[0]))
            values = model(to_input(cv2.resize(pixels, size)[None], preprocessing), names)[1]
            zero.append(_share([value == 0 for value in values]))
            if last is not None and last[0] == (picture.source, size):
                scale = [STILL * value.square().mean().sqrt() for value in values]
                still.append(_share([(one - other).abs() <= step for one, other, step in zip(values, last[1], scale)]))
            last = (picture.source, size), values
    shares = {"zero_share": round(float(np.mean(zero)), 3)} if zero else {}
    return {**shares, "still_share": round(float(np.mean(still)), 3)} if still else shares


def _share(parts: Sequence[torch.Tensor]) -> float:
    return int(sum(int(part.sum()) for part in parts)) / max(1, int(sum(part.numel() for part in parts)))
