"""Looped and paused bags, stamps that jump, repeat or are zero, two cameras on one topic, simulated time."""

from __future__ import annotations

from rclpy.parameter import Parameter
from rig import START_NS, are_matched, header, message, send, watch
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from regionmask_ros.ros.publishers import CAMERA, IMAGES, RESULTS, stamp_from_ns


def whole_images(peer) -> list[bool]:
    """By image: whether it was observed as a whole."""
    return [min(m.data) == 255 for m in peer.heard["/mask"]]


def test_stamp_that_jumps_back_resets_and_gives_a_warning(rig, wait_for, half_mask, capfd):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    send(peer, wait_for, [message(0), message(5), message(1), message(2)])
    wait_for(lambda: len(peer.heard["/mask"]) == 4)
    assert whole_images(peer) == [True, False, True, False]
    wait_for(lambda: peer.values().get("fresh starts") == "1")
    assert capfd.readouterr().err.count("time stamps jumped back by 0.160 s: the detector is reset") == 1


def test_stamp_of_zero_is_kept_and_resets_nothing(rig, wait_for, half_mask, capfd):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    built = message(0)
    built.header.stamp = stamp_from_ns(0)
    send(peer, wait_for, [built, built, built])
    wait_for(lambda: len(peer.heard["/mask"]) == 3)
    assert [m.header for m in peer.heard["detections"]] == [built.header] * 3
    assert whole_images(peer) == [True, False, False]
    assert node._configured.frame_stats.counts.repeated == 0
    wait_for(lambda: peer.values().get("frames answered") == "3")
    assert peer.values()["latency stamp to publish p50 [ms]"] == ""
    assert capfd.readouterr().err.count("images have no time stamp") == 1


def test_images_with_repeated_stamps_are_processed_and_counted(rig, wait_for, half_mask, capfd):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    send(peer, wait_for, [message(3), message(3), message(3)])
    wait_for(lambda: len(peer.heard["/mask"]) == 3)
    assert whole_images(peer) == [True, False, False] and len(peer.heard["detections"]) == 3
    assert node._configured.frame_stats.counts.repeated == 2
    assert capfd.readouterr().err.count("two images have the same time stamp") == 1


def test_two_publishers_on_one_topic_give_a_warning_and_results_keep_their_headers(rig, wait_for):
    node, peer = rig()
    other = peer.create_publisher(Image, "image", CAMERA)
    wait_for(lambda: are_matched(node, peer))
    for i in range(4):
        built = message(i)
        built.header = header(i, "left_optical" if i % 2 else "right_optical")
        before = len(peer.heard["detections"])
        (other if i % 2 else peer.camera).publish(built)
        wait_for(lambda: len(peer.heard["detections"]) > before)
    assert [m.header.frame_id for m in peer.heard["detections"]] == ["right_optical", "left_optical"] * 2
    assert node._configured.pipeline.resets == 3, "each change of camera is a reset"
    wait_for(lambda: peer.verdict().startswith("2 publishers on /image"))
    assert peer.values()["publishers of pictures"] == "2"


def test_paused_and_looped_bag_on_simulated_time(rig, wait_for, half_mask):
    node, peer = rig(
        use_sim_time=True, refresh_period=0, mask_mode="static", static_mask=half_mask, attention_lifetime=100.0
    )
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    clock = peer.create_publisher(Clock, "/clock", RESULTS)
    wait_for(lambda: are_matched(node, peer))

    def set_time(now_ns: int) -> None:
        clock.publish(Clock(clock=stamp_from_ns(now_ns)))
        wait_for(lambda: node.get_clock().now().nanoseconds == now_ns)

    set_time(START_NS + 5_000_000)
    send(peer, wait_for, [message(0), message(1)])
    # The bag pauses: diagnostics continue, with the bag's time, and say why no image comes.
    wait_for(lambda: "simulated time stands still" in peer.verdict() and peer.values().get("frames answered") == "2")
    report = peer.heard["/diagnostics"][-1]
    assert report.header.stamp == stamp_from_ns(START_NS + 5_000_000)
    # It continues, and starts again from the beginning.
    set_time(START_NS + 90_000_000)
    send(peer, wait_for, [message(2)])
    set_time(START_NS)
    send(peer, wait_for, [message(0), message(1)])
    wait_for(lambda: len(peer.heard["/mask"]) == 5)
    assert whole_images(peer) == [True, False, False, True, False]


def test_simulated_time_can_be_switched_off_while_running(rig, wait_for):
    node, peer = rig(use_sim_time=True)
    send(peer, wait_for, [message(0)])
    assert node.set_parameters([Parameter("use_sim_time", value=False)])[0].successful
    built = message(1)
    built.header.stamp = node.get_clock().now().to_msg()
    send(peer, wait_for, [built])
    wait_for(lambda: peer.values().get("latency stamp to publish p50 [ms]"))
    assert float(peer.values()["latency stamp to publish p95 [ms]"]) < 5000
