"""Accuracy of the network of the package, guarded on a drawn sample: 20 labeled frames, masks on and off."""

from __future__ import annotations

import cv2
import drawn_walkers
import pytest

from regionmask_ros.datasets.labels import LabelledSequence, Labels
from regionmask_ros.importing.opening import open_network
from regionmask_ros.lab.evaluation.evaluate import evaluate_sequence
from regionmask_ros.lab.evaluation.rows import SequenceRows
from regionmask_ros.lab.evaluation.settings import parse_setting
from regionmask_ros.network.names import DEFAULT
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.sources import open_source
from regionmask_ros.tiles.compiled import list_kernel_sets

pytestmark = pytest.mark.skipif(not list_kernel_sets(), reason="no compiled kernels: install g++ and run 'make setup'")
NAMES = ("unmasked", "careful", "balanced")
LEAST, MOST_LOST = 80.0, 12.0
"""Points of AP at IoU 0.5. With 20 frames the intervals are ten points wide."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("walkers")
    images, labels = drawn_walkers.frames()
    for t, image in enumerate(images):
        cv2.imwrite(str(folder / f"{t:02d}.png"), image)
    sequence = LabelledSequence("walkers", Labels.of_rows(labels), lambda: open_source(str(folder)), (str(folder),))
    runs = evaluate_sequence(open_network(DEFAULT), sequence, [parse_setting(name) for name in NAMES],
                             PipelineSettings(backend="cpu"), 0.0)
    return {row["setting"]: row for row in SequenceRows(runs).rows}


def test_street_finds_drawn_walkers(rows):
    assert rows["unmasked"]["frames"] == drawn_walkers.FRAMES and rows["unmasked"]["ap50"]["person"] > LEAST


@pytest.mark.parametrize("name", NAMES[1:])
def test_presets_cost_little_accuracy_and_save_work(rows, name):
    row = rows[name]
    assert row["map50"] > rows["unmasked"]["map50"] - MOST_LOST and row["mac_share"] < 0.7
