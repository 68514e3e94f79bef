"""SSD and other heads with one output of boxes and one of scores, before any suppression.

Boxes [1, n, 4], [n, 4], [1, 4, n] or [1, n, 1, 4]; scores likewise. Boxes are decoded by the graph (in shares of the
input or in its pixels, as corners or as centers and sizes), or they are offsets from default boxes, which are known for
torchvision's SSDlite and SSD300. Scores are shares of all classes with a background, the first or the last, after a
softmax or before it; or they are one of each class without a background, after a sigmoid (YOLO-NAS, PP-YOLOE, YOLOv4)
or before it.

Offsets dx, dy, dw, dh from a default box of center cx, cy and size w, h mean: center cx + dx w / 10, cy + dy h / 10,
size w exp(dw / 5), h exp(dh / 5). Sources: torchvision, ``models/detection/ssd.py``, ``_utils.py`` (``BoxCoder``) and
``anchor_utils.py`` (``DefaultBoxGenerator``); Liu et al., SSD, 2016.

``HeadSpec.outputs``: boxes, scores.

``HeadSpec.numbers``: ``background`` 0 where there is none, 1 where it is the first column, 2 the last; ``logits`` 1
where the softmax (with a background) or the sigmoid is still to be done; ``normalized``, ``corners``: of decoded boxes;
``defaults`` 0 where boxes are decoded, else 1 + the place in ``DEFAULTS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...network.dense import GraphFacts, HeadSpec
from .base import Candidates, misfit
from .grid import level_sizes
from .pairs import are_corners, are_shares, as_table, find_pair
from .select import are_scores, corners_of, logit, select_best, select_shares, sigmoid

NO_BACKGROUND, FIRST, LAST = 0, 1, 2

CENTER_WEIGHT, SIZE_WEIGHT = 10.0, 5.0
MOST_GROWTH = float(np.log(1000.0 / 16.0))
"""Of the size's offset, after its weight."""


@dataclass(frozen=True)
class DefaultBoxes:
    """How an SSD places its default boxes.

    Attributes:
        strides: Input pixels between neighboring cells, one for each level.
        scales: Sizes in shares of the input that the network was trained with, one for each level and one more.
        ratios: Of the longer to the shorter side, for each level; each stands for an upright and a lying box.
        size: Width and height of the input that the scales refer to.
        levels: Columns, and rows, of each level, where ``size`` is the only possible input. Its cells are exactly a
            stride wide; else the cells of a level divide the input evenly.
    """

    strides: tuple[int, ...]
    scales: tuple[float, ...]
    ratios: tuple[tuple[int, ...], ...]
    size: int
    levels: tuple[int, ...] = ()


DEFAULTS = (
    DefaultBoxes((16, 32, 64, 128, 256, 512), (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0), ((2, 3),) * 6, 320),
    DefaultBoxes((8, 16, 32, 64, 100, 300), (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
                 ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)), 300, (38, 19, 10, 5, 3, 1)),
)
"""torchvision's ``ssdlite320_mobilenet_v3_large`` and ``ssd300_vgg16``."""


