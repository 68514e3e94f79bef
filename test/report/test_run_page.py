"""The page of a run: its summary as tables, and the figures that matter."""

from __future__ import annotations

from regionmask_ros.report.run_page import key_figures, summary_tables


def test_measured_and_counted_values_never_share_a_table():
    summary = {
        "frames": 1250, "masked_share": 0.8312, "detections": 1240, "events_per_frame": 43210.4,
        "synops_per_frame": 54_123_456.7,
        "ms": {"total": {"median": 9.8, "p90": 12.74}, "engine": {"median": 8, "p90": 9}},
        "input_size": "640x480", "network": "net", "backend": "cpu", "arithmetic": "carry", "mask": "dynamic",
        "refresh_period": 8,
    }  # fmt: skip
    settings, counted, measured = summary_tables(summary)
    assert dict(counted.rows) == {
        "frames": "1,250", "detections": "1,240", "masked share": "83.1 %", "events per frame": "43,210",
        "synops per frame": "54,123,457",
    }  # fmt: skip
    assert measured.rows == (("total", "9.80", "12.74"), ("engine", "8.00", "9.00")) and "ms" in measured.caption
    assert ("refresh frames", "every 8") in settings.rows and ("network input", "640x480") in settings.rows


def test_a_summary_without_measurements_has_no_table_for_them():
    assert [table.caption for table in summary_tables({"frames": 3, "refresh_period": 0})] == ["Settings", "Counted"]
    assert summary_tables({"refresh_period": 0})[0].rows == (("refresh frames", "first frame only"),)


SUMMARY = {"masked_share": 0.78, "detections": 1240, "frames": 250, "mask": "balanced",
           "ms": {"total": {"median": 5.4, "p90": 13.14}}}
TWIN = {"mask": "none", "found": 90, "missed": 10, "missed_share": 0.1, "extra": 3, "saved_share": 0.4215,
        "saved": "synops", "ms": {"total": {"median": 7.2}}}


def test_without_a_twin_the_figures_promise_no_saving():
    masked, found, time = key_figures(SUMMARY)
    assert (masked.value, found.value, time.value) == ("78 %", "1,240", "5.4 ms")
    assert "--against none" in masked.note
    assert "--against" not in key_figures({**SUMMARY, "mask": "none"})[0].note


def test_with_a_twin_they_are_what_masks_saved_what_they_cost_and_the_time():
    saved, missed, time = key_figures({**SUMMARY, "against": TWIN})
    assert (saved.value, missed.value, time.value) == ("42 %", "10.0 %", "5.4 ms")
    assert "counted" in saved.note and "10 of the 100 detections" in missed.note and "unmasked: 7.2 ms" in time.note
    measured, *_ = key_figures({**SUMMARY, "against": {**TWIN, "saved": "time", "saved_share": None}})
    assert measured.value == "-" and "measured" in measured.note
