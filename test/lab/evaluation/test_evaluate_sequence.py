"""Settings on a sequence whose labels are what the small random network itself detects: unmasked must be perfect."""

from __future__ import annotations

import pytest

from regionmask_ros.backends import BACKENDS
from regionmask_ros.backends.cpu import CpuBackend
from regionmask_ros.datasets.labels import LabelledSequence, LabelRow, Labels
from regionmask_ros.errors import UserError
from regionmask_ros.lab.evaluation.evaluate import evaluate_sequence
from regionmask_ros.lab.evaluation.rows import SequenceRows, summarize
from regionmask_ros.lab.evaluation.settings import parse_setting
from regionmask_ros.network.thresholds import bundled_thresholds
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.sources import open_source

FRAMES, SHARE, FIRST = 30, 0.3, 9
BASE = PipelineSettings(score_threshold=0.2)


@pytest.fixture(scope="module")
def walk(make_walk) -> str:
    return make_walk(FRAMES)


@pytest.fixture(scope="module")
def detected(tiny_network, walk):
    """The unmasked detections of each frame, from a run that starts with the first scored frame."""
    rows = []
    with open_source(walk) as source:
        frames = list(source.frames())
    for begin, end in ((0, FIRST), (FIRST, FRAMES)):
        pipeline = Pipeline(tiny_network, BASE)
        for t in range(begin, end):
            (result,) = pipeline.process(frames[t])
            for track, (box, kind) in enumerate(zip(result.detections.boxes, result.detections.class_ids)):
                corner, size = box[:2], box[2:] - box[:2]
                rows.append(LabelRow(t, tiny_network.labels[kind], *corner, *size, track=track))
    assert len(rows) > FRAMES
    return rows


def rows_of(network, walk, labels, names, share=SHARE, base=BASE):
    sequence = LabelledSequence("walk", Labels.of_rows(labels), lambda: open_source(walk), (walk,))
    runs = evaluate_sequence(network, sequence, [parse_setting(name) for name in names], base, share)
    one = SequenceRows(runs)
    return {row["setting"]: row for row in one.rows}, one


NAMES = ("unmasked", "static", "static@0.5", "static-labels", "adaptive", "adaptive@0.5", "tracking", "tracking@0.6",
         "mgnet", "mgnet@0.6", "static+mgnet@0.6", "oracle", "skip2", "skip3", "skip8", "unmasked:trained")


@pytest.fixture(scope="module")
def rows(tiny_network, walk, detected):
    return rows_of(tiny_network, walk, detected, NAMES)


def test_unmasked_finds_what_it_finds(rows):
    table, _ = rows
    for name in ("unmasked", "unmasked:trained"):
        row = table[name]
        # Weak detections beside the labeled ones come after them and cost nothing.
        assert row["map50"] == 100.0 and row["map50_ci90"] == [100.0, 100.0] and row["map50_drop"] == 0.0
        assert row["masked_share"] == 0.0 and row["synops_gain"] == 1.0
        assert row["frames"] == FRAMES - FIRST and row["first_frame"] == FIRST and row["input_size"] == "192x128"


def test_masks_mask_what_they_say(rows):
    table, _ = rows
    # 20 frames count, of which 2 are refresh frames.
    assert table["skip2"]["masked_share"] == 0.5 and table["skip3"]["masked_share"] == pytest.approx(14 / 20)
    assert table["skip8"]["masked_share"] == pytest.approx(18 / 20)
    kept = round(96 * (1 - 0.5 * 8 / 7))
    assert table["static@0.5"]["masked_share"] == pytest.approx(18 / 20 * (1 - kept / 96), 1e-3)
    assert table["adaptive@0.5"]["masked_share"] == table["static@0.5"]["masked_share"]
    assert table["tracking@0.6"]["masked_share"] == pytest.approx(18 / 20 * 0.6 * 8 / 7, abs=0.01)
    for name in ("mgnet@0.6", "static+mgnet@0.6"):
        assert table[name]["masked_share"] == pytest.approx(18 / 20 * 0.6 * 8 / 7, abs=0.1), "held in the mean"
    for name in NAMES[1:-1]:
        row = table[name]
        assert row["synops_gain"] >= 1.0 and 0 < row["masked_share"] < 1
        assert 0 < row["cpu_ms_median"] <= row["cpu_ms_p95"] and 0 < row["cpu_ms_mean"] and row["cpu_p95_ratio"] > 0
        assert row["encoder_events_per_frame"] <= table["unmasked"]["encoder_events_per_frame"]
        assert row["map50_drop"] == pytest.approx(100 - row["map50"], abs=0.011)
        assert row["edp_gain_modelled"] == {"rows_low": None, "rows_high": None, "even": None}, "no allocation known"
        assert row["edp_modelled_js"] is None


def test_equal_runs_give_equal_figures(tiny_network, walk, detected, rows):
    again, _ = rows_of(tiny_network, walk, detected, ("tracking", "static"))
    for name, row in again.items():
        for key in ("map50", "map50_ci90", "synops_per_frame", "masked_share"):
            assert row[key] == rows[0][name][key], "a setting does not depend on the others beside it"


