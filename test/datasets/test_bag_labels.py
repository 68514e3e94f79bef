"""Labels in bags: joined with the images by stamp, in both storage formats, and which are rejected."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from bag_writer import START_NS, STEP_NS, detections, image, png, without_definitions, write_bag

from regionmask_ros.core.detections import UNTRACKED
from regionmask_ros.datasets import open_dataset, read_labels
from regionmask_ros.datasets.bag import BagTopics
from regionmask_ros.datasets.labels import ANY
from regionmask_ros.errors import UserError
from regionmask_ros.sources.bags.messages import DEFINITIONS

COUNT = 4
SIZE_WH = (48, 32)


def stamp(index: int) -> int:
    return START_NS + index * STEP_NS


def images(make=image) -> list:
    return [make(np.full((SIZE_WH[1], SIZE_WH[0], 3), 9 * i, np.uint8), stamp(i)) for i in range(COUNT)]


PERSON = ("7", "person", 1.0, 4, 6, 10, 20)
TRUTH = [
    # Not in the order of the images, and one message has no image.
    detections(stamp(1), PERSON, ("left dog", {"cat": 0.4, "dog": 0.6}, 0, 20, 10, 8, 6)),
    detections(stamp(0), PERSON, ("", ANY, 1.0, 30, 0, 18, 32)),
    detections(stamp(3)),
    detections(stamp(2) + 1, PERSON),
]


@pytest.mark.parametrize(("storage", "make"), [("mcap", image), ("sqlite3", png)])
def test_a_message_labels_the_image_with_its_stamp(tmp_path, storage, make):
    bag = write_bag(tmp_path / "street", {"/cam": images(make), "/truth": TRUTH}, storage)
    (sequence,) = open_dataset(f"bag:{bag}")
    labels = sequence.labels
    assert sequence.name == "street" and labels.classes == ("dog", "person") and sequence.inputs == (bag,)
    assert [labels.at(i).names for i in range(COUNT)] == [("person", ANY), ("person", "dog"), (ANY,), ()]
    np.testing.assert_array_equal(labels.at(1).boxes, [[4, 6, 14, 26], [20, 10, 28, 16]])
    assert labels.at(0).ignore.tolist() == [False, True] and labels.at(0).tracks[1] == UNTRACKED
    assert labels.at(0).tracks[0] == labels.at(1).tracks[0] != labels.at(1).tracks[1]
    with sequence.open() as source:
        assert [frame.pixels[0, 0, 0] for frame in source.frames()] == [9 * i for i in range(COUNT)]


def test_detections_in_an_unlabelled_image_are_ignored(tmp_path):
    bag = write_bag(tmp_path / "bag", {"/cam": images(), "/truth": TRUTH})
    wanted, ignored = read_labels(f"bag:{bag}").at(2).of_class("person")
    assert len(wanted) == 0 and ignored.tolist() == [[0, 0, *SIZE_WH]]


def test_a_bag_without_message_definitions_is_read(tmp_path):
    bag = write_bag(tmp_path / "bag", {"/cam": images(), "/truth": TRUTH}, "sqlite3")
    before = read_labels(f"bag:{bag}")
    without_definitions(bag)
    after = read_labels(f"bag:{bag}")
    assert [after.at(i).names for i in range(COUNT)] == [before.at(i).names for i in range(COUNT)]
    np.testing.assert_array_equal(after.at(0).boxes, before.at(0).boxes)


def test_the_definitions_equal_those_that_the_setup_builds():
    folder = Path(__file__).resolve().parents[2] / "bootstrap" / "vision_msgs" / "msg"
    for name, text in DEFINITIONS.items():
        lines = (folder / f"{name.rpartition('/')[2]}.msg").read_text(encoding="utf-8").splitlines()
        assert text.splitlines() == [line for line in lines if line and not line.startswith("#")]


def test_one_of_several_topics_must_be_named(tmp_path):
    other = [detections(stamp(0), ("", "bicycle", 1.0, 0, 0, 5, 5))]
    bag = write_bag(tmp_path / "bag", {"/cam": images(), "/rear": images(), "/truth": TRUTH, "/found": other})
    for topics, message in ((BagTopics("cam"), "/found, /truth: name one"), (BagTopics(), "images on several topics"),
                         (BagTopics("cam", "cam"), "no detections .* on /cam; the bag has /found .*, 1., /truth ")):
        with pytest.raises(UserError, match=message):
            open_dataset(f"bag:{bag}", topics)
    assert read_labels(f"bag:{bag}", BagTopics("cam", "found")).classes == ("bicycle",)


def test_a_rotated_box_becomes_the_upright_box_around_it(tmp_path):
    truth = [detections(stamp(0), ("", "car", 1.0, 10, 10, 20, 10, math.pi / 2))]
    labels = read_labels(f"bag:{write_bag(tmp_path / 'bag', {'/cam': images(), '/truth': truth})}")
    np.testing.assert_allclose(labels.at(0).boxes, [[15, 5, 25, 25]])


@pytest.mark.parametrize(("truth", "message"), [
    ([], "no topic with detections"),
    ([detections(5, PERSON)], "no message on /truth has the stamp of an image on /cam"),
    ([detections(stamp(0))], "no object is labeled"),
    ([detections(stamp(0), ("", "3", 1.0, 0, 0, 5, 5))], "class_id is '3', expected the name of a class"),
    ([detections(stamp(0), ("", {}, 1.0, 0, 0, 5, 5))], "class_id is ''"),
    ([detections(stamp(0), ("", "car", 1.0, 0, 0, -5, 5))], "/truth: 1 x object with a box of zero or negative size"),
    ([detections(stamp(0), ("", "car", 1.0, 0, 0, math.nan, 5))], "is not in any image"),
    ([detections(stamp(0), ("", "car", 1.0, 0, 0, 5, 5, math.inf))], "is not in any image"),
])
def test_labels_that_cannot_be_used_are_rejected_in_one_line(tmp_path, truth, message):
    topics = {"/cam": images(), **({"/truth": truth} if truth else {})}
    bag = write_bag(tmp_path / "bag", topics)
    with pytest.raises(UserError, match=message) as error:
        open_dataset(f"bag:{bag}")
    assert bag in str(error.value) and "\n" not in str(error.value)
