"""Average precision with boxes that are ignored, and labels from a file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.bench.accuracy import Labels, mean_average_precision, read_labels
from regionmask_ros.bench.accuracy_run import accuracy_rows, add_accuracy, fixed_head, labelled_video
from regionmask_ros.bench.clip import load_clip
from regionmask_ros.bench.event_engine import EventContestant
from regionmask_ros.detection.detections import Detections
from regionmask_ros.detection.yolo import decode
from regionmask_ros.engine.arithmetic import head_values
from regionmask_ros.errors import UserError

NAMES = ("person", "car", "truck", "dog")
HEAD = "frame,class,x,y,w,h,ignore,track\n"


def labels(*rows: tuple) -> Labels:
    """rows: (frame, name, x0, y0, x1, y1, ignore)."""
    frame, names, *sides, ignore = zip(*rows)
    return Labels(np.array(frame), np.array(sides, float).T, np.array(ignore, bool), np.array(names))


def found(*rows: tuple) -> Detections:
    """rows: (name, x0, y0, x1, y1, score), best first."""
    if not rows:
        return Detections.empty()
    names, *sides, scores = zip(*rows)
    ids = np.array([NAMES.index(name) for name in names], np.int32)
    return Detections(np.array(sides, np.float32).T.copy(), np.array(scores, np.float32), ids)


def score(detections: list[Detections], wanted: Labels) -> float:
    return mean_average_precision(detections, NAMES, wanted)


PERSON = (0, "person", 0, 0, 10, 20, 0)


@pytest.mark.parametrize("detections, expected", [
    ([found(("person", 0, 0, 10, 20, 0.9))], 1.0),
    ([found(("person", 0, 0, 10, 10, 0.9))], 1.0),  # half of it: IoU exactly 0.5
    ([found(("person", 0, 0, 10, 9.9, 0.9))], 0.0),
    ([found()], 0.0),
    ([found(("dog", 0, 0, 10, 20, 0.9))], 0.0),
    ([found(("person", 50, 0, 60, 20, 0.9), ("person", 0, 0, 10, 20, 0.8))], 0.5),
    ([found(("person", 0, 0, 10, 20, 0.9), ("person", 0, 0, 10, 20, 0.8))], 1.0),
    ([found(("dog", 50, 0, 60, 20, 0.9), ("person", 0, 0, 10, 20, 0.8))], 1.0),
])
def test_one_person(detections, expected):
    assert score(detections, labels(PERSON)) == pytest.approx(expected)


def test_second_best_box_of_a_pair_gets_the_other_label():
    wanted = labels(PERSON, (0, "person", 4, 0, 14, 20, 0))
    assert score([found(("person", 1, 0, 11, 20, 0.9), ("person", 3, 0, 13, 20, 0.8))], wanted) == 1.0


def test_half_of_the_objects_gives_half_of_the_recalls():
    wanted = labels(PERSON, (1, "person", 0, 0, 10, 20, 0))
    # 51 of the 101 recalls, 0 to 0.5, are reached.
    assert score([found(("person", 0, 0, 10, 20, 0.9)), found()], wanted) == pytest.approx(51 / 101)


def test_detections_of_all_frames_compete():
    wanted = labels(PERSON, (1, "person", 0, 0, 10, 20, 0))
    right, wrong = ("person", 0, 0, 10, 20, 0.5), ("person", 90, 0, 99, 20, 0.9)
    one = score([found(wrong, right), found(right)], wanted)
    assert one == pytest.approx(2 / 3)
    assert score([found(right, ("person", 90, 0, 99, 20, 0.1)), found(right)], wanted) == 1.0


def test_ignored_boxes_are_neither_missed_nor_wrong():
    wanted = labels(PERSON, (0, "person", 30, 0, 60, 30, 1), (0, "any", 70, 0, 90, 90, 1))
    lying_on = [("person", 40, 5, 45, 10, 0.9), ("person", 60, 0, 80, 9, 0.85)]
    assert score([found(*lying_on, ("person", 0, 0, 10, 20, 0.8))], wanted) == 1.0
    beside = ("person", 61, 0, 69, 9, 0.9)
    assert score([found(beside, ("person", 0, 0, 10, 20, 0.8))], wanted) == 0.5
    # A label that counts is found even where it lies in an ignored region.
    inside = labels((0, "any", 0, 0, 99, 99, 1), PERSON)
    assert score([found(("person", 0, 0, 10, 20, 0.9))], inside) == 1.0


def test_trucks_are_cars_and_classes_are_averaged():
    wanted = labels(PERSON, (0, "car", 50, 0, 80, 20, 0), (0, "dog", 0, 50, 10, 60, 1))
    assert wanted.scored == ["car", "person"]
    truck = ("truck", 50, 0, 80, 20, 0.9)
    assert score([found(truck)], wanted) == 0.5
    assert score([found(truck, ("person", 0, 0, 10, 20, 0.8))], wanted) == 1.0


@given(st.data())
def test_the_labels_themselves_score_one(data):
    boxes = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8), st.integers(0, 8)), min_size=1,
                               max_size=12, unique=True))
    wanted = labels(*((frame, "person", 12 * x, 12 * y, 12 * x + 10, 12 * y + 10, 0) for frame, x, y in boxes))
    frames = [[box for box in boxes if box[0] == frame] for frame in range(4)]
    seen = [found(*(("person", 12 * x, 12 * y, 12 * x + 10, 12 * y + 10, 0.5) for _, x, y in frame))
            for frame in frames]
    assert score(seen, wanted) == pytest.approx(1.0)


def test_labels_from_a_file(tmp_path):
    file = tmp_path / "gt.csv"
    file.write_text(HEAD + "0,person,1,2,3,4.5,0,7\n3,any,0,0,9,9,1,\n")
    read = read_labels(file)
    assert read.frame.tolist() == [0, 3] and read.ignore.tolist() == [False, True]
    assert read.boxes.tolist() == [[1, 2, 4, 6.5], [0, 0, 9, 9]] and read.scored == ["person"]


@pytest.mark.parametrize("content, words", [
    ("frame,class,x,y,w,h\n", ("ignore",)),
    ("", ("frame",)),
    (HEAD, ("no box",)),
    (HEAD + "0,any,1,1,1,1,1,0\n", ("no box",)),
    (HEAD + "0,person,1,2,3,4,0,1\n0,person,1,2,x,4,0,1\n", ("line 3",)),
    (HEAD + "0,person,1,2\n", ("line 2",)),
    (HEAD + "0,person,1,2,0,4,0,1\n", ("line 2",)),
    (HEAD + "0,person,nan,2,3,4,0,1\n", ("line 2",)),
    (HEAD + "0.5,person,1,2,3,4,0,1\n", ("line 2",)),
    (HEAD + "0,person,1,2,3,4,2,1\n", ("line 2",)),
])
def test_a_bad_file_is_one_line(content, words, tmp_path):
    (tmp_path / "gt.csv").write_text(content)
    with pytest.raises(UserError) as error:
        read_labels(tmp_path / "gt.csv")
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_labels_or_one_line(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("labels") / "gt.csv"
    file.write_bytes(HEAD.encode() + content)
    try:
        assert len(read_labels(file).boxes) > 0
    except UserError as error:
        assert "\n" not in str(error)


def test_a_folder_without_labels_is_told(tmp_path, make_clip):
    with pytest.raises(UserError, match="video.mp4"):
        labelled_video(str(tmp_path))
    (tmp_path / "video.mp4").write_bytes(b"")
    with pytest.raises(UserError, match="gt.csv"):
        labelled_video(str(tmp_path))


@given(st.lists(st.integers(-(1 << 23) + 1, (1 << 23) - 1), min_size=1))
def test_real_heads_become_the_engines_integers_again(sigma):
    head = np.array(sigma, np.int32).reshape(1, 1, -1)
    assert np.array_equal(fixed_head(head_values(head)), head)
    assert np.array_equal(head_values(fixed_head(np.array([1e9, -1e9]))), head_values(np.array([2**23 - 1, 1 - 2**23])))


def test_an_engine_is_right_about_what_it_detects_itself(tiny_network, make_clip, tmp_path):
    """Labels are written from a run; the next run must find just these, and a masked one less."""
    clip = load_clip(make_clip(8, 6), (160, 96), 8)
    everything = np.ones((6, 10), bool)
    engine, lines = EventContestant(tiny_network, (160, 96), "unmasked", everything), []
    for frame, image in enumerate(clip.images):
        seen = decode(engine.step(image), tiny_network.head, clip.picture_wh, 0.02, 0.45)
        for (x0, y0, x1, y1), class_id in zip(seen.boxes, seen.class_ids):
            if x1 > x0 and y1 > y0:
                lines.append(f"{frame},{tiny_network.labels[class_id]},{x0},{y0},{x1 - x0},{y1 - y0},0,0")
    (tmp_path / "gt.csv").write_text(HEAD + "\n".join(lines) + "\n")
    both = [EventContestant(tiny_network, (160, 96), name, keep)
            for name, keep in (("unmasked", everything), ("masked60", ~everything))]
    rows = accuracy_rows(tiny_network, both, clip, str(tmp_path), lambda frames, total: frames)
    assert rows[0]["map50"] == 100.0 and rows[0]["frames"] == 8 and 0 < rows[1]["map50"] < 90
    # Without fp32 beside it there is nothing to fall behind.
    assert [row["accuracy_note"] for row in rows] == ["fp32 not run"] * 2

    for contestant in both:
        contestant.reset()
    both[0].engine = "onnxruntime_fp32"
    again = accuracy_rows(tiny_network, both, clip, str(tmp_path), lambda frames, total: frames)
    assert [row["map50"] for row in again] == [row["map50"] for row in rows]
    behind = 100 - again[1]["map50"]
    assert [row["accuracy_note"] for row in again] == [None, f"{behind:.1f} points below fp32"]


def test_rows_get_the_figures_of_their_engine_and_setting():
    rows = [{"engine": "event", "setting": "unmasked"}, {"engine": "event:avx2", "setting": "unmasked"}]
    add_accuracy(rows, [{"sequence": "a", "engine": "event", "setting": "unmasked", "map50": 40.0,
                         "accuracy_note": "3.0 points below fp32"}])
    assert rows[0]["map50"] == 40.0 and rows[0]["map50_on"] == "a" and "3.0" in rows[0]["accuracy_note"]
    assert rows[1]["map50"] is None and rows[1]["accuracy_note"] is None
