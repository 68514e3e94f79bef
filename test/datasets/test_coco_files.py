"""COCO files as COCO and labeling tools write them: where images are, how ids and boxes look, what is left out."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.commands import evaluate
from regionmask_ros.commands._datasets import open_datasets
from regionmask_ros.commands._pictures import report_dropped
from regionmask_ros.datasets import open_dataset, read_labels
from regionmask_ros.datasets.image_places import ImagePlaces
from regionmask_ros.errors import UserError
from regionmask_ros.sources import Reading

CATEGORIES = [{"id": 1, "name": "person"}, {"id": 8, "name": "truck"}, {"id": 3, "name": "car"}]
BOX = [1, 2, 3, 4]


def pixels(shade: int) -> np.ndarray:
    return np.full((24, 32, 3), shade, np.uint8)


def write_images(folder: Path, *names: str) -> None:
    """Images whose shade is ten times their place in the list."""
    for place, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(cv2.imencode(".png", pixels(10 * place))[1].tobytes())


def write_coco(file: Path, images, annotations, categories=CATEGORIES) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return f"coco:{file}"


def entry(name: str, number: int = 0, **more) -> dict:
    return {"id": number, "file_name": name, **more}


def annotation(image=0, **more) -> dict:
    return {"image_id": image, "category_id": 1, "bbox": BOX, **more}


def shades(sequence) -> list[int]:
    """Which images are read, in order."""
    with sequence.open() as source:
        return [int(frame.pixels[0, 0, 0]) // 10 for frame in source.frames()]


def open_one(spec: str, images: str = ""):
    (sequence,) = open_dataset(spec, images=images)
    return sequence


def test_a_file_without_videos_is_one_sequence(tmp_path):
    write_images(tmp_path / "images", "a.png", "b.png")
    spec = write_coco(tmp_path / "labels.json", [entry("b.png", 12), entry("a.png", 10)], [
        annotation(10, track_id=5), annotation(12, bbox=[10, 20, 30, 40], iscrowd=1), annotation(12, category_id=3)])
    sequence = open_one(spec)
    assert sequence.name == "labels" and shades(sequence) == [0, 1] and not sequence.missing
    assert sequence.labels.counted_class == {"car": ("car",), "person": ("person",)}, "COCO's classes are not merged"
    assert sequence.labels.at(0).of_class("person")[0].tolist() == [[1, 2, 4, 6]]
    assert sequence.labels.at(1).of_class("person")[1].tolist() == [[10, 20, 40, 60]], "a crowd is ignored"
    assert read_labels(f"coco:{tmp_path}").at(0).tracks.tolist() == [5]


def test_each_video_is_a_sequence(tmp_path):
    write_images(tmp_path, "a.png", "b.png")
    spec = write_coco(tmp_path / "l.json", [entry("b.png", 1, video_id=12), entry("a.png", 2, video_id="10")],
                      [annotation(1), annotation(2)])
    assert [sequence.name for sequence in open_dataset(spec)] == ["l-12", "l-10"]
    with pytest.raises(UserError, match="2 videos in it"):
        read_labels(spec)


@pytest.mark.parametrize(("file", "image", "name"), [
    ("l.json", "a.png", "a.png"),
    ("l.json", "images/a.png", "a.png"),
    ("l.json", "data/a.png", "a.png"),
    ("annotations/instances_val2017.json", "val2017/a.png", "a.png"),
    ("annotations/instances_val2017.json", "images/val2017/a.png", "a.png"),
    ("annotations/instances_default.json", "images/a.png", "a.png"),
    ("annotations/instances_night_1.json", "images/night_1/a.png", "a.png"),
    ("result.json", "images/a.png", "images\\a.png"),
    ("result.json", "images/7 a.png", "/data/upload/3/1f3a9c0d-7%20a.png"),
    ("result.json", "images/1f3a9c0d-a.png", "../../media/upload/3/1f3a9c0d-a.png"),
    ("result.json", "images/job/7 a.png", "/data/local-files/?d=job%2F7%20a.png"),
    ("result.json", "images/a.png", "https://example.org/set/a.png?sign=1"),
    ("result.json", "images/7%20a.png", "7 a.png"),
    ("train/_annotations.coco.json", "train/a_png.rf.0123456789abcdef0123456789abcdef.jpg",
     "a_png.rf.0123456789abcdef0123456789abcdef.jpg"),
    ("train/_annotations.coco.json", "train/a.png", "a_png.rf.0123456789abcdef0123456789abcdef.jpg"),
    ("labels.json", "data/a.png", "/mnt/ann/fiftyone/set/a.png"),
    ("labels.json", "data/a.png", "C:\\Users\\Ann\\set\\a.png"),
    ("labels.json", "data/ä ж.png", "ä ж.png"),
    ("labels.json", "data/50%.png", "50%.png"),
])
def test_an_image_is_found_where_tools_put_it(tmp_path, file, image, name):
    write_images(tmp_path, image)
    assert shades(open_one(write_coco(tmp_path / file, [entry(name)], [annotation()]))) == [0]


def test_a_root_replaces_that_of_absolute_paths(tmp_path):
    write_images(tmp_path / "copy", "day/1.png", "night/1.png")
    spec = write_coco(tmp_path / "l.json", [entry("D:\\set\\night\\1.png", 1), entry("/mnt/ann/set/day/1.png", 2)],
                      [annotation(1), annotation(2)])
    assert sorted(shades(open_one(spec, str(tmp_path / "copy")))) == [0, 1]
    with pytest.raises(UserError, match=r"none of its 2 images is there, such as .*1.png.*give their folder with "
                                        "--images DIR"):
        open_dataset(spec)
    with pytest.raises(UserError, match="--images .*nowhere: no such folder"):
        open_dataset(spec, images=str(tmp_path / "nowhere"))


def test_two_images_are_never_read_from_one_file(tmp_path):
    write_images(tmp_path / "images", "1.png")
    spec = write_coco(tmp_path / "l.json", [entry("/a/day/1.png", 1), entry("/a/night/1.png", 2)], [annotation(1)])
    with pytest.raises(UserError, match="'/a/day/1.png' and '/a/night/1.png' are both found as .*images/1.png"):
        open_dataset(spec)


def test_no_name_leads_out_of_the_folder(tmp_path):
    write_images(tmp_path, "secret.png", "set/other.png")
    places = ImagePlaces(str(tmp_path / "set" / "l.json"))
    for name in ("../secret.png", str(tmp_path / "secret.png"), "..\\secret.png", "%2e%2e/secret.png",
                 f"file://{tmp_path}/secret.png", "", ".", "..", "/", "\0", "x" * 5000, "http://[", "http://a/?d=%00"):
        assert places.find(name) is None


@pytest.mark.parametrize("ids", [["0", "1", "2"], [0.0, 1.0, 2.0], ["0.0", "1.0", "2.0"], ["b", "a", "c"], [-1, 7, 3]])
def test_ids_of_any_type_leave_the_order_to_the_names(tmp_path, ids):
    names = ["10.png", "9.png", "100.png"]
    write_images(tmp_path, "9.png", "10.png", "100.png")
    spec = write_coco(tmp_path / "l.json", [entry(*pair) for pair in zip(names, ids)], [annotation(ids[1], bbox=BOX)])
    sequence = open_one(spec)
    assert shades(sequence) == [0, 1, 2] and list(sequence.labels.frames) == [0]


def test_what_tools_add_to_names_does_not_change_the_order(tmp_path):
    names = ["ff3a9c0d-frame_2.png", "003a9c0d-frame_10.png"]
    write_images(tmp_path, *names)
    assert shades(open_one(write_coco(tmp_path / "l.json", [entry(names[1], 1), entry(names[0], 2)], [annotation(1)]
                                      ))) == [0, 1]


def test_frame_numbers_come_before_names(tmp_path):
    write_images(tmp_path, "b.png", "a.png")
    images = [entry("a.png", 1, frame_id="10"), entry("b.png", 2, frame_id=9)]
    assert shades(open_one(write_coco(tmp_path / "l.json", images, [annotation(1)]))) == [0, 1]


@pytest.mark.parametrize(("bad", "reason"), [
    ({"bbox": None}, "annotation without a box (no bbox), left out"),
    ({"bbox": []}, "annotation without a box (no bbox), left out"),
    ({"bbox": None, "segmentation": {"counts": "04"}}, "annotation without a box (a segmentation as RLE), left out"),
    ({"bbox": [1, 2, 0, 4]}, "annotation with a box of zero or negative size, left out"),
    ({"bbox": [1, 2, 3, -4]}, "annotation with a box of zero or negative size, left out"),
    ({"bbox": [1, 2, 3]}, "annotation with a box that is not four numbers, left out"),
    ({"bbox": [1, 2, 3, None]}, "annotation with a box that is not four numbers, left out"),
    ({"bbox": [1, 2, 3, 1e999]}, "impossible annotation, left out"),
    ({"track_id": 10**30}, "impossible annotation, left out"),
    ({"category_id": 77}, "annotation of a category that is not in the file, left out"),
    ({"image_id": "none"}, "annotation of an image that is not in the file, left out"),
    ({"iscrowd": 1}, "crowd or object to be ignored, not scored"),
])
def test_an_annotation_that_cannot_be_used_is_left_out_and_named(tmp_path, bad, reason):
    write_images(tmp_path, "a.png")
    spec = write_coco(tmp_path / "l.json", [entry("a.png")], [
        annotation(id=7), {**annotation(id="x"), **bad}, *[{**annotation(), **bad}] * 4])
    (note,) = open_one(spec).notes
    assert note.startswith(f"{tmp_path / 'l.json'}: 5 x {reason}: annotation 1 (id x)") and note.endswith("and 2 more")
    assert read_labels(spec).notes == (note,) and "\n" not in note


@pytest.mark.parametrize("name", ["a\ud800.png", "x/" * 1900 + "%41.png", "a\0.png", "..", "/", ""])
def test_an_image_of_an_impossible_name_is_missing(tmp_path, name):
    write_images(tmp_path, "1.png")
    (sequence,) = open_dataset(write_coco(tmp_path / "l.json", [entry("1.png", 0), entry(name, 1)], [annotation()]))
    assert shades(sequence) == [0] and len(sequence.missing) + len(sequence.notes) == 1


def test_an_image_that_is_missing_is_left_out_and_named(tmp_path):
    write_images(tmp_path / "images", "1.png", "3.png")
    images = [entry(f"{number}.png", number) for number in (1, 2, 3)]
    sequence = open_one(write_coco(tmp_path / "l.json", images, [annotation(3), annotation(2), annotation(2)]))
    assert sequence.missing == (f"{tmp_path / 'l.json'}: '2.png' (image 1)",) and not sequence.notes
    assert shades(sequence) == [0, 1] and list(sequence.labels.frames) == [1], "the frames after it are renumbered"


def test_an_entry_of_images_that_cannot_be_used_is_left_out(tmp_path):
    write_images(tmp_path, "a.png")
    images = [entry("a.png", 1), {"id": 2}, {"file_name": "b.png"}, entry("c.png", 1.0), None, entry("", 5)]
    notes = open_one(write_coco(tmp_path / "l.json", images, [annotation(1)])).notes
    assert [note.partition(": ")[2] for note in notes] == [
        "4 x image without id or file_name: image 1, image 2, image 4 and 1 more",
        "1 x image with the id of another one: image 3 (id 1)"]


@pytest.mark.parametrize("name", ["attributes", ""])
def test_tracks_are_numbers_or_texts_also_in_the_attributes_of_cvat(tmp_path, name):
    def tracked(track):
        return annotation(**({name: {"track_id": track}} if name else {"instance_id": track}))

    tracks = (4, "4", "left", "right", "left", None)
    spec = write_coco(tmp_path / "l.json", [entry("a.png")], list(map(tracked, tracks)))
    tracks = read_labels(spec).at(0).tracks.tolist()
    assert tracks[:2] == [4, 4] and tracks[2] == tracks[4] != tracks[3] and tracks[5] == -1


def test_when_nothing_can_be_scored_the_reason_is_said(tmp_path):
    write_images(tmp_path, "a.png")
    spec = write_coco(tmp_path / "l.json", [entry("a.png")], [annotation(id=3, bbox=None)])
    with pytest.raises(UserError, match=r"no object is labeled that could be scored \(.*annotation 0 \(id 3\)\)"):
        open_dataset(spec)


@pytest.mark.parametrize(("strict", "status"), [(False, 0), (True, 3)])
def test_a_missing_image_counts_as_a_dropped_one(tmp_path, capsys, strict, status):
    write_images(tmp_path, "1.png")
    spec = write_coco(tmp_path / "l.json", [entry("1.png", 1), entry("2.png", 2)], [annotation(1)])
    reading = Reading()
    open_datasets([spec], reading=reading)
    assert report_dropped(reading, Namespace(strict=strict)) == status
    assert f"dropped 1 picture (1 missing): {tmp_path / 'l.json'}: '2.png' (image 1)" in capsys.readouterr().err


def test_images_are_for_coco_only(capsys):
    assert evaluate.main(["--dataset", "csv:street", "--images", "x"]) == 2
    assert "--images: only for data sets coco:FILE" in capsys.readouterr().err


LAYOUTS = [("l.json", ""), ("l.json", "images"), ("l.json", "data"), ("annotations/instances_val.json", "val"),
           ("annotations/l.json", "images")]
ROOTS = ["", "images/", "/mnt/ann/", "C:/job/", "https://host/set/"]
ID_TYPES = [int, float, str, "id-{}".format]
BOXES = [BOX, [0.5, -2, 3, 4], None, [], [1, 2, 0, 1], [1, 2, -3, 4], [1, 2], ["1", "2", "3", "4"]]
IS_BOX = [True, True, False, False, False, False, False, True]


@given(st.sampled_from(LAYOUTS), st.sampled_from(ROOTS), st.booleans(), st.sampled_from(ID_TYPES),
       st.lists(st.integers(0, 10**6), min_size=1, max_size=6, unique=True),
       st.lists(st.tuples(st.integers(0, 5), st.integers(0, len(BOXES) - 1)), max_size=12))
@settings(max_examples=60)
def test_any_mixture_of_layout_names_ids_and_boxes_gives_the_same_labels(
        tmp_path_factory, layout, root, windows, id_type, numbers, boxes):
    folder = tmp_path_factory.mktemp("set")
    written = [f"{root}{number}.png" for number in numbers]
    images = [entry(name.replace("/", "\\") if windows and "http" not in root else name, id_type(place))
              for place, name in enumerate(written)]
    marked = [annotation(id_type(place), bbox=BOXES[kind]) for place, kind in boxes]
    in_order = sorted(range(len(numbers)), key=numbers.__getitem__)
    write_images(folder / layout[1], *(f"{numbers[place]}.png" for place in in_order))
    spec = write_coco(folder / layout[0], images, [annotation(id_type(0)), *marked])
    sequence = open_one(spec)
    expected = [1 if place == 0 else 0 for place in in_order]
    for place, kind in boxes:
        if place < len(numbers):
            expected[in_order.index(place)] += IS_BOX[kind]
    assert [len(sequence.labels.at(frame).names) for frame in range(len(numbers))] == expected
    assert not sequence.missing and shades(sequence) == list(range(len(numbers)))
    assert bool(sequence.notes) == any(place >= len(numbers) or not IS_BOX[kind] for place, kind in boxes)


VALUES = st.sampled_from([None, True, 0, -1, 10**400, 1.5, float("nan"), float("inf"), "", "0", "9" * 5000, "\n", [],
                          [1], [None] * 4, [float("nan")] * 4, ["x"] * 4, {}, {"track_id": [1]}, {"track_id": "\n"}])


@given(st.dictionaries(st.sampled_from(["id", "file_name", "video_id", "frame_id"]), VALUES),
       st.dictionaries(st.sampled_from(["id", "image_id", "category_id", "bbox", "iscrowd", "track_id", "attributes"]),
                       VALUES))
@settings(max_examples=60)
def test_any_entries_give_labels_or_one_line(tmp_path_factory, image, marked):
    file = tmp_path_factory.getbasetemp() / "any_coco.json"
    spec = write_coco(file, [entry("a.png"), image], [annotation(), marked])
    try:
        labels = read_labels(spec)
        assert labels.at(0).boxes.shape[1] == 4 and all(len(note.splitlines()) == 1 for note in labels.notes)
    except UserError as error:
        assert str(error).isprintable() and "any_coco.json" in str(error)


@pytest.mark.parametrize(("written", "stored"), [
    ("A.JPG", "a.jpg"), ("a.jpeg", "a.png"), ("a", "a.png"), ("\u00e9.png", "e\u0301.png"),
    ("x/\u00c9.JPG", "\u00e9.jpg")])
def test_names_that_differ_in_case_ending_or_accents_are_found(tmp_path, written, stored):
    write_images(tmp_path, stored, "other.png")
    spec = write_coco(tmp_path / "result.json", [entry(written)], [annotation()])
    assert shades(open_one(spec)) == [0]


def test_a_name_that_could_be_two_files_is_missing(tmp_path):
    write_images(tmp_path, "a.png", "a.jpg", "b.png")
    spec = write_coco(tmp_path / "result.json", [entry("a"), entry("b.png", 1)], [annotation(1)])
    assert len(open_one(spec).missing) == 1


def test_a_category_without_a_name_is_left_out_and_one_may_be_a_number(tmp_path):
    write_images(tmp_path, "a.png")
    spec = write_coco(tmp_path / "result.json", [entry("a.png")], [annotation(), annotation(category_id=2)],
                      [{"id": 1, "name": 7}, {"id": 2}])
    sequence = open_one(spec)
    assert sequence.labels.classes == ("7",)
    assert "1 x category without id or name: category 1" in sequence.notes[0]
