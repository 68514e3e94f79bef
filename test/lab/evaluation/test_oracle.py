"""The oracle is a mask source like any other."""

from __future__ import annotations

import numpy as np

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.datasets.labels import LabelRow, Labels
from regionmask_ros.lab.evaluation.oracle import OracleSource
from regionmask_ros.mask.composer import MaskComposer
from regionmask_ros.mask.source import MaskContext

GRID, IMAGE_WH = RegionGrid(4, 6), (96, 64)
LABELS = Labels.of_rows([
    LabelRow(7, "square", 2, 2, 10, 10), LabelRow(8, "square", 82, 50, 10, 10),
    LabelRow(8, "square", 2, 50, 10, 10, ignore=True)])


def test_it_attends_the_labels_of_each_frame_in_order():
    numbers = iter((7, 8, 9))
    composer = MaskComposer(GRID, IMAGE_WH, [OracleSource(LABELS, lambda: next(numbers))])
    masks = [composer.compose(MaskContext(Detections.empty(), GRID, IMAGE_WH, t, since_refresh=t)) for t in range(3)]
    assert masks[0].refresh and np.argwhere(masks[0].sources["dynamic"]).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert np.argwhere(masks[1].keep).tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]], "an ignored label does not count"
    assert not masks[2].keep.any()


def test_it_attends_a_number_of_regions_around_the_labels():
    keep = OracleSource(LABELS, lambda: 8, regions=3).propose(MaskContext(Detections.empty(), GRID, IMAGE_WH))
    assert keep.sum() == 3 and keep[3, 5]
