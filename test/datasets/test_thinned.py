"""A sequence of which every N-th frame is left: frames, labels and rate belong together."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from regionmask_ros.datasets.labels import LabelledSequence, LabelRow, Labels
from regionmask_ros.datasets.thinned import ThinnedSource, thin_out
from regionmask_ros.sources import open_source

FRAMES = 10


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    """Frame t is of gray value 10 t, and its label begins at column t. A dog is in frame 1 alone."""
    folder = tmp_path_factory.mktemp("images")
    for t in range(FRAMES):
        cv2.imwrite(str(folder / f"{t}.png"), np.full((32, 32, 3), 10 * t, np.uint8))
    rows = [LabelRow(t, "person", t, 0, 9, 9, track=7) for t in range(FRAMES)]
    return LabelledSequence("gray", Labels.of_rows([*rows, LabelRow(1, "dog", 0, 0, 9, 9)]),
                            lambda: open_source(str(folder)), (str(folder),))


@pytest.mark.parametrize("every", [2, 3, 9, 40])
def test_frames_labels_and_rate_belong_together(sequence, every):
    thinned = thin_out(sequence, every)
    with sequence.open() as whole, thinned.open() as source:
        frames, stamps = list(source.frames()), [frame.stamp_ns for frame in whole.frames()]
        assert source.fps == whole.fps / every and source.size_wh == whole.size_wh
        assert source.frame_count == len(frames) == len(range(0, FRAMES, every))
    for number, frame in enumerate(frames):
        assert frame.pixels[0, 0, 0] == 10 * every * number and frame.stamp_ns == stamps[every * number]
        assert thinned.labels.at(number).boxes[0, 0] == every * number
    assert thinned.labels.last_frame == len(frames) - 1 and thinned.labels.classes == ("dog", "person")


def test_every_frame_is_the_sequence_itself(sequence):
    assert thin_out(sequence, 1) is sequence


def test_a_dropped_image_keeps_its_number(tmp_path):
    for t in range(6):
        cv2.imwrite(str(tmp_path / f"{t}.png"), np.full((32, 32, 3), 10 * t, np.uint8))
    (tmp_path / "2.png").write_bytes(b"")
    with ThinnedSource(open_source(str(tmp_path)), 2) as source:
        assert [(number, frame.pixels[0, 0, 0]) for number, frame in source.numbered()] == [(0, 0), (2, 40)]
