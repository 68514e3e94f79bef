"""Settings of a dense network on a sequence whose labels are what it detects itself: unmasked must be perfect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.datasets.labels import LabelledSequence, LabelRow, Labels
from regionmask_ros.lab.evaluation.evaluate import evaluate_sequence
from regionmask_ros.lab.evaluation.page import comparison_table, sequence_table
from regionmask_ros.lab.evaluation.rows import SequenceRows, summarize
from regionmask_ros.lab.evaluation.settings import parse_setting
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.sources import open_source

for package in ("onnx", *RUNTIMES):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_networks import block_network  # noqa: E402
from tile_networks import with_tiles  # noqa: E402

FRAMES, SHARE, FIRST = 24, 0.25, 6
BASE = PipelineSettings(backend="auto", score_threshold=0.3, backend_options={"cache": "none"})
NAMES = ("unmasked", "careful", "balanced", "fast", "skip2", "skip3", "skip4", "skip8", "static", "adaptive",
         "tracking", "oracle")


@pytest.fixture(scope="module")
def network():
    return block_network()


@pytest.fixture(scope="module")
def sequence(make_walk, network) -> LabelledSequence:
    """Blocks over noise, one of which moves; labeled is what the unmasked network detects."""
    path, rows, pipeline = make_walk(FRAMES, 0), [], Pipeline(network, BASE)
    with open_source(path) as source:
        for t, frame in enumerate(source.frames()):
            found = pipeline.process(frame)[0].detections
            for box, kind in zip(found.boxes, found.class_ids):
                rows.append(LabelRow(t, network.labels[kind], *box[:2], *(box[2:] - box[:2])))
    pipeline.close()
    assert len(rows) >= FRAMES
    return LabelledSequence("walk", Labels.of_rows(rows), lambda: open_source(path), (path,))


@pytest.fixture(scope="module")
def one(network, sequence) -> SequenceRows:
    return SequenceRows(evaluate_sequence(network, sequence, [parse_setting(name) for name in NAMES], BASE, SHARE))


@pytest.fixture(scope="module")
def rows(one) -> dict[str, dict]:
    return {row["setting"]: row for row in one.rows}


def test_unmasked_finds_what_it_finds(rows):
    row = rows["unmasked"]
    assert row["map50"] == 100.0 and row["map50_drop"] == 0.0 and row["masked_share"] == 0.0
    assert row["cpu_gain"] == 1.0 and row["cpu_p95_ratio"] == 1.0, "it is the baseline itself"


def test_what_needs_events_is_null(rows, one):
    nothing = {"rows_low": None, "rows_high": None, "even": None}
    for row in rows.values():
        assert (row["network"], row["backend"], row["input_size"]) == ("blocks", "openvino", "192x128")
        for name in ("encoder_events_per_frame", "synops_per_frame", "synops_gain", "mac_share", "arithmetic",
                     "thresholds"):
            assert row[name] is None
        assert row["edp_gain_modelled"] == nothing and 0 < row["cpu_ms_median"] <= row["cpu_ms_p95"]
    for row in summarize([one]):
        assert row["synops_gain"] is None and row["edp_gain_modelled"] == nothing
    table = sequence_table(one.rows)
    assert all(row[table.columns.index("synops gain")] == row[table.columns.index("even")] == "-" for row in table.rows)
    assert comparison_table(summarize([one])).rows[0][:3] == ("blocks", "openvino", "unmasked")


def test_the_tile_engine_counts_its_share_of_macs_in_every_setting(network, sequence):
    with sequence.open() as source:
        image = np.ascontiguousarray(next(source.frames()).bgr()[..., ::-1])
    names = ("unmasked", "fast", "tracking", "skip8")
    one = SequenceRows(evaluate_sequence(with_tiles(network, [image]), sequence, [*map(parse_setting, names)],
                                         replace(BASE, backend="cpu", backend_options={}), SHARE))
    shares = {row["setting"]: row["mac_share"] for row in one.rows}
    assert 0.0 < shares["skip8"] < shares["fast"] < shares["tracking"] <= shares["unmasked"] < 1.0
    assert all(row["synops_per_frame"] is None and row["backend"] == "cpu" for row in one.rows)
    summary = summarize([one, one])
    assert {row["setting"]: row["mac_share"] for row in summary} == shares
    for table in (sequence_table(one.rows), comparison_table(summary)):
        place = table.columns.index("MACs")
        assert table.groups[place] == "counted" and table.rows[1][place] == f"{shares['fast']:.1%}"


def test_masks_mask_what_they_say(rows):
    # 17 frames count, the first one does not.
    assert rows["skip2"]["masked_share"] == pytest.approx(9 / 17, abs=1e-4)
    assert rows["skip8"]["masked_share"] == pytest.approx(15 / 17, abs=1e-4)
    for name in NAMES[1:]:
        assert 0 < rows[name]["masked_share"] < 1, name


def test_objects_are_held_in_frames_that_run_nothing(rows):
    """The block moves by 4 pixels a frame: where it stays, or is lost, three of eight frames are right at most."""
    for name in ("skip2", "skip3", "skip4", "skip8", "careful", "balanced", "fast"):
        assert rows[name]["map50"] > 80.0, name


def test_masks_that_follow_boxes_see_what_was_held(rows):
    for name in ("static", "adaptive", "tracking", "oracle"):
        assert rows[name]["map50"] > 60.0, name


def test_settings_that_need_thresholds_mean_nothing_here(network, trained_settings=("unmasked-tuned", "skip2:trained")):
    for name in trained_settings:
        assert not parse_setting(name).suits(network)
    assert all(parse_setting(name).suits(network) for name in NAMES)
