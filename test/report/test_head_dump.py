"""Raw heads come back from the archive exactly."""

from __future__ import annotations

import os

import numpy as np
import pytest

from regionmask_ros.report.writers import HeadDump


@pytest.mark.parametrize("frames", [1, 7])
def test_heads_and_masks_come_back_without_pickle(tmp_path, frames):
    rng = np.random.default_rng(0)
    heads = rng.integers(-(2**31), 2**31 - 1, (frames, 3, 5, 18), np.int32)
    masks = rng.random((frames, 6, 10)) < 0.5
    with HeadDump(str(tmp_path / "head.npz")) as dump:
        for head, masked in zip(heads, masks):
            dump.add(head, masked)
        assert os.listdir(tmp_path) == []
    with np.load(tmp_path / "head.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["head", "masked"]
        assert archive["head"].dtype == np.int32 and archive["masked"].dtype == np.bool_
        assert np.array_equal(archive["head"], heads) and np.array_equal(archive["masked"], masks)


def test_arrays_in_any_memory_order_are_written_in_theirs(tmp_path):
    head = np.arange(24, dtype=np.int32).reshape(4, 3, 2).T
    with HeadDump(str(tmp_path / "head.npz")) as dump:
        dump.add(head, np.eye(2, 3, dtype=bool).T)
    with np.load(tmp_path / "head.npz") as archive:
        assert np.array_equal(archive["head"][0], head) and np.array_equal(archive["masked"][0], np.eye(3, 2))


def test_no_frame_gives_empty_arrays(tmp_path):
    HeadDump(str(tmp_path / "head.npz")).close()
    with np.load(tmp_path / "head.npz") as archive:
        assert archive["head"].shape == (0, 0, 0, 0) and archive["masked"].shape == (0, 0, 0)


def test_an_error_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), HeadDump(str(tmp_path / "head.npz")) as dump:
        dump.add(np.zeros((1, 1, 1), np.int32), np.zeros((1, 1), bool))
        raise RuntimeError
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "head, masked",
    [
        (np.zeros((2, 3, 5), np.int32), np.zeros((2, 2), bool)),
        (np.zeros((2, 3, 4), np.int64), np.zeros((2, 2), bool)),
        (np.zeros((2, 3, 4), np.int32), np.zeros((2, 2), np.uint8)),
    ],
    ids=["another shape", "another type", "another type of mask"],
)
def test_what_does_not_match_is_refused(tmp_path, head, masked):
    with HeadDump(str(tmp_path / "head.npz")) as dump:
        dump.add(np.zeros((2, 3, 4), np.int32), np.zeros((2, 2), bool))
        with pytest.raises(ValueError, match="expected"):
            dump.add(head, masked)
