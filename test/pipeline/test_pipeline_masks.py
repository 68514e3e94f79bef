"""Masks that learn, and masks of a wanted size, through the whole pipeline."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from moving_square import moving_square, play

from regionmask_ros.core.frame import Frame
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.errors import UserError
from regionmask_ros.mask.adaptive import Adaptive, AdaptiveSource, OccupancyStats, update_occupancy
from regionmask_ros.mask.schedule import PRESETS, PresetOverrides, Schedule
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

WH, GRID = (192, 128), RegionGrid(8, 12)
ADAPTIVE = PipelineSettings(mask="adaptive", refresh_period=4, score_threshold=0.3)
UNGUARDED = PresetOverrides(least_held=0.0)
"""What the random network detects flickers too much for a guard."""


def clip(count: int) -> list[Frame]:
    return moving_square(count, WH, top=30, square_wh=(40, 50), grays=(230,), noise=120)


@pytest.fixture
def left_mask(write_mask) -> str:
    """A static mask that keeps the two leftmost columns."""
    return write_mask(np.repeat([np.arange(GRID.cols) < 2], GRID.rows, axis=0))


def test_an_adaptive_mask_learns_from_refresh_frames_alone(tiny_network):
    pipeline, expected = Pipeline(tiny_network, ADAPTIVE), None
    source, seen = AdaptiveSource(ADAPTIVE.adaptive, GRID, WH), OccupancyStats.nothing(GRID)
    shown = set()
    for result in play(pipeline, clip(24)):
        if result.index % 4 == 0:
            assert result.mask.refresh
            seen = update_occupancy(seen, result.detections.boxes, GRID, WH, half_life=ADAPTIVE.adaptive.half_life)
            source.stats = seen
            expected = source.keep
        else:
            np.testing.assert_array_equal(result.mask.keep, expected)
        shown.add(expected.tobytes())
        assert result.mask_text.startswith("adaptive")
    assert len(shown) > 2 and not expected.all(), "the clip must make the mask move"
    learned = pipeline.learned_mask()
    assert learned.grid == GRID and learned.frames == 6
    np.testing.assert_array_equal(learned.keep, expected)


def test_it_starts_from_a_file_and_a_reset_goes_back_to_it(tiny_network, left_mask):
    settings = replace(ADAPTIVE, static_mask=left_mask, score_threshold=1.0)
    pipeline = Pipeline(tiny_network, settings)
    assert play(pipeline, clip(4))[-1].mask.sources["static"][:, :2].all(), "no object was seen that says otherwise"
    pipeline.reconfigure(replace(settings, score_threshold=0.3))
    later = play(pipeline, clip(12)[4:])[-1].mask.sources["static"]
    assert later[:, 2:].any()
    pipeline.reset()
    pipeline.reconfigure(settings)
    again = play(pipeline, clip(4))[-1].mask.sources["static"]
    assert again[:, :2].all() and not again[:, 2:].any()


def test_what_was_seen_stays_known_when_masks_are_swapped(tiny_network, left_mask):
    pipeline, frames = Pipeline(tiny_network, replace(ADAPTIVE, mask="none")), clip(12)
    play(pipeline, frames[:6])
    pipeline.reconfigure(ADAPTIVE)
    (first,) = pipeline.process(frames[6])
    assert not first.mask.keep.all(), "it has learned from frames before the swap"
    pipeline.reconfigure(replace(ADAPTIVE, static_mask=left_mask, adaptive=Adaptive(cover=1.0)))
    assert pipeline.learned_mask().frames == 0, "a mask that the user brings is a new start"
    pipeline.reconfigure(replace(ADAPTIVE, static_mask=left_mask))
    np.testing.assert_array_equal(np.flatnonzero(pipeline.learned_mask().keep.any(axis=0)), [0, 1])


@pytest.mark.parametrize("mask", ["static", "dynamic", "static+dynamic", "adaptive", "adaptive+dynamic"])
@pytest.mark.parametrize("target", [0.3, 0.6])
def test_every_mask_holds_a_target(tiny_network, left_mask, mask, target):
    settings = PipelineSettings(
        mask=mask, static_mask=left_mask if "static" in mask else "", target_masked=target, score_threshold=0.3)
    masked = [r.mask.masked_share for r in play(Pipeline(tiny_network, settings), clip(24))]
    assert np.mean(masked) == pytest.approx(target, abs=0.01)


def test_a_target_takes_the_hottest_regions_of_a_file(tiny_network, write_mask):
    heat = np.random.default_rng(3).random(GRID.shape)
    settings = PipelineSettings(
        mask="static", static_mask=write_mask(heat > 0.5, heat), target_masked=0.75, refresh_period=0)
    (_, second) = play(Pipeline(tiny_network, settings), clip(2))
    assert np.flatnonzero(second.mask.keep).tolist() == sorted(np.argsort(-heat.ravel())[:24].tolist())


@pytest.mark.parametrize("preset", ["careful", "balanced", "fast"])
def test_a_preset_masks_at_least_the_target(tiny_network, preset):
    # 24 frames hold a whole number of every preset's refresh periods.
    masked = [r.mask.masked_share for r in play(
        Pipeline(tiny_network, PipelineSettings(preset=preset, target_masked=0.7, score_threshold=0.2)), clip(24))]
    assert 0.69 <= np.mean(masked)


def test_a_preset_beside_a_static_mask_sends_what_either_keeps(tiny_network, left_mask):
    alone = PipelineSettings(preset="balanced", score_threshold=0.3, overrides=UNGUARDED)
    both = replace(alone, mask="static", static_mask=left_mask)
    assert both.deciding == "balanced+static" and both.active_sources == ["static", "balanced"]
    pipeline = Pipeline(tiny_network, both)
    for result in play(pipeline, clip(24)):
        sources = result.mask.sources
        assert result.mask.refresh == (result.index % PRESETS["balanced"].refresh_period == 0)
        assert sources["static"][:, :2].all() and not sources["static"][:, 2:].any()
        if not result.mask.refresh:
            assert set(sources) == {"static", "objects", "border"}
            np.testing.assert_array_equal(result.mask.keep, np.logical_or.reduce(list(sources.values())))
        assert result.mask_text.startswith("static + balanced") and (result.detections.track_ids >= 0).all()
    pipeline.reconfigure(alone)
    assert "static" not in play(pipeline, clip(25)[24:])[0].mask.sources, "masks can change while a camera runs"


def test_a_preset_beside_an_adaptive_mask_learns_from_the_presets_refresh_frames(tiny_network):
    pipeline = Pipeline(tiny_network, PipelineSettings(mask="adaptive", preset="careful", score_threshold=0.3,
                                                       overrides=UNGUARDED))
    last = play(pipeline, clip(15))[-1]
    assert pipeline.learned_mask().frames == 3
    np.testing.assert_array_equal(last.mask.sources["static"], pipeline.learned_mask().keep)
    assert last.mask.keep[last.mask.sources["static"] | last.mask.sources["objects"]].all()


def test_a_target_limits_the_objects_beside_a_static_mask_and_never_the_mask(tiny_network, left_mask):
    settings = PipelineSettings(
        mask="static", static_mask=left_mask, preset="careful", target_masked=0.7, score_threshold=0.2)
    for result in play(Pipeline(tiny_network, settings), clip(20)):
        if not result.mask.refresh:
            assert result.mask.keep[:, :2].all() and result.mask.keep.sum() <= max(16, round(96 * (1 - 0.7 * 5 / 4)))


def test_a_target_can_change_between_frames(tiny_network):
    pipeline, frames = Pipeline(tiny_network, replace(ADAPTIVE, refresh_period=0)), clip(9)
    play(pipeline, frames[:3])
    for target in (0.25, 0.75):
        pipeline.reconfigure(replace(pipeline.settings, target_masked=target))
        assert play(pipeline, frames[3:4])[0].mask.masked_share == target
        frames = frames[1:]


def test_overrides_change_what_a_preset_does(tiny_network):
    settings = PipelineSettings(
        preset="fast", overrides=PresetOverrides(refresh_period=3, least_held=0.0), score_threshold=0.5)
    assert settings.effective_refresh_period == 3
    pipeline = Pipeline(tiny_network, settings)
    assert [r.mask.refresh for r in play(pipeline, clip(7))] == [True, False, False] * 2 + [True]
    pipeline.reconfigure(replace(settings, overrides=PresetOverrides(refresh_period=5, least_held=0.0)))
    assert [r.mask.refresh for r in play(pipeline, clip(12)[7:])] == [False, False, False, True, False]


def test_every_override_is_a_value_of_a_schedule():
    of_schedules = {field.name: field.type for field in fields(Schedule)}
    assert {field.name: field.type for field in fields(PresetOverrides)}.items() <= of_schedules.items()
    for preset in PRESETS.values():
        assert PresetOverrides().apply(preset) == preset
        for field in fields(PresetOverrides):
            turned = PresetOverrides(**{field.name: 1}).apply(preset)
            assert getattr(turned, field.name) == 1 and replace(
                turned, **{field.name: getattr(preset, field.name)}) == preset


@pytest.mark.parametrize("wrong, said", [
    ({"refresh_period": 0}, "preset_refresh_period 0: must be -1, or 1 to"),
    ({"border_period": -2}, "preset_border_period -2"), ({"active_frames": 0}, "preset_work 0"),
    ({"track_threshold": 1.5}, "preset_steer_threshold 1.5"),
    ({"track_threshold": float("nan")}, "preset_steer_threshold nan"),
])
def test_overrides_out_of_range_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        PresetOverrides(**wrong)
