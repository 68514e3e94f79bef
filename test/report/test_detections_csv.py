"""The table of detections, to the byte."""

from __future__ import annotations

import csv

import numpy as np

from regionmask_ros.core.detections import Detections
from regionmask_ros.report.writers import DetectionsCsv


def test_each_object_is_a_line(tmp_path):
    objects = Detections(
        np.array([[1.5, 2.25, 11.754, 22.0], [0, 0, 3, 4]], np.float32),
        np.array([0.87654, 1.0], np.float32),
        np.array([1, 0], np.int32),
    )
    with DetectionsCsv(str(tmp_path / "d.csv"), ("person", "car")) as table:
        table.add(0, 0, objects)
        table.add(1, 40_000_000, Detections.empty())
        table.add(2, 80_000_000, objects)
    assert (tmp_path / "d.csv").read_bytes() == (
        b"frame,stamp_ns,class,score,x,y,w,h\n"
        b"0,0,car,0.8765,1.50,2.25,10.25,19.75\n"
        b"0,0,person,1.0000,0.00,0.00,3.00,4.00\n"
        b"2,80000000,car,0.8765,1.50,2.25,10.25,19.75\n"
        b"2,80000000,person,1.0000,0.00,0.00,3.00,4.00\n"
    )


def test_names_with_commas_and_ids_without_a_name_are_readable(tmp_path):
    objects = Detections(np.zeros((2, 4), np.float32), np.zeros(2, np.float32), np.array([0, 9], np.int32))
    with DetectionsCsv(str(tmp_path / "d.csv"), ('car, "red"',)) as table:
        table.add(0, 0, objects)
    with open(tmp_path / "d.csv", newline="", encoding="utf-8") as file:
        assert [row["class"] for row in csv.DictReader(file)] == ['car, "red"', "9"]
