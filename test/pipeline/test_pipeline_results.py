"""What a planner can request of the pipeline, and what it gives besides boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_square import moving_square, play

from regionmask_ros.core.frame import Frame
from regionmask_ros.errors import UserError
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

WH = (96, 64)


def clip(count: int) -> list[Frame]:
    return moving_square(count, WH, grays=(255,))


@pytest.fixture
def corner(tiny_network, write_mask) -> Pipeline:
    """Sends everything in the first frame, and the upper left region from then on."""
    mask = write_mask(np.arange(24).reshape(4, 6) == 0)
    return Pipeline(tiny_network, PipelineSettings(
        mask="static", static_mask=mask, refresh_period=0, score_threshold=0.2))


def test_ages_count_from_the_frame_in_which_a_region_was_sent(corner):
    ages = [corner.process(frame)[0].age for frame in clip(4)]
    for t, age in enumerate(ages):
        assert age[0, 0] == 0 and (np.delete(age.ravel(), 0) == t).all()


def test_a_requested_refresh_sends_all_regions_once(corner):
    frames = clip(4)
    shares = []
    for t, frame in enumerate(frames):
        if t == 2:
            corner.refresh()
        (result,) = corner.process(frame)
        shares.append((result.mask.refresh, bool(result.mask.keep.all()), bool(result.age.any())))
    assert shares == [(True, True, False), (False, False, True), (True, True, False), (False, False, True)]
    assert corner.resets == 0


def test_regions_of_a_planner_are_kept_until_other_boxes_come(corner):
    frames = clip(4)
    corner.process(frames[0])
    corner.attend(np.array([[40.0, 20.0, 60.0, 30.0]]))
    (asked,) = corner.process(frames[1])
    assert np.argwhere(asked.mask.keep).tolist() == [[0, 0], [1, 2], [1, 3]]
    assert "attention" in asked.mask_text
    corner.attend(np.zeros((0, 4)))
    (after,) = corner.process(frames[2])
    assert np.argwhere(after.mask.keep).tolist() == [[0, 0]] and "attention" not in after.mask_text


def test_events_are_shown_only_on_request_and_lie_where_the_image_changed(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings()), clip(3)
    assert pipeline.process(frames[0])[0].events is None
    (result,) = pipeline.process(frames[1], want_events=True)
    changed = (frames[0].pixels != frames[1].pixels).any(axis=2)
    shown = result.events == 255
    assert shown.shape == (WH[1], WH[0]) and shown.any() and not (result.events[~shown]).any()
    far = ~changed
    (quiet,) = pipeline.process(frames[1], want_events=True)
    assert quiet.events[far].sum() <= result.events[far].sum(), "what stays as it was goes silent"
    assert shown[changed].mean() > 0.5


def test_only_wanted_classes_are_reported_and_it_can_change_between_frames(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings(score_threshold=0.2)), clip(3)
    everything = pipeline.process(frames[0])[0].detections
    assert set(everything.class_ids) == {0, 1}
    pipeline.reconfigure(replace(pipeline.settings, classes=("disc",), max_detections=2))
    found = pipeline.process(frames[1])[0].detections
    assert 1 <= len(found) <= 2 and set(found.class_ids) == {1}
    before = pipeline.settings
    with pytest.raises(UserError, match="class 'disk'.*'disc'"):
        pipeline.reconfigure(replace(before, classes=("disk",)))
    assert pipeline.settings is before
    with pytest.raises(UserError, match="class 'disk'"):
        Pipeline(tiny_network, PipelineSettings(classes=("disk",)))


def test_observed_regions_survive_a_looped_bag_but_no_reset(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings(score_threshold=0.2)), clip(3)
    with pytest.raises(UserError, match="no image has come yet"):
        pipeline.learned_mask()
    play(pipeline, [*frames, *frames])
    learned = pipeline.learned_mask()
    assert learned.frames == 6 and learned.heat.shape == learned.grid.shape == (4, 6) and learned.keep.any()
    assert pipeline.resets == 1
    pipeline.reset()
    with pytest.raises(UserError, match="no object was seen yet"):
        pipeline.learned_mask()
    assert pipeline.resets == 2


def test_what_was_seen_is_forgotten_with_the_size_of_the_image(tiny_network):
    pipeline, frames = Pipeline(tiny_network, PipelineSettings(score_threshold=0.2)), clip(3)
    play(pipeline, frames)
    larger = np.zeros((128, 160, 3), np.uint8)
    larger[40:90, 50:120] = 220
    play(pipeline, [Frame(larger, "rgb", frames[-1].stamp_ns + 1, frames[-1].frame_id)])
    learned = pipeline.learned_mask()
    assert learned.frames == 1 and learned.keep.shape == (8, 10)
