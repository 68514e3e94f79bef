"""Each label format, from a sample written by hand: what is scored, what is ignored, and what is rejected."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.datasets import open_dataset, read_labels
from regionmask_ros.datasets.labels import LabelRow, Labels
from regionmask_ros.errors import UserError

MOT16 = """1,7,11,21,30,40,1,1,0.9
2,7,13,21,30,40,1,1,0.9
2,8,1,1,10,20,1,1,0.2
2,9,50,50,30,20,0,3,1
2,10,5,5,10,20,0,8,1
2,11,5,5,10,20,0,11,1
3,7,15,21,30,40,0,1,0.9
"""

KITTI = """0 0 Car 0 0 -1.5 100.0 50.0 180.0 90.0 1.5 1.6 3.7 1 1 10 -1.6
0 1 Van 0 0 -1.5 200 50 280 90 1.5 1.6 3.7 1 1 10 -1.6
0 -1 DontCare -1 -1 -10 10 10 40 20 -1000 -1000 -1000 -10 -1 -1 -1
1 2 Pedestrian 0 1 -1.5 100 50 120 90 1.5 1.6 3.7 1 1 10 -1.6
1 3 Pedestrian 0 2 -1.5 130 50 150 90 1.5 1.6 3.7 1 1 10 -1.6
1 4 Cyclist 0 0 -1.5 160 50 180 90 1.5 1.6 3.7 1 1 10 -1.6
1 0 Car 2 0 -1.5 0 50 60 90 1.5 1.6 3.7 1 1 10 -1.6
"""

CSV = """frame,class,x,y,w,h,ignore,track
0,person,10,20,30,40,0,3
0,any,0,0,50,5,1,-1
2,car,5,5,10,10,0,4
2,person,11,20,30,40,1,3
"""

def write_images(folder, names, size_wh=(64, 48)):
    folder.mkdir(parents=True, exist_ok=True)
    for shade, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((size_wh[1], size_wh[0], 3), 40 * shade, np.uint8))


@pytest.fixture
def mot(tmp_path):
    folder = tmp_path / "MOT16-99"
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text(MOT16)
    write_images(folder / "img1", ["000001.jpg", "000002.jpg", "000003.jpg"])
    return folder


@pytest.fixture
def kitti(tmp_path):
    root = tmp_path / "training"
    (root / "label_02").mkdir(parents=True)
    for name in ("0003", "0017"):
        (root / "label_02" / f"{name}.txt").write_text(KITTI)
        write_images(root / "image_02" / name, ["000000.png", "000001.png"])
    return root


def frame_count(sequence) -> int:
    with sequence.open() as source:
        return sum(1 for _ in source.frames())


def test_a_mot_folder_is_one_sequence(mot):
    (sequence,) = open_dataset(f"mot:{mot}")
    labels = sequence.labels
    assert sequence.name == "MOT16-99" and frame_count(sequence) == 3 and labels.last_frame == 2
    assert labels.counted_class == {"car": ("car", "truck", "bus"), "person": ("person",)}
    found, ignored = labels.at(0).of_class("person")
    assert found.tolist() == [[10, 20, 40, 60]] and len(ignored) == 0, "MOT counts frames and pixels from 1"
    found, ignored = labels.at(1).of_class("person")
    assert found.tolist() == [[12, 20, 42, 60]]
    assert ignored.tolist() == [[0, 0, 10, 20], [4, 4, 14, 24]], "hardly visible; a distractor; no occluder"
    assert labels.at(1).of_class("car")[0].tolist() == [[49, 49, 79, 69]], "the flag applies to pedestrians only"
    assert len(labels.at(2).of_class("person")[1]) == 1 and labels.at(1).tracks.tolist() == [7, 8, 9, 10]


@pytest.mark.parametrize("separator", [",", ", ", ";", "\t", " "])
def test_mot_lines_have_any_separator_and_maybe_names_of_columns(mot, separator):
    text = MOT16.replace(",", separator)
    expected = read_labels(f"mot:{mot}")
    for head in ("", "frame,id,x,y,w,h,flag,class,visible\n".replace(",", separator)):
        (mot / "gt" / "gt.txt").write_text(head + text)
        labels = read_labels(f"mot:{mot}")
        assert labels.counted_class == expected.counted_class
        assert all((labels.at(frame).boxes == expected.at(frame).boxes).all() for frame in range(3))
    (sequence,) = open_dataset(f"mot:{mot}/gt/gt.txt")
    assert sequence.name == "MOT16-99" and frame_count(sequence) == 3


def test_kitti_detection_data_are_named(tmp_path):
    (tmp_path / "label_2").mkdir()
    with pytest.raises(UserError, match="label_2 is of KITTI's detection data, which are no sequences: take the track"):
        open_dataset(f"kitti:{tmp_path}")


def test_every_object_of_mot15_is_a_person(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text("1,1,399,182,121,229,1,-1,-1,-1\n1,2,282,201,92,184,0,-1,-1,-1\n")
    labels = read_labels(f"mot:{path}")
    found, ignored = labels.at(0).of_class("person")
    assert found.tolist() == [[398, 181, 519, 410]] and len(ignored) == 1


def test_a_kitti_folder_is_one_sequence_per_label_file(kitti):
    both = open_dataset(f"kitti:{kitti}")
    assert [sequence.name for sequence in both] == ["0003", "0017"]
    (one,) = open_dataset(f"kitti:{kitti / 'image_02' / '0017'}")
    assert one.name == "0017" and frame_count(one) == 2
    assert open_dataset(f"kitti:{kitti / 'label_02' / '0017.txt'}")[0].name == "0017"
    labels = one.labels
    assert labels.counted_class == {"car": ("car", "truck", "bus"), "person": ("person",)}
    found, ignored = labels.at(0).of_class("car")
    assert found.tolist() == [[100, 50, 180, 90]]
    assert ignored.tolist() == [[200, 50, 280, 90], [10, 10, 40, 20]], "a van, and a region of any class"
    found, ignored = labels.at(1).of_class("person")
    assert found.tolist() == [[100, 50, 120, 90]] and len(ignored) == 2, "largely occluded; a cyclist"
    assert len(labels.at(1).of_class("car")[1]) == 1, "strongly truncated"


def test_a_csv_folder_is_one_sequence(tmp_path):
    folder = tmp_path / "street"
    write_images(folder, ["0.png", "1.png", "2.png"])
    (folder / "gt.csv").write_text(CSV)
    (sequence,) = open_dataset(f"csv:{folder}/")
    assert sequence.name == "street" and frame_count(sequence) == 3
    labels = sequence.labels
    found, ignored = labels.at(0).of_class("person")
    assert found.tolist() == [[10, 20, 40, 60]] and ignored.tolist() == [[0, 0, 50, 5]]
    assert labels.at(0).of_class("car")[1].tolist() == [[0, 0, 50, 5]], "regions of any class are ignored"
    assert len(labels.at(1).names) == 0 and labels.classes == ("car", "person")
    assert read_labels(f"csv:{folder}").at(2).tracks.tolist() == [4, 3]


def test_csv_columns_ignore_and_track_are_optional(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("class,frame,x,y,w,h\ncar,1,2,3,4,5\n")
    labels = read_labels(f"csv:{path}")
    assert labels.at(1).of_class("car")[0].tolist() == [[2, 3, 6, 8]] and labels.at(1).tracks.tolist() == [-1]


def test_a_scored_truck_does_not_count_as_a_car():
    rows = [LabelRow(0, "car", 0, 0, 9, 9), LabelRow(0, "truck", 20, 0, 9, 9)]
    assert Labels.of_rows(rows).counted_class == {"car": ("car", "bus"), "truck": ("truck",)}


@pytest.mark.parametrize("kind, content, message", [
    ("csv", "frame,class,x,y,w\n", "line 1: no column h"),
    ("csv", "frame,class,x,y,w,h\n0,car,1,2,3\n", "line 2: too few values"),
    ("csv", "frame,class,x,y,w,h\n0,car,1,2,3,nan\n", "line 2: a box of"),
    ("csv", "frame,class,x,y,w,h\n-1,car,1,2,3,4\n", "line 2: frame -1"),
    ("csv", "frame,class,x,y,w,h\n0,,1,2,3,4\n", "line 2: no class"),
    ("csv", "frame,class,x,y,w,h,ignore\n0,car,1,2,3,4,yes\n", "ignore is 'yes'"),
    ("csv", "frame,class,x,y,w,h,track\n0,car,1,2,3,4,5\n0,car,1,2,3,4,99999999999999999999\n", "line 3: track 9"),
    ("mot", f"1,{'9' * 400},3,4,5,6,1,1,1\n", "line 1:"),
    ("kitti", f"0 {2**63} Car 0 0 0 1 2 3 4\n", "line 1: track 9223372036854775808 has more than 63 bits"),
    ("csv", "\n\n", "empty table"),
    ("mot", "1,2,3\n", "line 1:"),
    ("mot", "1,2,3,4,5,6,1,99,1\n", "class 99"),
    ("mot", "1,1,3,4,5,6,1,1,1\n0,2,3,4,5,6,1,1,1\n", "line 2: frame 0, but MOTChallenge counts frames from 1"),
    ("mot", "1000001,2,3,4,5,6,1,1,1\n", "line 1: frame 1000001 is not between 1 and 1000000"),
    ("mot", "1,2,3,4,wide,6,1,1,1\n", "line 1: 'wide' is not a number"),
    ("kitti", "1000000 2 Car 0 0 0 1 2 3 4\n", "line 1: frame 1000000 is not between 0 and 999999"),
    ("kitti", "0 0 Dragon 0 0 0 1 2 3 4\n", "type 'Dragon'"),
    ("kitti", "zero 0 Car 0 0 0 1 2 3 4\n", "line 1: 'zero' is not a number"),
    ("coco", "{]", "not a COCO JSON file"),
    ("coco", "{}", "not a COCO JSON file: no 'images'"),
    ("coco", "[]", "its content is not an object"),
    ("coco", '[{"data": {}, "annotations": []}]', "Label Studio's own JSON, not COCO"),
    ("coco", '{"images": 3}', "'images' is not a list"),
    ("coco", '{"images": []}', "no image in it"),
    ("coco", '{"images": [{}]}', "no image in it .*1 x image without id or file_name: image 0"),
    ("coco", '[{"image_id": 1, "category_id": 1, "score": 0.5}]', "a list of results, which has no names of images"),
    ("coco", '{"shapes": [], "imagePath": "a.jpg"}', "LabelMe's own JSON of one image, not COCO: export or convert"),
    ("coco", '{"a": {"filename": "a.jpg", "regions": []}}', "VGG Image Annotator"),
    ("coco", '[{"image": "a.jpg", "annotations": []}]', "CreateML's JSON"),
    ("coco", '{"images": [' + "9" * 5000 + "]}", "a number in it has thousands of digits"),
    ("coco", "0 0.5 0.5 0.1 0.1", "labels of YOLO, Pascal VOC and other formats that are no JSON"),
    ("coco", "[" * 100_000, "nested too deeply"),
])
def test_a_damaged_file_is_rejected_with_file_and_line(tmp_path, kind, content, message):
    path = tmp_path / "labels.txt"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_labels(f"{kind}:{path}")
    assert "labels.txt" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("spec, message", [
    ("zip:x", "write KIND:PATH"), ("csv", "write KIND:PATH"), ("csv:", "write KIND:PATH"),
    ("csv:/nowhere", "no such file"), ("mot:/nowhere", "no such file"), ("kitti:/nowhere", "cannot be read"),
    ("coco:/nowhere.json", "no such file"),
])
def test_a_wrong_kind_or_path_is_rejected(spec, message):
    with pytest.raises(UserError, match=message):
        open_dataset(spec)


def test_labels_without_images_or_without_objects_are_rejected(tmp_path):
    (tmp_path / "gt.csv").write_text(CSV)
    with pytest.raises(UserError, match="video.mp4: no such file"):
        open_dataset(f"csv:{tmp_path}")
    write_images(tmp_path, ["0.png"])
    (tmp_path / "gt.csv").write_text("frame,class,x,y,w,h,ignore\n0,car,1,2,3,4,1\n")
    with pytest.raises(UserError, match="no object is labeled"):
        open_dataset(f"csv:{tmp_path}")


def test_objects_without_a_size_are_left_out_and_counted(mot, kitti):
    (mot / "gt" / "gt.txt").write_text(MOT16 + "3,8,1,1,-5,6,1,1,1\n3,9,1,1,0,6,1,1,1\n")
    (sequence,) = open_dataset(f"mot:{mot}")
    assert len(sequence.labels.at(2).names) == 1
    (note,) = sequence.notes
    assert note == f"{mot / 'gt' / 'gt.txt'}: 2 x object with a box of zero or negative size, left out: line 8, line 9"
    file = kitti / "label_02" / "0003.txt"
    file.write_text(KITTI + "1 9 Car 0 0 0 60 50 40 90\n")
    assert "0003.txt: 1 x object with a box of zero or negative size, left out: line 8" in read_labels(
        f"kitti:{file}").notes[0]


def test_a_missing_mot_image_does_not_shift_the_frames_after_it(mot):
    (mot / "img1" / "000002.jpg").unlink()
    (sequence,) = open_dataset(f"mot:{mot}")
    assert frame_count(sequence) == 2
    assert sequence.labels.at(1).tracks.tolist() == [7] and sequence.labels.at(1).boxes[0, 0] == 14, "frame 3"
    assert sequence.missing == (f"{mot / 'gt' / 'gt.txt'}: frame 2",)


def test_a_missing_kitti_image_is_named_by_its_number_in_the_file(kitti):
    (kitti / "image_02" / "0003" / "000000.png").unlink()
    sequence = open_dataset(f"kitti:{kitti}")[0]
    assert sequence.missing == (f"{kitti / 'label_02' / '0003.txt'}: frame 0",)
    assert sequence.labels.at(0).names == ("person", "person", "person", "car")


def test_the_images_of_a_part_of_a_sequence_may_be_numbered_from_elsewhere(mot):
    for number in (1, 2, 3):
        (mot / "img1" / f"{number:06}.jpg").rename(mot / "img1" / f"MOT16-99-{number + 300:06}.jpg")
    (sequence,) = open_dataset(f"mot:{mot}")
    assert not sequence.missing and sequence.labels.last_frame == 2


def test_images_of_another_sequence_are_rejected(mot):
    (mot / "gt" / "gt.txt").write_text("901,7,11,21,30,40,1,1,0.9\n")
    with pytest.raises(UserError, match="none of its 1 labeled frames is there, such as frame 901"):
        open_dataset(f"mot:{mot}")


@given(st.sampled_from(["csv", "mot", "kitti", "coco"]), st.text(alphabet="0123456789,.- \n{}[]\":aCr", max_size=60))
def test_any_content_gives_labels_or_a_one_line_error(tmp_path_factory, kind, content):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_text(content)
    try:
        assert read_labels(f"{kind}:{path}").last_frame >= -1
    except UserError as error:
        assert str(error).isprintable()
