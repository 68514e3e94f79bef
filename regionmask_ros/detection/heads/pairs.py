"""Two outputs, one of boxes and one of the scores of all classes, with one row a box in both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .select import are_scores

LARGEST_SHARE = 1.5

BOX_WORDS = ("box", "loc", "reg")
"""One of these is in the name of most outputs of boxes."""


def as_table(output: np.ndarray, columns: int) -> np.ndarray | None:
    """Views an output as rows.

    Args:
        output: [n, columns] or [columns, n], with a batch axis of 1 or not; or [1, n, 1, columns].
        columns: Expected number.

    Returns:
        [n, columns]; None if the output has another shape.
    """
    found: np.ndarray = output
    if found.ndim == 4 and found.shape[2] == 1:
        found = found[:, :, 0]
    if found.ndim == 3 and len(found) == 1:
        found = found[0]
    if found.ndim != 2 or columns not in found.shape:
        return None
    return found if found.shape[1] == columns else found.T


def find_pair(outputs: Mapping[str, np.ndarray]) -> tuple[str, np.ndarray, str, np.ndarray] | None:
    """Finds boxes and scores.

    Args:
        outputs: Arrays by name; those that are neither are passed over.

    Returns:
        Name and [n, 4] of the boxes, and name and [n, columns] of the scores; None without such a pair.
    """
    tables = {name: table for name, output in outputs.items() if (table := as_table(output, 4)) is not None}

    def unlikeness(name: str) -> tuple[bool, bool, bool]:
        """The greatest for scores. With four classes there are two outputs of four columns."""
        # Boxes in shares of the input look like finished scores. Logits are mostly negative, which boxes are not.
        table = tables[name]
        return not any(word in name.lower() for word in BOX_WORDS), bool(table.mean() < 0), are_scores(table)

    for name in sorted(tables, key=unlikeness):
        boxes = tables[name]
        for other, output in outputs.items():
            turned = None if other == name else as_table(output, len(boxes))
            if turned is None:
                continue
            # The rows of this view are the classes, unless there are as many as boxes.
            return name, boxes, other, turned.T
    return None


def are_shares(boxes: np.ndarray) -> bool:
    """Whether float [n, 4], of a picture's run, are in shares of the input and not in its pixels."""
    # A few may reach far out of the input.
    return bool(np.abs(boxes).mean() <= LARGEST_SHARE)


def are_corners(boxes: np.ndarray) -> bool:
    """Whether float [n, 4] are x0 y0 x1 y1, and not centers and sizes, which would look like turned boxes."""
    return bool((boxes[:, 2:] >= boxes[:, :2]).all(axis=1).mean() > 0.99)
