"""Preprocessing as text, and of the well-known families."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.errors import UserError
from regionmask_ros.network.dense import HeadSpec, Preprocessing
from regionmask_ros.network.preprocessing import (
    IMAGENET_BGR,
    IMAGENET_RGB,
    describe_preprocessing,
    parse_preprocessing,
    usual_preprocessing,
)

NUMBERS = st.floats(-1000, 1000).map(lambda value: float(f"{value:g}"))
POSITIVE = st.floats(0.01, 1000).map(lambda value: float(f"{value:g}"))


@pytest.mark.parametrize("text, wanted", [
    ("rgb,0..1", Preprocessing("rgb", deviation=(255.0,) * 3)),
    (" BGR , 0..255", Preprocessing("bgr")),
    ("0..255,rgb", Preprocessing("rgb")),
    ("rgb,mean=123.675:116.28:103.53,std=58.395:57.12:57.375", IMAGENET_RGB),
    ("bgr,std=58:57:56", Preprocessing("bgr", deviation=(58.0, 57.0, 56.0))),
])
def test_texts_are_parsed(text, wanted):
    assert parse_preprocessing(text) == wanted


@given(st.sampled_from(("rgb", "bgr")), st.tuples(NUMBERS, NUMBERS, NUMBERS), st.tuples(POSITIVE, POSITIVE, POSITIVE))
def test_a_description_is_parsed_to_the_same(order, mean, deviation):
    preprocessing = Preprocessing(order, mean, deviation)
    assert parse_preprocessing(describe_preprocessing(preprocessing)) == preprocessing


@pytest.mark.parametrize("text, reason", [
    ("rgb", "give either 0..1, 0..255 or std"),
    ("0..1", "rgb or bgr is missing"),
    ("rgb,bgr,0..1", "'bgr' is not understood"),
    ("rgb,0..1,0..255", "'0..255' is not understood"),
    ("rgb,0..1,std=1:1:1", "give either"),
    ("rgb,0..1,mean=1:1:1", "mean belongs to std"),
    ("rgb,std=1:1", "three numbers"),
    ("rgb,std=1:x:1", "three numbers"),
    ("rgb,std=1:0:1", "std must be positive"),
    ("rgb,mean=nan:1:1,std=1:1:1", "must be finite"),
    ("rgb,grey", "'grey' is not understood"),
])
def test_others_are_refused(text, reason):
    with pytest.raises(UserError) as caught:
        parse_preprocessing(text)
    assert reason in str(caught.value) and "for example" in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text):
    try:
        assert isinstance(parse_preprocessing(text), Preprocessing)
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("family, strides, outputs, producer, wanted", [
    ("yolox", (8, 16, 32), 1, "pytorch", Preprocessing("bgr")),
    ("generalized_focal", (8, 16, 32), 6, "pytorch", IMAGENET_BGR),
    ("generalized_focal", (8, 16, 32, 64), 1, "pytorch", IMAGENET_BGR),
    ("generalized_focal", (8, 16, 32, 64), 8, "", IMAGENET_RGB),
    ("generalized_focal", (8, 16, 32), 6, "PaddlePaddle", IMAGENET_RGB),
    ("boxes", (), 1, "pytorch", None),
])
def test_families_have_their_own(family, strides, outputs, producer, wanted):
    head = HeadSpec(family, 80, tuple(f"output {index}" for index in range(outputs)), strides)
    assert usual_preprocessing(head, producer) == wanted
