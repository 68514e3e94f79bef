"""Presets of dense networks: their form, period and tiles."""

from __future__ import annotations

import pytest

from regionmask_ros.mask.dense_schedule import DENSE_PRESETS, choose_schedule, limit_schedule
from regionmask_ros.mask.schedule import PRESETS


def test_presets_of_both_kinds_have_the_same_names():
    assert set(DENSE_PRESETS) == set(PRESETS)


def test_a_schedule_is_chosen_by_the_size_of_the_input():
    assert choose_schedule("balanced", "auto", "auto", 0, (640, 480)).form == "burst"
    assert choose_schedule("balanced", "auto", "auto", 0, (1280, 704)).form == "rolling"
    for preset in DENSE_PRESETS:
        for form in ("burst", "rolling"):
            chosen = choose_schedule(preset, form, "4x3", 9, (1280, 704))
            assert (chosen.form, chosen.tiles, chosen.period) == (form, (4, 3), 9)
    periods = [choose_schedule(name, "burst", "auto", 0, (640, 480)).period for name in ("careful", "balanced", "fast")]
    assert periods == sorted(set(periods))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.75, 0.9, 0.99])
@pytest.mark.parametrize("look", [0.2, 0.5, 1.0])
def test_a_schedule_is_limited_to_a_masked_share(share, look):
    schedule = choose_schedule("careful", "burst", "auto", 0, (640, 480))
    limited = limit_schedule(schedule, share, look)
    assert 1.0 - look / limited.period >= share - 1e-9
    assert limited.period == schedule.period or 1.0 - look / (limited.period - 1) < share


@pytest.mark.parametrize("share", [0.3, 0.75, 0.9])
def test_whole_images_of_a_rolling_schedule_are_limited_too(share):
    rolling = choose_schedule("balanced", "auto", "auto", 0, (1280, 704))
    assert rolling.burst and 1.0 - 1.0 / limit_schedule(rolling, share, 0.3).burst >= share - 1e-9
    without = choose_schedule("balanced", "rolling", "auto", 0, (1280, 704))
    assert limit_schedule(without, share, 0.3).burst == 0, "it never runs the whole image"
