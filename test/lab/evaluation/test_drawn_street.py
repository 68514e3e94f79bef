"""Accuracy, guarded on a drawn sample: 20 labeled frames, the trained network, masks on and off."""

from __future__ import annotations

import cv2
import drawn_street
import pytest

from regionmask_ros.datasets.labels import LabelledSequence, Labels
from regionmask_ros.lab.evaluation.evaluate import evaluate_sequence
from regionmask_ros.lab.evaluation.rows import SequenceRows
from regionmask_ros.lab.evaluation.settings import parse_setting
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.sources import open_source

MASKS = {"careful": ("unmasked-tuned", 12.0), "balanced": ("unmasked-tuned", 4.0), "fast": ("unmasked-tuned", 10.0),
         "balanced:trained": ("unmasked", 4.0)}
"""What each is compared with, the run without a mask and with the same thresholds, and how many points it may lose:
with 20 frames the intervals are ten points wide. With careful, boxes of the traffic light fall just below IoU 0.5."""
NAMES = ("unmasked", "unmasked-tuned", *MASKS)


@pytest.fixture(scope="module")
def rows(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    images, labels = drawn_street.frames()
    for t, image in enumerate(images):
        cv2.imwrite(str(folder / f"{t:02d}.png"), image)
    sequence = LabelledSequence("drawn", Labels.of_rows(labels), lambda: open_source(str(folder)), (str(folder),))
    runs = evaluate_sequence(trained, sequence, [parse_setting(name) for name in NAMES], PipelineSettings(), 0.0)
    return {row["setting"]: row for row in SequenceRows(runs).rows}


def test_the_unmasked_network_finds_what_is_drawn(rows):
    row = rows["unmasked"]
    assert row["frames"] == drawn_street.FRAMES and row["input_size"] == "384x256"
    assert set(row["ap50"]) == {"clock", "stop sign", "traffic light"} and min(row["ap50"].values()) > 85.0


@pytest.mark.parametrize("name", MASKS)
def test_masks_cost_little_accuracy(rows, name):
    row, (whole, most) = rows[name], MASKS[name]
    assert row["map50"] > rows[whole]["map50"] - most, row
    assert row["masked_share"] > 0.4 and row["synops_gain"] > 1.2


def test_presets_run_with_the_tuned_thresholds(rows):
    assert [rows[n]["thresholds"] for n in NAMES] == ["trained", "tuned", "tuned", "tuned", "tuned", "trained"]
    alone = rows["unmasked-tuned"]
    # The dense network itself reaches 86, 90 and 61 on these drawings.
    assert alone["masked_share"] == 0.0 and min(alone["ap50"].values()) > 75.0
    assert alone["edp_gain_modelled"]["even"] > 1.2
    assert rows["careful"]["edp_gain_modelled"]["even"] > alone["edp_gain_modelled"]["even"]
    assert rows["fast"]["edp_gain_modelled"]["even"] > rows["balanced:trained"]["edp_gain_modelled"]["even"]
