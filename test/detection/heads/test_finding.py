"""What users read when no head fits."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.detection.heads import HEADS, find_head
from regionmask_ros.errors import UserError
from regionmask_ros.network.dense import GraphFacts

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
