"""What users read when no head fits."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.core.look import Look, LookOutput
from regionmask_ros.detection.heads import HEADS, decode_looks, find_head
from regionmask_ros.detection.heads.finding import check_head
from regionmask_ros.errors import UserError
from regionmask_ros.network.dense import GraphFacts, HeadSpec

FACTS = GraphFacts({}, {}, (320, 256))


def test_outputs_of_no_known_head_are_named_with_their_shapes():
    outputs = {"mask": np.zeros((1, 7, 9), np.float32), "other": np.zeros(3, np.float32)}
    with pytest.raises(UserError, match=r"\(mask \[1, 7, 9\], other \[3\], at an input of 320x256\) fit no known head"):
        find_head(outputs, FACTS)


@pytest.mark.parametrize("family", HEADS)
def test_a_wanted_head_that_does_not_fit_is_refused(family):
    with pytest.raises(UserError, match=f"are not of a {family} head; try --head auto"):
        find_head({"mask": np.zeros((1, 7, 9), np.float32)}, FACTS, family)


def test_an_unknown_head_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="head 'yolo': unknown; choose from auto, "):
        find_head({}, FACTS, "yolo")


@pytest.mark.parametrize("family", [family for family, head in HEADS.items() if head.numbers])
def test_a_stored_head_without_its_numbers_is_refused(family):
    names = HEADS[family].numbers
    check_head(HeadSpec(family, 1, ("out",), (), dict.fromkeys(names, 1.0)))
    with pytest.raises(UserError, match=f"head {family}: without {', '.join(names)}"):
        check_head(HeadSpec(family, 1, ("out",)))


def test_a_stored_head_of_no_known_family_is_refused():
    with pytest.raises(UserError, match="head 'yolov99': unknown to this version"):
        check_head(HeadSpec("yolov99", 1, ("out",)))


def test_impossible_numbers_of_a_stored_head_are_one_error():
    spec = HeadSpec("ssd", 1, ("boxes", "scores"), (), dict.fromkeys(HEADS["ssd"].numbers, 1.0) | {"defaults": 9.0})
    outputs = np.zeros((1, 4, 4), np.float32), np.zeros((1, 4, 2), np.float32)
    with pytest.raises(ValueError, match="ssd: tuple index out of range"):
        decode_looks([LookOutput(Look((0.0, 0.0, 64.0, 64.0), (64, 64)), outputs)], spec, (64, 64), 0.1, 0.5)
