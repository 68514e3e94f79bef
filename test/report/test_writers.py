"""The files of a run: detections as CSV, raw heads."""

from __future__ import annotations

import csv
import os
from dataclasses import replace

import numpy as np
import pytest
from made_detections import detections_of

from regionmask_ros.core.detections import UNTRACKED, Detections
from regionmask_ros.report.writers import DetectionsCsv, HeadDump


def test_each_object_is_a_line(tmp_path):
    objects = detections_of([1.5, 2.25, 11.754, 22.0], [0, 0, 3, 4], scores=(0.87654, 1.0), class_ids=(1, 0))
    with DetectionsCsv(str(tmp_path / "d.csv"), ("person", "car")) as table:
        table.add(0, 0, objects)
        table.add(1, 40_000_000, Detections.empty())
        table.add(2, 80_000_000, replace(objects, track_ids=np.array([12, UNTRACKED])))
    assert (tmp_path / "d.csv").read_bytes() == (
        b"frame,stamp_ns,class,score,x,y,w,h,track\n"
        b"0,0,car,0.8765,1.50,2.25,10.25,19.75,\n"
        b"0,0,person,1.0000,0.00,0.00,3.00,4.00,\n"
        b"2,80000000,car,0.8765,1.50,2.25,10.25,19.75,12\n"
        b"2,80000000,person,1.0000,0.00,0.00,3.00,4.00,\n"
    )


def test_names_with_commas_and_ids_without_a_name_are_readable(tmp_path):
    objects = detections_of([0] * 4, [0] * 4, class_ids=(0, 9))
    with DetectionsCsv(str(tmp_path / "d.csv"), ('car, "red"',)) as table:
        table.add(0, 0, objects)
    with open(tmp_path / "d.csv", newline="", encoding="utf-8") as file:
        assert [row["class"] for row in csv.DictReader(file)] == ['car, "red"', "9"]


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
def test_arrays_that_do_not_match_are_errors(tmp_path, head, masked):
    with HeadDump(str(tmp_path / "head.npz")) as dump:
        dump.add(np.zeros((2, 3, 4), np.int32), np.zeros((2, 2), bool))
        with pytest.raises(ValueError, match="expected"):
            dump.add(head, masked)
