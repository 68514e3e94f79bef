"""The option table, and how values are read and checked."""

from __future__ import annotations

import math

import pytest

from regionmask_ros.core.frame import ALIGNMENT, MAX_IMAGE_PIXELS
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.core.options import Group, Option, Range
from regionmask_ros.errors import UserError


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_every_option_is_described_and_its_default_is_allowed(option):
    assert option.text.endswith(".") and "|" not in option.text
    option.check(option.default)
    assert (option.limits is not None) == (option.kind in (int, float)), "every number has a range"
    assert not option.choices or option.kind is str


def test_options_are_sorted_by_group():
    groups = [option.group for option in OPTIONS.values()]
    assert groups == sorted(groups, key=list(Group).index)


def test_the_size_of_an_input_is_limited_as_frames_are():
    assert OPTIONS["max_pixels"].limits == Range(ALIGNMENT**2, MAX_IMAGE_PIXELS)


@pytest.mark.parametrize(("name", "text", "value"), [
    ("score_threshold", "0.25", 0.25), ("score_threshold", "1", 1.0), ("target_masked", "0.995", 0.995),
    ("adaptive_cover", "1e-9", 1e-9), ("refresh_period", "0", 0), ("preset_work", "-1", -1),
    ("preset_rest_shift", "-1", -1.0), ("autostart", "no", False), ("loihi2_profile", "True", True),
    ("backend", "loihi2", "loihi2"), ("arithmetic", "", ""), ("classes", "[person]", ("person",)),
    ("classes", "person, traffic light,", ("person", "traffic light")), ("classes", "", ()), ("max_pixels", 2048, 2048),
])
def test_texts_are_read_as_the_type_of_the_option(name, text, value):
    read = OPTIONS[name].parse(text)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(("name", "text", "reason"), [
    ("score_threshold", "1.01", "score_threshold 1.01: must be 0 to 1"),
    ("score_threshold", "nan", "score_threshold 'nan': must be a number"),
    ("score_threshold", "high", "must be a number"),
    ("target_masked", "1", "target_masked 1.0: must be 0 to below 1"),
    ("adaptive_cover", "0", "adaptive_cover 0.0: must be above 0 to 1"),
    ("refresh_period", "2.5", "refresh_period '2.5': must be a whole number"),
    ("refresh_period", "-1", "refresh_period -1: must be 0 to 2147483647"),
    ("preset_work", "0", "preset_work 0: must be -1, or 1 to 2147483647"),
    ("preset_rest_shift", "inf", "must be -1, or 0 to 1000000"),
    ("autostart", "maybe", "autostart 'maybe': must be true or false"),
    ("mask_mode", "both", "mask_mode 'both': unknown; use one of preset, preset+static, none"),
    ("arithmetic", "float", "use one of (empty), carry, lava, snap"),
])
def test_values_that_are_not_allowed_are_refused_with_what_is(name, text, reason):
    with pytest.raises(UserError) as refused:
        OPTIONS[name].parse(text)
    assert reason in str(refused.value)


def test_an_open_range_ends_at_the_last_number_inside_it():
    limits = Range(0.0, 1.0, above=True, below=True)
    assert limits.inclusive == (math.ulp(0.0), 1.0 - 2.0**-53)
    assert limits.inclusive[0] in limits and limits.inclusive[1] in limits
    assert not any(number in limits for number in (0.0, 1.0, float("nan")))


def test_an_option_is_described_without_its_empty_choice_or_limits():
    assert Option("name", "", Group.NODE, "Text.").describe_limits() == ""
    assert Option("name", "", Group.NODE, "Text.", choices=("", "a")).describe_limits() == "(empty), a"
