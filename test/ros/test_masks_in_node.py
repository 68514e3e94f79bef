"""Masks through the real node: parameters that change them, topics that show them, diagnostics that give the reason."""

from __future__ import annotations

import numpy as np
import pytest
from moving_square import play
from rig import FRAME_NS, START_NS, call_service, change, make_image, message, send, watch
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from regionmask_ros.core.frame import Frame
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.adaptive import Adaptive
from regionmask_ros.mask.static import read_static_mask
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import MODES, PipelineSettings
from regionmask_ros.ros.diagnostics import SOURCES
from regionmask_ros.ros.publishers import IMAGES

FRAMES = 10


def offline(pipeline: Pipeline) -> list:
    """The results of the frames that the tests send, without ROS."""
    frames = [Frame(make_image(i), "bgr", START_NS + i * FRAME_NS, "left_optical") for i in range(FRAMES)]
    return play(pipeline, frames)


def shown(built: Image) -> np.ndarray:
    return np.frombuffer(built.data, np.uint8).reshape(built.height, built.width)


def read_shares(values: dict[str, str]) -> dict[str, float]:
    return {cause: float(values[f"attended share, {cause}"]) for cause in SOURCES}


def assert_reported_shares(peer, wait_for, results) -> None:
    """The diagnostics say of all frames but the first what these results say."""
    shares = [result.mask.attended_shares for result in results[1:]]
    expected = {cause: np.mean([share.get(cause, 0.0) for share in shares]) for cause in SOURCES}
    assert sum(value > 0.0 for value in expected.values()) >= 2, "the clip must give causes, or this test sees nothing"
    wait_for(lambda: peer.values().get("frames answered") == str(len(results)))
    assert read_shares(peer.values()) == pytest.approx(expected, abs=1e-4)
    masked = np.mean([result.mask.masked_share for result in results[1:]])
    assert float(peer.values()["masked share"]) == pytest.approx(masked, abs=1e-4)


def test_adaptive_mask_is_published_reported_and_saved_as_offline(rig, wait_for, tiny_network, tmp_path):
    file = tmp_path / "learned.npz"
    node, peer = rig(
        mask_mode="adaptive", refresh_period=3, score_threshold=0.6, adaptive_half_life=2.0, adaptive_cover=0.9,
        adaptive_ring=0, output_directory=str(tmp_path), static_mask_output=file.name)
    watch(peer, wait_for, node, {"/mask/static": Image, "/mask/dynamic": Image}, IMAGES)
    send(peer, wait_for, [message(i) for i in range(FRAMES)])
    wait_for(lambda: all(len(peer.heard[topic]) == FRAMES for topic in ("/mask/static", "/mask/dynamic")))
    reference = Pipeline(tiny_network, PipelineSettings(
        mask="adaptive", refresh_period=3, score_threshold=0.6, adaptive=Adaptive(2.0, 0.9, 0)))
    results = offline(reference)
    for built, result in zip(peer.heard["/mask/static"], results):
        np.testing.assert_array_equal(shown(built), 255 * result.mask.sources["static"])
    assert not any(shown(built).any() for built in peer.heard["/mask/dynamic"])
    assert len({bytes(built.data) for built in peer.heard["/mask/static"]}) > 2, "the mask must learn in this clip"
    assert_reported_shares(peer, wait_for, results)
    assert peer.values()["mask mode"] == "adaptive"

    answer = call_service(peer, wait_for, Trigger, "save_static_mask")
    assert answer.success and "from 4 frames observed as a whole" in answer.message
    saved = read_static_mask(str(file)).fit(RegionGrid(4, 6), (96, 64))
    np.testing.assert_array_equal(saved, reference.learned_mask().keep)


def test_preset_reports_shares_of_objects_border_and_refresh(rig, wait_for, tiny_network):
    node, peer = rig(preset="careful", score_threshold=0.5, preset_steer_threshold=0.6, preset_guard=0.0)
    send(peer, wait_for, [message(i) for i in range(FRAMES)])
    assert_reported_shares(peer, wait_for, offline(Pipeline(tiny_network, node._configured.pipeline.settings)))
    assert node._configured.pipeline.settings.schedule.track_threshold == 0.6


def test_both_masks_report_their_shares(rig, wait_for, tiny_network, half_mask):
    node, peer = rig(mask_mode="static+dynamic", static_mask=half_mask, refresh_period=4, score_threshold=0.9)
    send(peer, wait_for, [message(i) for i in range(FRAMES)])
    assert_reported_shares(peer, wait_for, offline(Pipeline(tiny_network, node._configured.pipeline.settings)))
    assert read_shares(peer.values())["static"] == pytest.approx(0.5 * 7 / 9, abs=1e-4)


def test_no_share_is_reported_before_the_first_frame(rig, wait_for):
    _node, peer = rig()
    wait_for(lambda: peer.values().get("state") == "active")
    assert {peer.values()[f"attended share, {cause}"] for cause in SOURCES} == {""}


@pytest.mark.parametrize("scheduled", [False, True])
def test_masks_and_their_options_change_while_running(rig, wait_for, half_mask, scheduled):
    node, peer = rig(arithmetic="carry")
    send(peer, wait_for, [message(0)])
    for step, mode in enumerate(MODES[1:], start=1):
        assert change(node, mask_mode=mode, static_mask=half_mask, target_masked=0.5).successful
        more = {"mask_mode": "preset", "preset": "fast"} if scheduled else {}
        assert change(node, adaptive_half_life=1.0 + step, preset_border_period=step, **more).successful
        settings = node._configured.pipeline.settings
        assert settings.target_masked == 0.5 and settings.adaptive.half_life == 1.0 + step
        assert settings.deciding == ("fast" if scheduled else mode)
        assert not scheduled or settings.schedule.border_period == step
        send(peer, wait_for, [message(step)])
    before = node._configured.pipeline.settings
    for refused, reason in (
        ({"mask_mode": "none"}, "needs a mask or a preset"), ({"preset": ""}, "unknown; use one of careful"),
        ({"target_masked": 0.95}, "out of reach"),
        ({"mask_mode": "preset", "preset_refresh_period": 0}, "must be -1, or 1"),
    ):
        answer = change(node, **refused)
        assert not answer.successful and reason in answer.reason, answer.reason
        assert node._configured.pipeline.settings == before
    assert change(node, target_masked=0.0, mask_mode="none").successful


def test_node_holds_the_masked_share_at_its_target(rig, wait_for, half_mask):
    node, peer = rig(mask_mode="static", static_mask=half_mask, refresh_period=0, target_masked=0.75)
    send(peer, wait_for, [message(0), message(1)])
    assert change(node, target_masked=0.25).successful
    send(peer, wait_for, [message(2)])
    wait_for(lambda: peer.values().get("frames answered") == "3")
    assert float(peer.values()["masked share"]) == pytest.approx((0.75 + 0.25) / 2, abs=1e-4)
    assert read_shares(peer.values())["static"] == pytest.approx((0.25 + 0.75) / 2, abs=1e-4)