class SsdHead:
    """Reads SSD's outputs; see ``base.Head``."""

    needs_suppression = True
    numbers: tuple[str, ...] = ("background", "logits", "normalized", "corners", "defaults")

    def find(self, outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: bool = False) -> HeadSpec | None:
        """See ``base.Head``."""
        pair = find_pair(outputs)
        if pair is None:
            return None
        of_boxes, boxes, of_scores, scores = pair
        numbers = _find_scores(scores)
        if not are_corners(boxes) and (boxes[:, 2:] < 0.0).any(axis=1).mean() > 0.01:
            places = [1 + place for place, defaults in enumerate(DEFAULTS)
                      if len(place_defaults(defaults, facts.input_wh)) == len(boxes)]
            if not places:
                return None
            numbers |= {"defaults": float(places[0]), "normalized": 1.0, "corners": 0.0}
            if numbers["logits"]:
                numbers["background"] = float(FIRST)
        else:
            numbers |= {"defaults": 0.0, "normalized": float(are_shares(boxes)),
                        "corners": float(are_corners(boxes))}
        classes = scores.shape[1] - (numbers["background"] != NO_BACKGROUND)
        return HeadSpec("ssd", classes, (of_boxes, of_scores), (), numbers) if classes else None

    def decode(self, outputs: Sequence[np.ndarray], spec: HeadSpec, input_wh: tuple[int, int], lowest: float
               ) -> Candidates:
        """See ``base.Head``."""
        background = int(spec.numbers["background"])
        boxes = as_table(outputs[0], 4)
        scores = as_table(outputs[-1], spec.num_classes + (background != NO_BACKGROUND))
        if boxes is None or scores is None or len(boxes) != len(scores):
            raise misfit("SSD", outputs, input_wh)
        if background and spec.numbers["logits"]:
            index, best, classes = select_shares(scores, 0 if background == FIRST else scores.shape[1] - 1, lowest)
        else:
            columns = scores[:, 1:] if background == FIRST else scores[:, :spec.num_classes]
            index, best, classes = select_best(columns, logit(lowest) if spec.numbers["logits"] else lowest)
            best = sigmoid(best) if spec.numbers["logits"] else best
        near: np.ndarray = boxes[index]
        if spec.numbers["defaults"]:
            defaults = place_defaults(DEFAULTS[int(spec.numbers["defaults"]) - 1], input_wh)
            if len(defaults) != len(boxes):
                raise misfit("SSD", outputs, input_wh)
            near = _move(defaults[index], near)
        if spec.numbers["normalized"]:
            near = near * np.array(input_wh * 2, np.float32)
        if not spec.numbers["corners"]:
            near = corners_of(near[:, :2], near[:, 2:])
        return Candidates(near.astype(np.float32, copy=False), best, classes.astype(np.int32))


@lru_cache(maxsize=8)
def place_defaults(defaults: DefaultBoxes, input_wh: tuple[int, int]) -> np.ndarray:
    """Places default boxes.

    Args:
        defaults: What is known of them.
        input_wh: Width and height of the input.

    Returns:
        float32 [n, 4], centers and sizes in shares of the input, for reading only: level by level, row by row; of a
        cell first the square of the level's scale, then one of the mean scale of it and the next, then for each ratio
        the lying and the upright one. None (n = 0) for an input that the network does not take.
    """
    if defaults.levels and input_wh != (defaults.size, defaults.size):
        return np.zeros((0, 4), np.float32)
    levels = zip(defaults.levels, defaults.levels) if defaults.levels else level_sizes(input_wh, defaults.strides)
    # A network that runs on a larger input still shows an object of the same pixels by the same offsets.
    scaling = defaults.size / np.array(input_wh)
    found = []
    for (cols, rows), stride, scale, following, ratios in zip(
            levels, defaults.strides, defaults.scales, defaults.scales[1:], defaults.ratios):
        mean = float(np.sqrt(scale * following))
        sizes = [(scale, scale), (mean, mean)]
        for ratio in ratios:
            longer, shorter = scale * ratio ** 0.5, scale / ratio ** 0.5
            sizes += [(longer, shorter), (shorter, longer)]
        cell = (stride / input_wh[0], stride / input_wh[1]) if defaults.levels else (1 / cols, 1 / rows)
        y, x = np.mgrid[:rows, :cols]
        centers = (np.stack([x, y], axis=-1).reshape(-1, 1, 2) + 0.5) * cell
        sized = np.broadcast_to(np.clip(sizes, 0.0, 1.0) * scaling, (len(centers), len(sizes), 2))
        found.append(np.concatenate([np.broadcast_to(centers, sized.shape), sized], axis=2).reshape(-1, 4))
    placed: np.ndarray = np.concatenate(found).astype(np.float32)
    placed.flags.writeable = False
    return placed


def _move(defaults: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    centers = defaults[:, :2] + offsets[:, :2] / CENTER_WEIGHT * defaults[:, 2:]
    sizes = defaults[:, 2:] * np.exp(np.minimum(offsets[:, 2:] / SIZE_WEIGHT, MOST_GROWTH))
    moved: np.ndarray = np.concatenate([centers, sizes], axis=1)
    return moved


def _find_scores(scores: np.ndarray) -> dict[str, float]:
    """What the columns mean; see ``HeadSpec.numbers``."""
    logits = not are_scores(scores)
    background = NO_BACKGROUND
    if not logits and scores.shape[1] > 1 and np.allclose(scores.sum(axis=1), 1.0, atol=0.02):
        # Almost everything is background.
        background = FIRST if scores[:, 0].mean() >= scores[:, -1].mean() else LAST
    return {"logits": float(logits), "background": float(background)}
