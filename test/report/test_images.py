"""Images for the page of a run: few of them, spread over the run, and small."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from regionmask_ros.report.images import ImageSampler, encode_jpeg


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
