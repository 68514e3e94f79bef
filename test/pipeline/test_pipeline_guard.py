"""Presets on slow cameras: where objects jump, every frame is a refresh frame; where they stand, the schedule is whole.

What the trained network finds in drawings is signs and clocks.
"""

from __future__ import annotations

import drawn_street
import numpy as np
import pytest

from regionmask_ros.core.boxes import iou_matrix
from regionmask_ros.core.frame import Frame
from regionmask_ros.mask.schedule import PRESETS, PresetOverrides
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

SIZE_WH = (544, 256)
OFF = PresetOverrides(least_held=0.0)


JUMPS = [(390, 160), (220, 60), (50, 128), (458, 90), (288, 196), (118, 60), (424, 196), (186, 128), (356, 60),
         (84, 196), (322, 128), (492, 60), (254, 90), (152, 196)]
"""Farther than the sign's size, and never twice at the same place: where an object was lately, it is remembered."""


def street(count: int, places: list[tuple[int, int]]) -> tuple[list[Frame], list[list[float]]]:
    """Frames of one second each with a stop sign that is at each place in turn, and its boxes."""
    rng, frames, boxes = np.random.default_rng(0), [], []
    still = 110.0 + rng.normal(0.0, 6.0, (SIZE_WH[1], SIZE_WH[0], 3))
    for t in range(count):
        image = np.clip(still + rng.normal(0.0, 2.0, still.shape), 0, 255).astype(np.uint8)
        x, y, width, height = drawn_street.draw_stop_sign(image, *places[t % len(places)], 44)
        frames.append(Frame(image, "bgr", t * 1_000_000_000, "camera"))
        boxes.append([x, y, x + width, y + height])
    return frames, boxes


def play(network, preset: str, frames, boxes, **options):
    """The pipeline, refresh frames, texts, and whether the sign was found where it is, all by frame."""
    pipeline = Pipeline(network, PipelineSettings(preset=preset, **options))
    refresh, texts, found = [], [], []
    for frame, box in zip(frames, boxes):
        (result,) = pipeline.process(frame)
        refresh.append(result.mask.refresh)
        texts.append(result.mask_text)
        found.append(bool((iou_matrix(np.array([box], float), result.detections.boxes.astype(float)) > 0.5).any()))
    return pipeline, refresh, texts, found


@pytest.mark.parametrize("preset", PRESETS)
def test_objects_that_jump_are_observed_in_every_frame(trained, preset):
    frames, boxes = street(14, JUMPS)
    pipeline, refresh, texts, found = play(trained, preset, frames, boxes)
    _, _, _, whole = play(trained, preset, frames, boxes, overrides=PresetOverrides(refresh_period=1))
    assert all(refresh) and found == whole and sum(whole) >= 10, "no object is lost"
    period = PRESETS[preset].refresh_period
    assert f"refresh every 1 of {period} frames, predictions held" in texts[-1]
    assert pipeline.schedule_text.startswith(f"refresh every 1 of {period} frames")
    _, refresh, texts, found = play(trained, preset, frames, boxes, overrides=OFF)
    assert [t for t, one in enumerate(refresh) if one] == list(range(0, 14, period))
    assert sum(found) <= sum(whole) - 3 and "predictions" not in texts[-1], "without the guard, objects are lost"


@pytest.mark.parametrize("preset", PRESETS)
def test_objects_that_stand_get_the_whole_schedule(trained, preset):
    frames, boxes = street(40, [(260, 128)])
    pipeline, refresh, _, found = play(trained, preset, frames, boxes)
    period = PRESETS[preset].refresh_period
    gaps = np.diff(np.flatnonzero(refresh)).tolist()
    assert gaps == [min(2 ** k, period) for k in range(len(gaps))] and gaps[-1] == period and all(found)
    assert pipeline.schedule_text.startswith(f"refresh every {period} frames, predictions held")
    assert pipeline.frames_to_refresh == period - (39 - np.flatnonzero(refresh)[-1]) - 1


def test_the_guard_begins_anew_after_a_reset(trained):
    frames, boxes = street(20, [(260, 128)])
    pipeline, *_ = play(trained, "balanced", frames, boxes)
    assert "every 1 of" not in pipeline.schedule_text
    pipeline.reset()
    assert pipeline.schedule_text == "refresh every 1 of 9 frames, predictions held 100 %"


def test_a_wanted_share_decides_about_the_work(trained):
    frames, boxes = street(3, JUMPS)
    pipeline, *_ = play(trained, "balanced", frames, boxes, target_masked=0.6)
    assert pipeline.schedule_text == ""
