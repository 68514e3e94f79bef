"""What a student is trained for: a teacher's labels, or all of a teacher's output. Needs torch.

Labels are assigned to cells as in SimOTA (Ge et al. 2021, "YOLOX", section 2): near an object's center, those cells
whose prediction fits it best, as many as the sum of their overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .labels import SURE

RADIUS = 1
"""Cells of each level around the one with an object's center."""

MOST_OVERLAPS, BOX_COST = 10, 3.0
LARGEST_LOG_SIZE = 6.0
OBJECT_WEIGHT, CLASS_WEIGHT, BOX_WEIGHT, OFFSET_WEIGHT = 4.0, 1.0, 3.0, 0.3


@dataclass(frozen=True)
class Cells:
    """The cells of all levels of an input, in the order of the output.

    Attributes:
        column: float [cells], of each cell in its level.
        row: float [cells].
        stride: float [cells], pixels of the input.
        shapes: Rows, columns, stride and first cell of each level.
    """

    column: torch.Tensor
    row: torch.Tensor
    stride: torch.Tensor
    shapes: tuple[tuple[int, int, int, int], ...]

    @classmethod
    def of(cls, input_hw: tuple[int, int], strides: Sequence[int]) -> Cells:
        """The cells for an input of this height and width."""
        columns, rows, steps, shapes, first = [], [], [], [], 0
        for stride in strides:
            high, wide = input_hw[0] // stride, input_hw[1] // stride
            row, column = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
            columns.append(column.flatten().float())
            rows.append(row.flatten().float())
            steps.append(torch.full((high * wide,), float(stride)))
            shapes.append((high, wide, stride, first))
            first += high * wide
        return cls(torch.cat(columns), torch.cat(rows), torch.cat(steps), tuple(shapes))

    def decode(self, numbers: torch.Tensor) -> torch.Tensor:
        """Boxes x0 y0 x1 y1 in pixels from raw x y w h: [..., cells, 4]."""
        center = (numbers[..., :2] + torch.stack([self.column, self.row], -1)) * self.stride[:, None]
        half = numbers[..., 2:4].clamp(max=LARGEST_LOG_SIZE).exp() * self.stride[:, None] / 2
        return torch.cat([center - half, center + half], -1)


def label_loss(output: torch.Tensor, cells: Cells, labels: Sequence[np.ndarray]) -> torch.Tensor:
    """The loss against a teacher's labels.

    Args:
        output: [n, cells, 5 + classes], logits.
        cells: Of the input.
        labels: For each picture float32 [m, 6]: x0, y0, x1, y1 in pixels of the input, score, class.

    Returns:
        A scalar.
    """
    picture = torch.from_numpy(np.repeat(np.arange(len(labels)), [len(rows) for rows in labels]))
    rows = torch.from_numpy(np.concatenate(list(labels)).astype(np.float32))
    boxes = cells.decode(output[..., :4])
    target, weight = torch.zeros(output.shape[:2]), torch.ones(output.shape[:2])
    if not len(rows):
        return OBJECT_WEIGHT * find_balanced(output[..., 4], target, weight).sum()
    near, valid = _near_cells(rows, cells)
    sure = rows[:, 4] >= SURE
    weight[picture[~sure].repeat_interleave(near.shape[1]), near[~sure].flatten()] = 0.0
    owner, cell, overlap = _assign(output.detach(), boxes.detach(), rows[sure], picture[sure], near[sure], valid[sure])
    if not len(owner):
        return OBJECT_WEIGHT * find_balanced(output[..., 4], target, weight).sum() / len(labels)
    of = rows[sure][owner]
    where = picture[sure][owner], cell
    target[where], weight[where] = of[:, 4].sqrt(), 1.0
    objects = find_balanced(output[..., 4], target, weight).sum()
    wanted = functional.one_hot(of[:, 5].long(), output.shape[2] - 5) * overlap[:, None].clamp(min=0.3)
    classes = functional.binary_cross_entropy_with_logits(output[where][:, 5:], wanted.float(), reduction="sum")
    placed = (1 - generalized_iou(boxes[where], of[:, :4])).sum()
    stride = cells.stride[cell][:, None]
    center = (of[:, :2] + of[:, 2:4]) / (2 * stride) - torch.stack([cells.column[cell], cells.row[cell]], -1)
    size = ((of[:, 2:4] - of[:, :2]).clamp(min=1.0) / stride).log()
    offset = functional.smooth_l1_loss(output[where][:, :4], torch.cat([center, size], -1), reduction="sum", beta=0.2)
    parts = OBJECT_WEIGHT * objects + CLASS_WEIGHT * classes + BOX_WEIGHT * placed + OFFSET_WEIGHT * offset
    return parts / len(owner)


