"""What the contestants of a benchmark detect in a labelled sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.arithmetic import head_values
from regionmask_ros.detection.yolo import decode
from regionmask_ros.errors import UserError
from regionmask_ros.lab.bench.clip import load_clip
from regionmask_ros.lab.bench.engine import EventCandidate
from regionmask_ros.lab.bench.quality import accuracy_rows, add_accuracy, labelled, to_fixed_point

HEAD = "frame,class,x,y,w,h,ignore,track\n"


def test_a_folder_without_labels_is_told(tmp_path):
    with pytest.raises(UserError, match="gt.csv"):
        labelled(str(tmp_path))
    (tmp_path / "gt.csv").write_text(HEAD + "0,person,1,2,3,4,0,1\n")
    with pytest.raises(UserError, match="video.mp4"):
        labelled(str(tmp_path))


@given(st.lists(st.integers(-(1 << 23) + 1, (1 << 23) - 1), min_size=1))
def test_real_heads_become_the_engines_integers_again(sigma):
    head = np.array(sigma, np.int32).reshape(1, 1, -1)
    assert np.array_equal(to_fixed_point(head_values(head)), head)
    assert np.array_equal(head_values(to_fixed_point(np.array([1e9, -1e9]))), head_values(np.array([2**23 - 1, 1 - 2**23])))


def test_an_engine_is_right_about_what_it_detects_itself(tiny_network, make_clip, tmp_path):
    """Labels are written from a run; the next run must find just these, and a masked one less."""
    Path(make_clip(8, 6)).rename(tmp_path / "video.mp4")
    clip = load_clip(str(tmp_path / "video.mp4"), (160, 96), 8)
    everything = np.ones((6, 10), bool)
    engine, lines = EventCandidate(tiny_network, (160, 96), "unmasked", everything), []
    for frame, image in enumerate(clip.images):
        seen = decode(engine.step(image), tiny_network.head, clip.image_wh, 0.02, 0.45)
        for (x0, y0, x1, y1), class_id in zip(seen.boxes, seen.class_ids):
            if x1 > x0 and y1 > y0:
                lines.append(f"{frame},{tiny_network.labels[class_id]},{x0},{y0},{x1 - x0},{y1 - y0},0,0")
    (tmp_path / "gt.csv").write_text(HEAD + "\n".join(lines) + "\n")
    both = [EventCandidate(tiny_network, (160, 96), name, keep)
            for name, keep in (("unmasked", everything), ("masked60", ~everything))]
    rows = accuracy_rows(tiny_network, both, clip, labelled(str(tmp_path)), lambda frames, total: frames)
    assert rows[0]["map50"] == 100.0 and rows[0]["frames"] == 8 and 0 < rows[1]["map50"] < 90
    # Without fp32 beside it there is nothing to fall behind.
    assert [row["accuracy_note"] for row in rows] == ["fp32 not run"] * 2

    for candidate in both:
        candidate.reset()
    both[0].engine = "onnxruntime_fp32"
    again = accuracy_rows(tiny_network, both, clip, labelled(str(tmp_path)), lambda frames, total: frames)
    assert [row["map50"] for row in again] == [row["map50"] for row in rows]
    behind = 100 - again[1]["map50"]
    assert [row["accuracy_note"] for row in again] == [None, f"{behind:.1f} points below fp32"]


def test_rows_get_the_figures_of_their_engine_and_setting():
    rows = [{"engine": "event", "setting": "unmasked"}, {"engine": "event:avx2", "setting": "unmasked"}]
    add_accuracy(rows, [{"sequence": "a", "engine": "event", "setting": "unmasked", "map50": 40.0,
                         "accuracy_note": "3.0 points below fp32"}])
    assert rows[0]["map50"] == 40.0 and rows[0]["map50_on"] == "a" and "3.0" in rows[0]["accuracy_note"]
    assert rows[1]["map50"] is None and rows[1]["accuracy_note"] is None
