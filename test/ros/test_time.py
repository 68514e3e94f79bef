"""Looped and paused bags, stamps that jump or repeat or are none, two cameras on one topic, simulated time."""

from __future__ import annotations

import time

from rclpy.parameter import Parameter
from rig import MATCH_S, START_NS, header, message, send, watch
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from regionmask_ros.ros.publishers import CAMERA, IMAGES, RESULTS, stamp_from_ns


def whole(peer) -> list[bool]:
    """By picture: everything was sent."""
    return [min(m.data) == 255 for m in peer.heard["/mask"]]


def test_a_stamp_that_jumps_back_starts_afresh_and_is_told(rig, wait_for, half_mask, capfd):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    send(peer, wait_for, [message(0), message(5), message(1), message(2)])
    wait_for(lambda: len(peer.heard["/mask"]) == 4)
    assert whole(peer) == [True, False, True, False]
    wait_for(lambda: peer.values().get("fresh starts") == "1", 3.0)
    assert capfd.readouterr().err.count("time stamps jumped back by 0.160 s: the detector is reset") == 1


def test_a_stamp_of_zero_is_passed_on_unchanged_and_starts_nothing_afresh(rig, wait_for, half_mask, capfd):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    built = message(0)
    built.header.stamp = stamp_from_ns(0)
    send(peer, wait_for, [built, built, built])
    wait_for(lambda: len(peer.heard["/mask"]) == 3)
    assert [m.header for m in peer.heard["detections"]] == [built.header] * 3
    assert whole(peer) == [True, False, False]
    assert node._configured.frame_stats.counts.repeated == 0
    wait_for(lambda: peer.values().get("frames answered") == "3", 3.0)
    assert peer.values()["latency stamp to publish p50 [ms]"] == ""
    assert capfd.readouterr().err.count("images have no time stamp") == 1


def test_repeated_stamps_are_answered_each_and_counted(rig, wait_for, half_mask, capfd):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    send(peer, wait_for, [message(3), message(3), message(3)])
    wait_for(lambda: len(peer.heard["/mask"]) == 3)
    assert whole(peer) == [True, False, False] and len(peer.heard["detections"]) == 3
    assert node._configured.frame_stats.counts.repeated == 2
    assert capfd.readouterr().err.count("two images have the same time stamp") == 1


def test_two_publishers_on_one_topic_are_told_and_each_picture_is_answered_with_its_own_header(rig, wait_for):
    node, peer = rig()
    other = peer.create_publisher(Image, "image", CAMERA)
    wait_for(other.get_subscription_count)
    time.sleep(MATCH_S)
    for i in range(4):
        built = message(i)
        built.header = header(i, "left_optical" if i % 2 else "right_optical")
        before = len(peer.heard["detections"])
        (other if i % 2 else peer.camera).publish(built)
        wait_for(lambda: len(peer.heard["detections"]) > before)
    assert [m.header.frame_id for m in peer.heard["detections"]] == ["right_optical", "left_optical"] * 2
    assert node._configured.pipeline.resets == 3, "each change of camera starts afresh"
    wait_for(lambda: peer.verdict().startswith("2 publishers on /image"), 3.0)
    assert peer.values()["publishers of pictures"] == "2"


def test_a_paused_and_a_looped_bag_on_simulated_time(rig, wait_for, half_mask):
    node, peer = rig(
        use_sim_time=True, refresh_period=0, mask_mode="static", static_mask=half_mask, attention_lifetime=100.0
    )
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    clock = peer.create_publisher(Clock, "/clock", RESULTS)
    wait_for(clock.get_subscription_count)
    time.sleep(MATCH_S)

    def tell(now_ns: int) -> None:
        clock.publish(Clock(clock=stamp_from_ns(now_ns)))
        wait_for(lambda: node.get_clock().now().nanoseconds == now_ns)

    tell(START_NS + 5_000_000)
    send(peer, wait_for, [message(0), message(1)])
    # The bag pauses: diagnostics go on, in the bag's time, and say why nothing comes.
    wait_for(lambda: "simulated time stands still" in peer.verdict() and peer.values()["frames answered"] == "2")
    report = peer.heard["/diagnostics"][-1]
    assert report.header.stamp == stamp_from_ns(START_NS + 5_000_000)
    # It goes on, and starts again from the beginning.
    tell(START_NS + 90_000_000)
    send(peer, wait_for, [message(2)])
    tell(START_NS)
    send(peer, wait_for, [message(0), message(1)])
    wait_for(lambda: len(peer.heard["/mask"]) == 5)
    assert whole(peer) == [True, False, False, True, False]


def test_simulated_time_can_be_switched_off_while_running(rig, wait_for):
    node, peer = rig(use_sim_time=True)
    send(peer, wait_for, [message(0)])
    assert node.set_parameters([Parameter("use_sim_time", value=False)])[0].successful
    built = message(1)
    built.header.stamp = node.get_clock().now().to_msg()
    send(peer, wait_for, [built])
    wait_for(lambda: peer.values().get("latency stamp to publish p50 [ms]"), 3.0)
    assert float(peer.values()["latency stamp to publish p95 [ms]"]) < 5000
