"""The page of a run: few images, spread over the run, and its summary as tables."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from regionmask_ros.report.command_pages import ImageSampler, encode_jpeg, summary_tables


def chosen(length: int, rank=lambda index: 0.0, count: int = 6) -> list[int]:
    samples = ImageSampler(count)
    image = np.zeros((8, 8, 3), np.uint8)
    for index in range(length):
        if samples.wants(index, rank(index)):
            samples.add(index, rank(index), str(index), image)
    return [int(sample.caption) for sample in samples.images()]


@pytest.mark.parametrize("length", [0, 1, 5, 6, 7, 12, 13, 100, 1000])
def test_a_run_of_any_length_gives_as_many_images_as_it_can(length):
    indices = chosen(length)
    assert len(indices) == min(6, length) and indices == sorted(set(indices))
    if length >= 12:
        assert np.diff([-1, *indices, length]).max() < length / 2


def test_periodic_frames_of_low_rank_are_avoided():
    assert all(index % 8 for index in chosen(1000, lambda index: float(index % 8 != 0)))


def test_the_best_frame_of_a_window_is_kept():
    assert 333 in chosen(1000, lambda index: float(index == 333))


def test_a_wide_image_becomes_narrower_and_keeps_its_shape():
    data = encode_jpeg(np.full((216, 3840, 3), 90, np.uint8))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (54, 960, 3) and abs(int(image.mean()) - 90) <= 1


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
