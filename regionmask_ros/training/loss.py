"""What a training brings down: cells that are judged wrongly, and objects that would be cut.

A mask is good when it leaves objects whole at a low price. An object is whole when four fifths of its box are attended,
so what counts is the score that a fifth of its box does not reach, and the price is the share of the picture that lies
above the mark. Cells are judged one by one besides: that teaches much faster, and keeps what lies below the mark in a
sensible order.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np
import torch
from torch.nn import functional

from .samples import Sample

SPARED_SHARE = 0.2
"""Of a box that need not be attended."""

OBJECTS_WEIGHT = 0.3
"""Of objects and the price, beside that of cells."""

MARK, SOFTNESS = -1.0, 0.7
"""Logit above which a cell counts as attended, and over how many logits the step is spread."""

PRICE = 1.2
"""Of attending all of the picture, in objects lost. About 40 % of the cells are then attended."""

_AROUND = (-1, 0, 1)
"""The deciding cell and its neighbours in order: their mean, so that one cell is not pulled at alone."""


def loss_of(logits: torch.Tensor, samples: Sequence[Sample]) -> torch.Tensor:
    """logits: [batch, rows, cols], of these samples, which have cells of the same rows and columns."""
    target, weight = (torch.from_numpy(np.stack([getattr(one, name) for one in samples]))
                      for name in ("target", "weight"))
    cells = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    judged = (weight > 0).to(logits.dtype)
    price = (torch.sigmoid((logits - MARK) / SOFTNESS) * judged).sum() / judged.sum().clamp(min=1.0)
    loss = (cells * weight).sum() / weight.sum().clamp(min=1.0) + OBJECTS_WEIGHT * PRICE * price
    worth = torch.from_numpy(np.concatenate([one.worth for one in samples]))
    if len(worth):
        picture = torch.from_numpy(np.repeat(np.arange(len(samples)), [len(one.worth) for one in samples]))
        covered = torch.from_numpy(np.concatenate([one.covered for one in samples]))
        lost = functional.softplus((MARK - deciding(logits[picture], covered)) / SOFTNESS)
        loss = loss + OBJECTS_WEIGHT * (lost * worth).sum() / worth.sum()
    return loss


def deciding(logits: torch.Tensor, covered: torch.Tensor) -> torch.Tensor:
    """[n]: the logit that ``SPARED_SHARE`` of each object's box does not reach.

    logits: [n, rows, cols]. covered: the same shape, share of each cell that the object covers, not all 0.
    """
    logits, covered = logits.flatten(1), covered.flatten(1)
    order = logits.detach().masked_fill(covered == 0, float("inf")).argsort(dim=1)
    below = covered.gather(1, order).cumsum(dim=1) / covered.sum(dim=1, keepdim=True)
    place = (below < SPARED_SHARE).sum(dim=1, keepdim=True) + torch.tensor([_AROUND])
    last = (covered > 0).sum(dim=1, keepdim=True) - 1
    return logits.gather(1, order.gather(1, torch.minimum(place.clamp(min=0), last))).mean(dim=1)
