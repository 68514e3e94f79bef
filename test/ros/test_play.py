"""The player as a camera: every frame, in order, on time and stamped; and what it refuses."""

from __future__ import annotations

import json
import threading

import cv2
import numpy as np
import pytest
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from regionmask_ros.commands import play
from regionmask_ros.ros.publishers import RESULTS
from regionmask_ros.sources.image_message import stamp_ns

FRAMES = 8


@pytest.fixture
def folder(tmp_path):
    """Images whose brightness is their number times ten; a folder plays 10 per second."""
    for index in range(FRAMES):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((48, 64, 3), 10 * index, np.uint8))
    return str(tmp_path)


class Listener(Node):
    def __init__(self, **node_arguments: object) -> None:
        super().__init__("listener", **node_arguments)
        self.images, self.times, self.clock = [], [], []
        # Room for every frame: on a busy machine the first ones wait while this process does not run.
        self.create_subscription(Image, "/cam", self._take, QoSProfile(
            depth=4 * FRAMES, reliability=ReliabilityPolicy.BEST_EFFORT))
        self.create_subscription(Clock, "/clock", lambda m: self.clock.append(stamp_ns(m.clock)), RESULTS)

    def _take(self, message: Image) -> None:
        self.images.append(message)
        self.times.append(self.get_clock().now().nanoseconds)


@pytest.fixture
def listener(session):
    node = session.add(Listener)
    session.spin()
    return node


def test_max_frames_ends_the_playback(listener, folder, wait_for, capsys):
    assert play.main([folder, "--topic", "/cam", "--rate", "2", "--wait", "20", "--max-frames", "3"]) == 0
    wait_for(lambda: len(listener.images) == 3)
    assert "published 3 frames on /cam" in capsys.readouterr().out


class LateClock:
    """A time of its own, in which every wait takes a little longer than it should."""

    def __init__(self, late_s):
        self.late_s, self.now_s = late_s, 100.0

    def monotonic(self):
        return self.now_s

    def wait(self, seconds):
        self.now_s += seconds + self.late_s
        return False

    def is_set(self):
        return False


@pytest.mark.parametrize("late_s", [0.0, 0.01, 0.04])
def test_delays_do_not_add_up(folder, ros_environment, monkeypatch, late_s):
    from regionmask_ros.ros import player as module
    from regionmask_ros.ros.session import RosSession
    from regionmask_ros.sources import open_source

    clock = LateClock(late_s)
    monkeypatch.setattr(module, "time", clock)
    with RosSession() as own, open_source(folder) as source:
        player = own.add(lambda **node: module.Player("/cam", False, **node))
        published = [clock.now_s - 100.0 for _ in player.play(source, module.Pace(2.0, False), clock)]
    due = 0.05 * np.arange(FRAMES)
    np.testing.assert_allclose(published, due + np.where(due > 0, late_s, 0.0), atol=1e-9)


def test_simulated_time_advances_between_images(folder, ros_environment, monkeypatch):
    from regionmask_ros.ros import player as module
    from regionmask_ros.ros.session import RosSession
    from regionmask_ros.sources import open_source

    clock, told = LateClock(0.0), []
    monkeypatch.setattr(module, "time", clock)
    with RosSession() as own, open_source(folder) as source:
        player = own.add(lambda **node: module.Player("/cam", True, **node))
        monkeypatch.setattr(player, "_publish_clock", told.append)
        assert len(list(player.play(source, module.Pace(4.0, True), clock))) == FRAMES
    assert told == sorted(told) and {10**9 + i * 10**8 for i in range(FRAMES)} <= set(told)
    assert len(told) > 2 * FRAMES


def test_every_frame_is_published_in_order_and_stamped_now(listener, folder, wait_for, capsys, tmp_path):
    file = tmp_path / "out" / "played.json"
    assert play.main([folder, "--topic", "/cam", "--rate", "2", "--wait", "20", "--json", str(file)]) == 0
    wait_for(lambda: len(listener.images) == FRAMES)
    assert [m.data[0] for m in listener.images] == [10 * i for i in range(FRAMES)]
    first = listener.images[0]
    assert (first.encoding, first.width, first.height, first.step) == ("bgr8", 64, 48, 192)
    assert first.header.frame_id == "camera"
    stamps = np.array([stamp_ns(m.header.stamp) for m in listener.images])
    assert np.all(np.abs(np.array(listener.times) - stamps) < 60e9), "now, not the time of the file"
    assert f"published {FRAMES} frames on /cam" in capsys.readouterr().out
    assert json.loads(file.read_text())["frames"] == FRAMES


def test_simulated_time_starts_at_one_second_and_follows_the_images(listener, folder, wait_for):
    assert play.main([folder, "--topic", "/cam", "--rate", "2", "--wait", "20", "--clock"]) == 0
    wait_for(lambda: len(listener.images) == FRAMES)
    stamps = [10**9 + i * 10**8 for i in range(FRAMES)]
    assert [stamp_ns(m.header.stamp) for m in listener.images] == stamps
    assert listener.clock == sorted(listener.clock) and set(stamps[1:]) <= set(listener.clock)
    # How often depends on the machine: a player that is late has no time to pass.
    assert set(listener.clock) - set(stamps), "time advances between images"


def test_player_without_a_subscriber_says_so_and_plays(folder, capsys, ros_environment):
    assert play.main([folder, "--topic", "/nobody", "--rate", "50", "--wait", "0"]) == 0
    said = capsys.readouterr()
    assert "no subscriber on /nobody" in said.err and f"published {FRAMES} frames" in said.out


@pytest.mark.parametrize(("arguments", "words"), [
    (["/no/such.mp4"], "/no/such.mp4: no such file"),
    (["FOLDER", "--rate", "0"], "--rate 0.0: must be between 0.001 and 1000.0"),
    (["FOLDER", "--rate", "nan"], "--rate nan"),
    (["FOLDER", "--rate", "fast"], "--rate"),
    (["FOLDER", "--wait", "-1"], "--wait -1.0"),
    (["FOLDER", "--max-frames", "0"], "--max-frames 0: must be 1 or more"),
    (["FOLDER", "--topic", "a b"], "topic name"),
    ([], "SOURCE"),
])
def test_bad_input_gives_one_line_and_status_2(arguments, words, folder, capsys):
    assert play.main([folder if a == "FOLDER" else a for a in arguments]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and words in said[0]


def test_playback_ends_early_at_a_stop_request(listener, folder, wait_for):
    from regionmask_ros.ros.player import Pace, Player
    from regionmask_ros.ros.session import RosSession
    from regionmask_ros.ros.stopping import StopRequest
    from regionmask_ros.sources import open_source

    stop = StopRequest()
    with RosSession() as own, open_source(folder) as source:
        player = own.add(lambda **node: Player("/cam", False, **node))
        threading.Timer(0.25, stop.set).start()
        played = list(player.play(source, Pace(0.01, False), stop))
    assert 1 <= len(played) < FRAMES
