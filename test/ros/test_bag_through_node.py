"""A bag played through the node gives the same results as without ROS; looped and compressed playing."""

from __future__ import annotations

import numpy as np
import pytest
from bag_writer import START_NS, STEP_NS, image, write_bag
from rig import Peer, are_matched, make_image
from sensor_msgs.msg import CompressedImage, Image

from regionmask_ros.commands import play
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.ros.player import Pace, Player
from regionmask_ros.ros.publishers import CAMERA
from regionmask_ros.ros.session import RosSession
from regionmask_ros.ros.stopping import StopRequest
from regionmask_ros.sources import open_source
from regionmask_ros.sources.image_message import stamp_ns

FRAMES = 12


@pytest.fixture
def bag(tmp_path) -> str:
    messages = [image(make_image(i), START_NS + i * STEP_NS) for i in range(FRAMES)]
    return write_bag(tmp_path / "bag", {"/front/image_raw": messages})


class Listener(Peer):
    """A subscriber without a camera: the player is the camera."""

    def open_camera(self):
        self.listen(Image, "image", CAMERA)
        return self.create_publisher(Image, "unused", CAMERA)


def rows(message) -> np.ndarray:
    return np.array([
        (box.center.position.x, box.center.position.y, box.size_x, box.size_y, d.results[0].hypothesis.score)
        for d in message.detections for box in [d.bbox]
    ]).reshape(-1, 5)


@pytest.fixture
def played(rig):
    """A node on simulated time and a listener."""
    return rig(Listener, use_sim_time=True, mask_mode="dynamic", score_threshold=0.3, refresh_period=5)


def expected(bag: str, network) -> list:
    pipeline = Pipeline(network, PipelineSettings(mask="dynamic", score_threshold=0.3, refresh_period=5))
    with open_source(bag) as source:
        return [result for frame in source.frames() for result in pipeline.process(frame)]


def assert_equal(messages, results) -> None:
    assert [stamp_ns(a.header.stamp) for a in messages] == [r.frame.stamp_ns for r in results]
    for message, result in zip(messages, results):
        found = result.detections
        centers, sizes = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2, found.boxes[:, 2:] - found.boxes[:, :2]
        np.testing.assert_array_equal(rows(message), np.column_stack([centers, sizes, found.scores]))


def test_node_gives_the_pipelines_results_for_a_bag_that_is_played_twice(played, bag, tiny_network, wait_for):
    node, listener = played
    stop = StopRequest()
    with RosSession() as own, open_source(bag) as source:
        player = own.add(lambda **more: Player("image", True, **more))
        wait_for(lambda: are_matched(node, player) and are_matched(listener, player))
        for done in player.play(source, Pace(100.0, True, loop=True), stop):
            wait_for(lambda: len(listener.heard["detections"]) == done.frames)
            if done.frames == 2 * FRAMES:
                stop.set()
    results = expected(bag, tiny_network)
    assert_equal(listener.heard["detections"][:FRAMES], results)
    assert_equal(listener.heard["detections"][FRAMES:], results)
    assert sum(len(r.detections) for r in results) > FRAMES and any(not r.mask.keep.all() for r in results)
    assert {m.header.frame_id for m in listener.heard["detections"]} == {"front_optical"}
    assert node._configured.pipeline.resets == 1


def test_compressed_images_are_published_below_the_topic(session, bag, wait_for):
    heard = []
    listener = session.add(Listener)
    listener.create_subscription(CompressedImage, "/cam/compressed", heard.append, CAMERA)
    session.spin()
    assert play.main([bag, "--topic", "/cam", "--compressed", "--rate", "2", "--wait", "20"]) == 0
    wait_for(lambda: len(heard) == FRAMES)
    assert {m.format for m in heard} == {"bgr8; jpeg compressed bgr8"}
