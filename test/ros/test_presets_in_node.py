"""Presets in a running node: the same results as without ROS, and thresholds that follow the preset."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from rig import FRAME_NS, START_NS, change, header, message, send

from regionmask_ros.core.frame import Frame
from regionmask_ros.network.thresholds import bundled_thresholds
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.ros.publishers import image_message

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab" / "evaluation"))
import drawn_street


@pytest.fixture
def with_trained(rig, trained):
    """A function that starts a node with the trained network, and its peer."""
    return lambda **parameters: rig(network=trained, **{"score_threshold": 0.02, **parameters})


def corners(detections) -> np.ndarray:
    """float64 [n, 4], x0 y0 x1 y1, of a message."""
    boxes = [(d.bbox.center.position.x, d.bbox.center.position.y, d.bbox.size_x, d.bbox.size_y) for d in detections]
    center, size = np.hsplit(np.array(boxes, np.float64).reshape(-1, 4), 2)
    return np.hstack([center - size / 2, center + size / 2])


@pytest.mark.parametrize("preset", ["careful", "balanced", "fast"])
def test_online_and_offline_results_are_equal(with_trained, wait_for, trained, preset):
    _, peer = with_trained(preset=preset)
    images = drawn_street.frames()[0][:14]
    send(peer, wait_for, [image_message(one, "bgr8", header(i)) for i, one in enumerate(images)])
    pipeline = Pipeline(trained, PipelineSettings(preset=preset, score_threshold=0.02))
    found = 0
    for i, heard in enumerate(peer.heard["detections"]):
        frame = Frame(images[i], "bgr", START_NS + i * FRAME_NS, "left_optical")
        (result,) = pipeline.process(frame)
        np.testing.assert_allclose(corners(heard.detections), result.detections.boxes, atol=1e-3)
        found += len(result.detections)
    assert found >= 28 and len(peer.heard["detections"]) == 14


def test_thresholds_follow_the_preset_while_the_node_runs(with_trained, wait_for):
    node, peer = with_trained(mask_mode="none")
    sent = iter(range(10_000))

    def in_force(*expected: str) -> bool:
        send(peer, wait_for, [message(next(sent))])
        return (peer.values().get("thresholds"), peer.values().get("arithmetic")) == expected

    wait_for(lambda: in_force("trained", "carry"))
    for values, expected in (
        ({"mask_mode": "preset"}, ("tuned", bundled_thresholds().arithmetic)),
        ({"preset": "fast"}, ("tuned", bundled_thresholds().arithmetic)),
        ({"thresholds": "trained"}, ("trained", "carry")),
        ({"thresholds": "", "mask_mode": "dynamic"}, ("trained", "carry")),
        ({"mask_mode": "preset", "preset": "careful"}, ("tuned", bundled_thresholds().arithmetic)),
        ({"arithmetic": "lava"}, ("trained", "lava")),
    ):
        result = change(node, **values)
        assert result.successful, result.reason
        wait_for(lambda: in_force(*expected))
    wait_for(lambda: peer.values().get("frames answered") == peer.values().get("frames received"))
    assert peer.values()["frames dropped (broken)"] == "0"