def test_nothing_is_learned_from_the_scored_part(tiny_network, walk, detected, rows):
    elsewhere = [row for row in detected if row.frame < FIRST]
    elsewhere += [LabelRow(t, "disc", 150, 90, 30, 30) for t in range(FIRST, FRAMES)]
    changed, _ = rows_of(tiny_network, walk, elsewhere, ("static", "static-labels", "adaptive", "tracking"))
    for name, row in changed.items():
        for key in ("masked_share", "synops_per_frame", "encoder_events_per_frame"):
            assert row[key] == rows[0][name][key]
        assert row["map50"] < 50


def test_labels_of_the_first_part_teach_static_labels_alone(tiny_network, walk, detected, rows):
    taught = [row for row in detected if row.frame >= FIRST]
    taught += [LabelRow(t, "disc", 150, 90, 30, 30) for t in range(FIRST)]
    changed, _ = rows_of(tiny_network, walk, taught, ("unmasked", "static", "static-labels", "tracking"))
    for name in ("unmasked", "static", "tracking"):
        assert changed[name]["synops_per_frame"] == rows[0][name]["synops_per_frame"]
        assert changed[name]["map50"] == rows[0][name]["map50"]
    # One still box of 30x30 pixels touches 3x3 of the 96 regions.
    assert changed["static-labels"]["masked_share"] == pytest.approx(18 / 20 * (1 - 9 / 96), abs=0.002)


def test_delays_are_counted_from_the_unmasked_run(tiny_network, walk, detected):
    # A track that is labeled where the network sees nothing cannot be found: it does not count.
    nowhere = [LabelRow(t, "disc", 150, 90, 30, 30, track=99) for t in range(20, 25)]
    table, _ = rows_of(tiny_network, walk, detected + nowhere, ("unmasked", "skip3"))
    assert table["unmasked"]["new_object_delay_frames"]["median"] in (0.0, None)
    assert table["skip3"]["new_object_delay_frames"]["tracks"] == table["unmasked"]["new_object_delay_frames"]["tracks"]


def test_the_summary_pools_sequences(tiny_network, walk, detected, rows):
    _, one = rows
    summary = {entry["setting"]: entry for entry in summarize([one, one])}
    assert summary["unmasked"]["map50_drop_mean"] == 0.0 and summary["skip2"]["sequences"] == 2
    assert summary["skip2"]["synops_gain"] == pytest.approx(rows[0]["skip2"]["synops_gain"], rel=1e-3)
    assert summary["skip2"]["cpu_ms_p95"] == rows[0]["skip2"]["cpu_ms_p95"] and summary["skip2"]["backend"] == "cpu"
    low, high = summary["skip2"]["map50_drop_ci90"]
    assert low <= summary["skip2"]["map50_drop_mean"] + 1 and summary["skip2"]["map50_drop_worst"] <= high + 1


def test_a_backend_whose_results_come_late_is_refused(tiny_network, walk, detected, monkeypatch):
    class Late(CpuBackend):
        """The real one, which keeps what it has computed until it is drained, as one with a longer pipeline."""

        def poll(self, timeout_s):
            return None

    monkeypatch.setitem(BACKENDS, "cpu", Late)
    with pytest.raises(UserError, match="backend cpu: its results come some frames late"):
        rows_of(tiny_network, walk, detected, ("unmasked",))


def test_the_suffix_brings_back_carry(tiny_network, walk, detected):
    base = PipelineSettings(score_threshold=0.2, arithmetic="lava")
    table, _ = rows_of(tiny_network, walk, detected, ("unmasked", "unmasked:trained"), base=base)
    assert table["unmasked"]["arithmetic"] == "lava" and table["unmasked:trained"]["arithmetic"] == "carry"
    assert table["unmasked:trained"]["synops_gain"] == 1.0


def test_sequences_that_cannot_be_split(tiny_network, walk, detected):
    with pytest.raises(UserError, match="static, adaptive must learn first"):
        rows_of(tiny_network, walk, detected, ("static", "adaptive", "tracking"), share=0.0)
    with pytest.raises(UserError, match="too few"):
        rows_of(tiny_network, walk, detected, ("unmasked",), share=0.99)
    with pytest.raises(UserError, match="'unicorn' is labeled"):
        rows_of(tiny_network, walk, [LabelRow(20, "unicorn", 1, 1, 9, 9)], ("unmasked",))


@pytest.mark.parametrize("name, said", [
    ("magic", "unknown; use unmasked"), ("skip2@0.5", "no masked share"), ("static@x", "a number from 0"),
    ("static@1", "a number from 0"), ("tracking@0.9", "out of reach"), ("unmasked@0.5", "no masked share"),
    ("", "unknown"),
])
def test_an_invalid_setting_is_refused(name, said):
    with pytest.raises(UserError, match=said):
        parse_setting(name)


def test_names_of_settings_are_read():
    one = parse_setting("static@0.6:trained")
    assert (one.name, one.share, one.trained) == ("static@0.6:trained", 0.6, True)
    plain, asked = PipelineSettings(backend="cpu"), PipelineSettings(backend="cpu", arithmetic="lava")
    assert one.settings(asked, True).arithmetic == "carry" and parse_setting("static").settings(asked, True) is asked
    tuned = parse_setting("fast").settings(plain, True)
    assert (tuned.thresholds, tuned.arithmetic) == ("tuned", bundled_thresholds().arithmetic)
    assert parse_setting("fast").settings(plain, False).thresholds == "trained"
    snap = PipelineSettings(backend="cpu", arithmetic="snap")
    assert parse_setting("tracking").settings(snap, True).arithmetic == "snap"
    assert parse_setting("tracking").share is None
