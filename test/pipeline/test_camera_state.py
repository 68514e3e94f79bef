"""What each kind of reset keeps of a camera."""

from __future__ import annotations

import numpy as np
import pytest
from made_detections import detections_of

from regionmask_ros.core.frame import Frame
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.core.result import StepCounts, StepResult
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.mask.adaptive import Adaptive, AdaptiveSource
from regionmask_ros.mask.composer import MaskComposer
from regionmask_ros.network.formats.lava_dl import input_table
from regionmask_ros.pipeline.camera_state import KEEPS_PLACE, CameraState, ResetReason
from regionmask_ros.pipeline.interpreter import InterpreterState
from regionmask_ros.pipeline.stages import prepare_frame

WH = (96, 64)


@pytest.fixture
def camera() -> CameraState:
    """A camera that has seen two frames, and an object in the first of them."""
    grid = RegionGrid.of_input(WH)
    masks = MaskComposer(grid, WH, [AdaptiveSource(Adaptive(), grid, WH)])
    state = CameraState(WH, WH, masks, InterpreterState(), Encoder(input_table(), 6, WH))
    image = np.random.default_rng(0).integers(0, 256, (WH[1], WH[0], 3)).astype(np.uint8)
    for number in range(2):
        prepared = prepare_frame(state, Frame(image, "rgb", number, "front"))
        if number == 0:
            state.last = found = detections_of([20, 20, 40, 40])
            state.composer.observe(StepResult(0, prepared.frame, found, prepared.mask, "", prepared.age, None,
                                              np.zeros((1, 1, 1), np.int32), StepCounts(0, (), ()), {}))
    return state


def test_the_table_names_every_reason():
    assert set(KEEPS_PLACE) == set(ResetReason)


@pytest.mark.parametrize("reason", ResetReason)
def test_a_reset_forgets_what_its_reason_says(camera, reason):
    assert not camera.composer.compose(camera.context(None, np.zeros((0, 4)))).keep.all()
    frame = Frame(np.full((WH[1], WH[0], 3), 200, np.uint8), "rgb", 9, "front")
    camera.reset(reason)
    assert (camera.frame, camera.since_refresh, len(camera.last), len(camera.objects.tracks)) == (0, 0, 0, 0)
    assert camera.composer.learner.stats.frames == int(KEEPS_PLACE[reason])
    prepared = prepare_frame(camera, frame)
    assert prepared.mask.refresh and prepared.mask.keep.all() and not prepared.age.any()
    fresh = Encoder(input_table(), 6, WH).step(frame.pixels, camera.grid.full(True))
    np.testing.assert_array_equal(prepared.sent.message, fresh.message, "references are forgotten")
