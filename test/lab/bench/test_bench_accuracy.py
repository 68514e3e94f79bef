"""How right candidates are: mAP on a labeled sequence, and the distance of heads from the dense evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving_square import moving_square

from regionmask_ros.core.arithmetic import head_values
from regionmask_ros.datasets import open_dataset
from regionmask_ros.datasets.labels import LabelRow, Labels
from regionmask_ros.detection.yolo import decode
from regionmask_ros.errors import UserError
from regionmask_ros.lab.bench.accuracy import (
    CHECKPOINTS,
    accuracy_rows,
    add_accuracy,
    drift_rows,
    measured_accuracy_rows,
    open_labelled,
)
from regionmask_ros.lab.bench.candidates import EventCandidate, to_fixed_point
from regionmask_ros.lab.bench.clip import load_clip

HEAD = "frame,class,x,y,w,h,ignore,track\n"


def test_a_folder_without_labels_is_an_error(tmp_path):
    with pytest.raises(UserError, match="gt.csv"):
        open_labelled(str(tmp_path))
    (tmp_path / "gt.csv").write_text(HEAD + "0,person,1,2,3,4,0,1\n")
    with pytest.raises(UserError, match="video.mp4"):
        open_labelled(str(tmp_path))


@given(st.lists(st.integers(-(1 << 23) + 1, (1 << 23) - 1), min_size=1))
def test_real_heads_become_the_engines_integers_again(sigma):
    head = np.array(sigma, np.int32).reshape(1, 1, -1)
    assert np.array_equal(to_fixed_point(head_values(head)), head)
    assert np.array_equal(head_values(to_fixed_point(np.array([1e9, -1e9]))),
                          head_values(np.array([2**23 - 1, 1 - 2**23])))


def test_an_engine_is_right_about_what_it_detects_itself(tiny_network, make_clip, tmp_path):
    """Labels are written from a run; the next run must find exactly these, and a masked one fewer."""
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
    sequence, labels = open_labelled(str(tmp_path)), [tiny_network.labels] * 2
    rows = accuracy_rows(labels, both, clip, sequence, lambda frames, total: frames)
    assert rows[0]["map50"] == 100.0 and rows[0]["frames"] == 8 and 0 < rows[1]["map50"] < 90
    # Without fp32 there is nothing to compare with.
    assert [row["accuracy_note"] for row in rows] == ["fp32 not run"] * 2

    for candidate in both:
        candidate.reset()
    both[0].engine = "onnxruntime_fp32"
    again = accuracy_rows(labels, both, clip, sequence, lambda frames, total: frames)
    assert [row["map50"] for row in again] == [row["map50"] for row in rows]
    behind = 100 - again[1]["map50"]
    assert [row["accuracy_note"] for row in again] == [None, f"{behind:.1f} points below fp32"]

    # Of the measured frames alone: a label in a frame that only warms up is not missed.
    labelled = replace(sequence, labels=Labels.of_rows([
        *(LabelRow(frame, name, x0, y0, x1 - x0, y1 - y0)
          for frame, one in sequence.labels.frames.items() for (x0, y0, x1, y1), name in zip(one.boxes, one.names)),
        *(LabelRow(frame, "disc", 0, 0, 160, 4) for frame in range(5))]))
    clip = load_clip("csv:street", (160, 96), 8, labelled=labelled)
    measured = measured_accuracy_rows(labels, both, clip, 5, lambda frames, total: frames)
    assert [row["frames"] for row in measured] == [3, 3] and measured[0]["map50"] == 100.0 > measured[1]["map50"]
    assert measured_accuracy_rows(labels, both, clip, 4, lambda frames, total: frames)[0]["map50"] < 100.0


def test_labels_fit_their_images_where_others_are_dropped(tmp_path):
    """The second of six pictures is damaged, so the others are one place further to the front."""
    images = moving_square(6, (96, 64), top=10, square_wh=(30, 30), step=4, grays=(230,), noise=120)
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image.pixels)
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    lines = [f"{number},disc,{number + 1},2,30,30,0,{number}" for number in range(6)]
    (tmp_path / "gt.csv").write_text(HEAD + "\n".join([*lines, "1,square,9,9,9,9,0,7"]) + "\n")
    (sequence,) = open_dataset(f"csv:{tmp_path}")
    clip = load_clip("csv:street", (96, 64), 4, labelled=sequence)
    assert len(clip.images) == 4 and clip.path == "csv:street" and str(tmp_path) in clip.inputs
    assert [clip.labels.at(place).tracks.tolist() for place in range(6)] == [[0], [2], [3], [4], [], []]
    assert clip.labels.classes == ("disc",), "no other class is in these frames"
    assert load_clip(str(tmp_path), (96, 64), 4).labels is None, "a path has no labels, even if some lie there"


def test_without_an_object_in_the_measured_frames_there_is_no_accuracy(tiny_network, noise_clip):
    labels = Labels.of_rows([LabelRow(0, "disc", 1, 1, 9, 9)])
    clip = replace(noise_clip((64, 64), 3), labels=labels)
    candidates = [EventCandidate(tiny_network, (64, 64), "unmasked", np.ones((4, 4), bool))]
    candidates[0].engine = "onnxruntime_fp32"
    (row,) = measured_accuracy_rows([tiny_network.labels], candidates, clip, 1, lambda frames, total: frames)
    assert row["map50"] is None and row["accuracy_note"] is None and row["frames"] == 2


def test_rows_get_the_accuracy_of_their_engine_and_setting():
    rows = [{"engine": "event", "setting": "unmasked"}, {"engine": "event:avx2", "setting": "unmasked"}]
    add_accuracy(rows, [{"sequence": "a", "engine": "event", "setting": "unmasked", "map50": 40.0, "frames": 9,
                         "accuracy_note": "3.0 points below fp32"}])
    assert rows[0]["map50"] == 40.0 and rows[0]["map50_on"] == "a" and "3.0" in rows[0]["accuracy_note"]
    assert rows[0]["map50_frames"] == 9
    assert rows[1]["map50"] is None and rows[1]["accuracy_note"] is None


def test_the_head_stays_near_the_dense_one(trained, as_clip):
    """A bright square moves over noise; a head that has lost events, or low bits, would leave the dense one behind."""
    rng = np.random.default_rng(0)
    ground, images = rng.integers(60, 120, (64, 64, 3)).astype(np.uint8), []
    for x in range(0, 40, 4):
        image = ground.copy()
        image[20:40, x:x + 20] = 220
        images.append(image)
    rows = drift_rows(trained, as_clip(images), 200, np.ones((4, 4), bool), lambda frames: frames)
    assert [row["played"] for row in rows] == sorted([*range(9, 200, 18), *(n for n in CHECKPOINTS if n < 200)])
    at_end = [row["head_rms"] for row in rows if row["picture"] == 9]
    assert max(at_end) < 0.35 * rows[0]["output_rms"]
    assert max(at_end[2:]) <= 1.15 * max(at_end[:2])