def _near_cells(rows: torch.Tensor, cells: Cells) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells of all levels around each label's center: their numbers [m, k], and whether they are in the input."""
    center = (rows[:, :2] + rows[:, 2:4]) / 2
    shift = torch.arange(-RADIUS, RADIUS + 1)
    down, right = (one.flatten() for one in torch.meshgrid(shift, shift, indexing="ij"))
    numbers, valid = [], []
    for high, wide, stride, first in cells.shapes:
        place = (center / stride).floor().long()
        column, row = place[:, :1] + right, place[:, 1:] + down
        valid.append((column >= 0) & (column < wide) & (row >= 0) & (row < high))
        numbers.append(first + row.clamp(0, high - 1) * wide + column.clamp(0, wide - 1))
    return torch.cat(numbers, 1), torch.cat(valid, 1)


def _assign(output: torch.Tensor, boxes: torch.Tensor, rows: torch.Tensor, picture: torch.Tensor, near: torch.Tensor,
            valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The cells that learn an object: number of the object, number of the cell, and overlap of the cell's box."""
    if not len(rows):
        return (torch.zeros(0, dtype=torch.long),) * 2 + (torch.zeros(0),)
    found = output[picture[:, None], near]
    overlap = box_iou(boxes[picture[:, None], near], rows[:, None, :4]) * valid
    kind = found[..., 5:].gather(2, rows[:, 5].long()[:, None, None].expand(-1, near.shape[1], 1))[..., 0]
    share = (found[..., 4].sigmoid() * kind.sigmoid()).clamp(1e-6, 1 - 1e-6)
    cost = -share.sqrt().log() - BOX_COST * (overlap + 1e-6).log() + 1e6 * ~valid
    count = overlap.topk(min(MOST_OVERLAPS, near.shape[1]), 1).values.sum(1).long().clamp(min=1)
    rank = cost.argsort(dim=1, stable=True).argsort(dim=1)
    owner, place = torch.nonzero((rank < count[:, None]) & valid, as_tuple=True)
    cell, price = near[owner, place], cost[owner, place]
    key = picture[owner] * output.shape[1] + cell
    best = torch.full((output.shape[0] * output.shape[1],), float("inf")).scatter_reduce(0, key, price, "amin")
    kept = price <= best[key]
    return owner[kept], cell[kept], overlap[owner[kept], place[kept]]


def dense_loss(output: torch.Tensor, taught: torch.Tensor, cells: Cells) -> torch.Tensor:
    """The loss against all that a teacher with the same head says of the same pictures.

    Args:
        output: [n, cells, 5 + classes], logits of the student.
        taught: The teacher's, with shares from 0 to 1 in place of logits, see ``Guide.answer``.
        cells: Of the input.

    Returns:
        A scalar.
    """
    share, kinds = taught[..., 4], taught[..., 5:]
    joint = share * kinds.amax(-1)
    count = joint.sum().clamp(min=4.0)
    objects = find_balanced(output[..., 4], share, torch.ones_like(share)).sum()
    classes = (functional.binary_cross_entropy_with_logits(output[..., 5:], kinds, reduction="none").sum(-1)
               * share).sum()
    placed = torch.where(joint > 0.1, joint, torch.zeros_like(joint))
    overlap = box_iou(cells.decode(output[..., :4]), cells.decode(taught[..., :4]))
    offset = functional.smooth_l1_loss(output[..., :4], taught[..., :4], reduction="none", beta=0.2).sum(-1)
    return (OBJECT_WEIGHT * objects + classes / 3 + (placed * (2 * (1 - overlap) + 0.5 * offset)).sum()) / count


def hint_loss(found: Sequence[torch.Tensor], taught: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean squared difference of values inside student and teacher, relative to the teacher's variance."""
    parts = [(one - other).square().mean() / other.var().clamp(min=1e-4) for one, other in zip(found, taught)]
    return torch.stack(parts).mean()


def find_balanced(logit: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Cross-entropy that counts by how wrong the answer is, so that the many clear cells do not dominate."""
    wrong = (logit.sigmoid() - target).abs().detach().clamp(min=1e-3)
    return weight * wrong * functional.binary_cross_entropy_with_logits(logit, target, reduction="none")


def box_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Intersection over union of pairs of boxes: [...] from [..., 4]."""
    inside = (torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
              ).clamp(min=0).prod(-1)
    return inside / (_area(first) + _area(second) - inside + 1e-6)


def generalized_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Overlap that falls below 0 with the distance of boxes that do not touch (Rezatofighi et al. 2019)."""
    inside = (torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
              ).clamp(min=0).prod(-1)
    union = _area(first) + _area(second) - inside + 1e-6
    hull = (torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])).prod(-1)
    return inside / union - (hull - union) / (hull + 1e-6)


def _area(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)
