"""The loss of a training: the cell that decides whether an object is whole, and the terms built on it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.core.grid import coverage
from regionmask_ros.lab.training.samples import Sample

torch = pytest.importorskip("torch", reason="torch is not installed: run 'make train-setup'")

from regionmask_ros.lab.training.trainer import MARK, SPARED_SHARE, compute_loss, deciding_logits  # noqa: E402

ROWS, COLS = 6, 8


def sample(*boxes: tuple[int, int, int, int]) -> Sample:
    """Objects that cover whole cells: (column, row, column, row)."""
    covered = np.zeros((len(boxes), ROWS, COLS), np.float32)
    for one, (c0, r0, c1, r1) in zip(covered, boxes):
        one[r0:r1, c0:c1] = 1.0
    target = covered.max(axis=0, initial=0.0)
    return Sample(np.zeros((4, 4 * ROWS, 4 * COLS), np.uint8), target, np.ones_like(target), covered,
                  np.ones(len(boxes), np.float32))


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_a_threshold_below_the_deciding_logit_leaves_an_object_whole_and_one_above_cuts_it(seed, count):
    rng = np.random.default_rng(seed)
    scores = rng.permutation(ROWS * COLS).reshape(ROWS, COLS).astype(np.float32)
    low = rng.integers(0, (COLS - 2, ROWS - 2), (count, 2))
    boxes = np.concatenate([low, low + rng.integers(2, (COLS, ROWS), (count, 2))], axis=1).clip(0, (COLS, ROWS) * 2)
    one = sample(*map(tuple, boxes))
    marks = deciding_logits(torch.from_numpy(np.stack([scores] * count)), torch.from_numpy(one.covered)).numpy()
    for box, mark, covered in zip(boxes, marks, one.covered):
        # The mean of three neighbors in order lies between the cells beside the deciding one.
        inside = np.sort(scores[covered > 0])
        below, above = inside[inside < mark - 1e-3], inside[inside > mark + 1e-3]
        if len(below) > 1:
            whole = coverage(box[None], scores > below[-2], (COLS, ROWS))[0]
            assert whole >= 1.0 - SPARED_SHARE - 1e-6
        if len(above) > 2:
            cut = coverage(box[None], scores > above[1], (COLS, ROWS))[0]
            assert cut <= 1.0 - SPARED_SHARE + 1e-6


def test_a_hole_in_an_object_and_attending_everything_both_cost():
    one = sample((1, 1, 6, 5))
    good = torch.where(torch.from_numpy(one.target) > 0, MARK + 3.0, MARK - 3.0)
    holed = good.clone()
    holed[2:4, 2:5] = MARK - 3.0
    losses = [float(compute_loss(logits[None], [one])) for logits in (good, holed, torch.full_like(good, MARK + 3.0))]
    assert losses[0] < min(losses[1:]) - 0.1


def test_the_gradient_reaches_the_deciding_cells_only():
    one = sample((0, 0, 5, 2))
    logits = torch.arange(ROWS * COLS, dtype=torch.float32).reshape(1, ROWS, COLS).requires_grad_()
    deciding_logits(logits, torch.from_numpy(one.covered)).sum().backward()
    # Ten cells: the third of them reaches a share of 0.3, the second 0.2.
    np.testing.assert_array_equal(np.flatnonzero(logits.grad[0].numpy()), [0, 1, 2])


def test_samples_without_objects_have_a_loss():
    nothing = sample()
    loss = compute_loss(torch.zeros(2, ROWS, COLS), [nothing, nothing])
    assert 0.0 < float(loss) < 5.0
    both = compute_loss(torch.zeros(2, ROWS, COLS), [nothing, sample((0, 0, 3, 3))])
    assert float(both) > float(loss)
