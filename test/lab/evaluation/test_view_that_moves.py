"""When the camera is panned: a static mask is wrong from then on, an adaptive one recovers."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from regionmask_ros.datasets import open_dataset
from regionmask_ros.datasets.labels import LabelledSequence, LabelRow, Labels
from regionmask_ros.datasets.moved_view import ViewShift, shift_view
from regionmask_ros.errors import UserError
from regionmask_ros.lab.evaluation.evaluate import SETTLING_FRAMES, evaluate_sequence
from regionmask_ros.lab.evaluation.page import shift_table
from regionmask_ros.lab.evaluation.rows import SequenceRows
from regionmask_ros.lab.evaluation.settings import parse_setting
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.sources import Source, open_source

COUNT, FIRST = 160, 8
MOVED = (COUNT + FIRST) // 2
BASE = PipelineSettings(score_threshold=0.2)


def rows_of(network, sequence, names, share, base) -> dict[str, dict]:
    runs = evaluate_sequence(network, sequence, [parse_setting(n) for n in names], base, share, moved_share=0.3)
    return {row["setting"]: row for row in SequenceRows(runs).rows}


@pytest.fixture(scope="module")
def walk(tmp_path_factory, tiny_network):
    """A block that walks over noise; labeled is what the unmasked network detects in the view that moves."""
    folder = tmp_path_factory.mktemp("walk")
    still = np.random.default_rng(0).integers(0, 120, (64, 125, 3)).astype(np.uint8)
    for t in range(COUNT):
        image = still.copy()
        image[10:40, t % 90:t % 90 + 30] = 230
        cv2.imwrite(str(folder / f"{t}.png"), image)
    sequence = LabelledSequence("walk", Labels.of_rows([]), lambda: open_source(str(folder)), (str(folder),))
    move, rows, pipeline = ViewShift(0.3, MOVED), [], Pipeline(tiny_network, BASE)
    with shift_view(sequence, move).open() as source:
        for t, frame in enumerate(source.frames()):
            if t == FIRST:
                pipeline.reset()
            found, (left, _) = pipeline.process(frame)[0].detections, move.span(125, t)
            for (x0, y0, x1, y1), kind in zip(found.boxes.astype(float), found.class_ids):
                rows.append(LabelRow(t, tiny_network.labels[kind], x0 + left, y0, x1 - x0, y1 - y0))
    return replace(sequence, labels=Labels.of_rows(rows))


def test_accuracy_is_given_before_and_after(tiny_network, walk):
    rows = rows_of(tiny_network, walk, ("unmasked", "adaptive@0.5"), FIRST / COUNT, BASE)
    for row in rows.values():
        figures = row["moved_view"]
        assert (figures["share"], figures["frame"], figures["settling_frames"]) == (0.3, MOVED, SETTLING_FRAMES)
        assert row["input_size"] == "96x64" and row["frames"] == COUNT - FIRST
    for span in ("before", "settling", "after"):
        unmasked, adaptive = (rows[name]["moved_view"][span] for name in ("unmasked", "adaptive@0.5"))
        assert unmasked == {"map50": 100.0, "of_unmasked": 1.0, "masked_share": 0.0}
        assert adaptive["masked_share"] == pytest.approx(0.5, abs=0.04)
        assert adaptive["of_unmasked"] == pytest.approx(adaptive["map50"] / 100.0, abs=1e-4)
        assert 0.0 < adaptive["map50"] < 100.0
    table = shift_table(list(rows.values()))
    assert f"the view moves by 30 % of its width with frame {MOVED}" in table.caption
    assert [row[0] for row in table.rows] == ["unmasked", "adaptive@0.5"]


def test_a_sequence_too_short_to_settle_is_refused(tiny_network, walk):
    with pytest.raises(UserError, match="frames after the view has moved are too few: 64 of them"):
        rows_of(tiny_network, walk, ("unmasked",), 0.5, PipelineSettings())


class _Beginning(Source):
    """The first frames of a source."""

    def __init__(self, inner: Source, count: int) -> None:
        super().__init__(inner.reading)
        self._inner, self.frame_count = inner, count
        self.name, self.fps, self.size_wh = inner.name, inner.fps, inner.size_wh

    def frames(self):
        return itertools.islice(self._inner.frames(), self.frame_count)

    def close(self) -> None:
        self._inner.close()


def test_an_adaptive_mask_recovers_within_eight_refreshes_and_a_frozen_one_does_not(trained, labelled_clip):
    (whole,) = open_dataset(f"csv:{Path(labelled_clip('pets09-s2l1')).parent}")
    sequence = replace(whole, open=lambda: _Beginning(whole.open(), 240))
    rows = rows_of(trained, sequence, ("static", "adaptive"), 0.2, PipelineSettings(max_pixels=100_000))
    frozen, adaptive = (rows[name]["moved_view"] for name in ("static", "adaptive"))
    assert frozen["before"]["of_unmasked"] > 0.75 and adaptive["before"]["of_unmasked"] > 0.9
    assert adaptive["after"]["of_unmasked"] >= 0.9 and adaptive["after"]["masked_share"] > 0.3
    assert frozen["settling"]["of_unmasked"] < 0.6 and frozen["after"]["of_unmasked"] < 0.6
