"""What the student ``chain`` is trained for: a teacher's labels, with YOLO-KP's anchors. Needs torch.

The cell that holds an object's center learns it, with one of its anchors: the one whose prediction fits it best and
that no other object has. Predictions that fit an object well without being chosen are neither object nor background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ...network.chain import YoloHead
from .labels import SURE
from .objective import BOX_COST, box_iou, find_balanced, generalized_iou

FITS = 0.55
OBJECT_WEIGHT, CLASS_WEIGHT, BOX_WEIGHT, OFFSET_WEIGHT = 4.0, 1.0, 2.0, 0.5
_NEVER = 1e6


@dataclass(frozen=True)
class AnchorCells:
    """The cells of an input, in the order of the output, each with all anchors.

    Attributes:
        column: float [cells, 1].
        row: float [cells, 1].
        anchors: float [anchors, 2], pixels.
        shape: Rows and columns.
        stride: Pixels between cells.
        largest_log: The largest exponent of a box's size.
    """

    column: torch.Tensor
    row: torch.Tensor
    anchors: torch.Tensor
    shape: tuple[int, int]
    stride: int
    largest_log: float

    @classmethod
    def of(cls, input_hw: tuple[int, int], head: YoloHead, stride: int) -> AnchorCells:
        """The cells for an input of this height and width."""
        high, wide = input_hw[0] // stride, input_hw[1] // stride
        row, column = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
        return cls(column.reshape(-1, 1).float(), row.reshape(-1, 1).float(), torch.tensor(head.anchors) * stride,
                   (high, wide), stride, head.clamp_max)

    def split(self, output: torch.Tensor) -> torch.Tensor:
        """[n, cells, anchors, 5 + classes], from the output, [n, cells, anchors * (5 + classes)]."""
        return output.unflatten(2, (len(self.anchors), -1))

    def decode(self, numbers: torch.Tensor) -> torch.Tensor:
        """Boxes x0 y0 x1 y1 in pixels from raw x y w h: [..., cells, anchors, 4]."""
        x, y = ((numbers[..., place].sigmoid() + start) * self.stride
                for place, start in ((0, self.column), (1, self.row)))
        half = numbers[..., 2:4].clamp(max=self.largest_log).exp() * self.anchors / 2
        center = torch.stack([x, y], -1)
        return torch.cat([center - half, center + half], -1)


def anchor_loss(output: torch.Tensor, cells: AnchorCells, labels: Sequence[np.ndarray]) -> torch.Tensor:
    """The loss against a teacher's labels.

    Args:
        output: [n, cells, anchors * (5 + classes)].
        cells: Of the input.
        labels: For each picture float32 [m, 6]: x0, y0, x1, y1 in pixels of the input, score, class.

    Returns:
        A scalar.
    """
    found = cells.split(output)
    boxes = cells.decode(found[..., :4])
    picture = torch.from_numpy(np.repeat(np.arange(len(labels)), [len(rows) for rows in labels]))
    rows = torch.from_numpy(np.concatenate(list(labels)).astype(np.float32))
    target, weight = torch.zeros(found.shape[:3]), torch.ones(found.shape[:3])
    if not len(rows):
        return OBJECT_WEIGHT * find_balanced(found[..., 4], target, weight).sum() / len(labels)
    cell = _cell_of(rows, cells)
    with torch.no_grad():
        for at in torch.unique(picture):
            fits = box_iou(boxes[at][..., None, :], rows[picture == at, :4]).amax(-1) > FITS
            weight[at][fits] = 0.0
        sure = rows[:, 4] >= SURE
        weight[picture[~sure], cell[~sure]] = 0.0
        owner, anchor = _assign(found, boxes, rows[sure], picture[sure], cell[sure])
    of = rows[sure][owner]
    where = picture[sure][owner], cell[sure][owner], anchor
    target[where], weight[where] = of[:, 4], 1.0
    objects = find_balanced(found[..., 4], target, weight).sum()
    raw, box, share = found[where], boxes[where], of[:, 4]
    classes = (functional.cross_entropy(raw[:, 5:], of[:, 5].long(), reduction="none") * share).sum()
    placed = ((1 - generalized_iou(box, of[:, :4])) * share).sum()
    center = (box[:, :2] + box[:, 2:4] - of[:, :2] - of[:, 2:4]) / (2 * cells.stride)
    size = ((box[:, 2:4] - box[:, :2]).clamp(min=0.5) / (of[:, 2:4] - of[:, :2]).clamp(min=1.0)).log()
    apart = torch.cat([center, size], -1)
    offset = (functional.smooth_l1_loss(apart, torch.zeros_like(apart), reduction="none", beta=0.1).sum(-1)
              * share).sum()
    parts = OBJECT_WEIGHT * objects + CLASS_WEIGHT * classes + BOX_WEIGHT * placed + OFFSET_WEIGHT * offset
    return parts / share.sum().clamp(min=4.0)


def _cell_of(rows: torch.Tensor, cells: AnchorCells) -> torch.Tensor:
    """The number of the cell that holds each label's center, int [m]."""
    high, wide = cells.shape
    place = ((rows[:, :2] + rows[:, 2:4]) / (2 * cells.stride)).floor().long()
    return place[:, 1].clamp(0, high - 1) * wide + place[:, 0].clamp(0, wide - 1)


def _assign(found: torch.Tensor, boxes: torch.Tensor, rows: torch.Tensor, picture: torch.Tensor, cell: torch.Tensor
            ) -> tuple[torch.Tensor, torch.Tensor]:
    """Decides who learns what.

    In each round, each object without an anchor asks for the best free one of its cell; the one that fits best gets it.

    Returns:
        Numbers of objects, and the anchor of each of them.
    """
    own, anchors = found[picture, cell], found.shape[2]
    overlap = box_iou(boxes[picture, cell], rows[:, None, :4])
    kind = own[..., 5:].softmax(-1).gather(2, rows[:, 5].long()[:, None, None].expand(-1, anchors, 1))[..., 0]
    share = (own[..., 4].sigmoid() * kind).clamp(min=1e-6)
    cost = -0.5 * share.log() - BOX_COST * (overlap + 1e-3).log()
    key = (picture * found.shape[1] + cell)[:, None] * anchors + torch.arange(anchors)
    taken = torch.zeros(found.shape[0] * found.shape[1] * anchors, dtype=torch.bool)
    given = torch.full((len(rows),), -1)
    for _ in range(anchors):
        waiting = torch.nonzero(given < 0)[:, 0]
        price, choice = torch.where(taken[key[waiting]], _NEVER, cost[waiting]).min(1)
        wanted = key[waiting, choice]
        best = torch.full((len(taken),), _NEVER).scatter_reduce(0, wanted, price, "amin")
        first = torch.full((len(taken),), len(rows)).scatter_reduce(
            0, wanted, torch.where(price <= best[wanted], waiting, len(rows)), "amin")
        wins = (price < _NEVER) & (first[wanted] == waiting)
        given[waiting[wins]] = choice[wins]
        taken[wanted[wins]] = True
    owner = torch.nonzero(given >= 0)[:, 0]
    return owner, given[owner]
