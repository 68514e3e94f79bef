"""Boxes of planners: what they cover, how long they count, and how they change the mask."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rig import are_matched, message, send, watch
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D, BoundingBox2DArray

from regionmask_ros.errors import UserError
from regionmask_ros.ros.attention import MAX_BOXES, MAX_MESSAGES, AttentionRequests, request_boxes
from regionmask_ros.ros.publishers import IMAGES, RESULTS


def box(x: float, y: float, width: float, height: float, theta: float = 0.0) -> BoundingBox2D:
    # A whole number in such a field arrives as garbage.
    x, y, width, height = map(float, (x, y, width, height))
    built = BoundingBox2D(size_x=width, size_y=height)
    built.center.position.x, built.center.position.y, built.center.theta = x, y, theta
    return built


def make_message(*boxes: BoundingBox2D, frame_id: str = "") -> BoundingBox2DArray:
    return BoundingBox2DArray(header=Header(frame_id=frame_id), boxes=list(boxes))


def test_box_becomes_corners_and_rotated_box_the_upright_one_around_it():
    boxes = [box(50, 20, 20, 10), box(50, 20, 20, 10, math.pi / 2), box(0, 0, 2, 2, math.pi / 4)]
    corners = request_boxes(make_message(*boxes))
    root = math.sqrt(2)
    np.testing.assert_allclose(corners, [[40, 15, 60, 25], [45, 10, 55, 30], [-root, -root, root, root]])
    assert request_boxes(make_message()).shape == (0, 4)


@pytest.mark.parametrize("wrong", [
    box(0, 0, 0, 5), box(0, 0, 5, -1), box(math.nan, 0, 5, 5), box(0, math.inf, 5, 5), box(0, 0, math.inf, 5),
    box(0, 0, 5, 5, math.nan),
])
def test_invalid_box_is_refused(wrong):
    with pytest.raises(UserError, match="is not valid"):
        request_boxes(make_message(wrong))


def test_boxes_add_up_until_their_lifetime_ends():
    requests = AttentionRequests()
    requests.put(make_message(box(10, 10, 4, 4)), 100)
    requests.put(make_message(box(20, 20, 4, 4)), 150)
    assert len(requests.active_boxes("camera", 199, 100)) == 2
    assert requests.active_boxes("camera", 200, 100).tolist() == [[18, 18, 22, 22]]
    assert requests.active_boxes("camera", 250, 100).shape == (0, 4)


def test_empty_message_removes_all_boxes():
    requests = AttentionRequests()
    requests.put(make_message(box(10, 10, 4, 4)), 100)
    requests.put(make_message(), 101)
    assert not len(requests.active_boxes("camera", 102, 100))


def test_boxes_end_when_time_jumps_back_and_count_for_their_camera_only():
    requests = AttentionRequests()
    requests.put(make_message(box(10, 10, 4, 4), frame_id="left"), 1000)
    assert not len(requests.active_boxes("right", 1001, 100)) and len(requests.active_boxes("left", 1001, 100)) == 1
    assert not len(requests.active_boxes("left", 10, 100))


def test_number_of_messages_and_boxes_is_limited():
    requests = AttentionRequests()
    requests.put(make_message(*[box(10, 10, 4, 4)] * (MAX_BOXES + 9)), 0)
    assert len(requests.active_boxes("", 1, 100)) == MAX_BOXES
    for _ in range(MAX_MESSAGES + 9):
        requests.put(make_message(box(10, 10, 4, 4)), 0)
    assert len(requests.active_boxes("", 1, 100)) == MAX_MESSAGES


def test_regions_of_a_planner_are_kept_for_a_while(rig, wait_for, half_mask):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask, attention_lifetime=0.6)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    planner = peer.create_publisher(BoundingBox2DArray, "attention", RESULTS)
    wait_for(lambda: are_matched(node, peer))
    send(peer, wait_for, [message(0)])
    planner.publish(make_message(box(80, 8, 8, 8), frame_id="left_optical"))
    attention = node._configured.attention
    wait_for(lambda: attention._requests)
    send(peer, wait_for, [message(1)])
    wait_for(lambda: not len(attention.active_boxes("left_optical", node.get_clock().now().nanoseconds, 600_000_000)))
    send(peer, wait_for, [message(2)])
    wait_for(lambda: len(peer.heard["/mask"]) == 3)
    masks = [np.frombuffer(m.data, np.uint8).reshape(64, 96) for m in peer.heard["/mask"]]
    whole, opened, closed = (mask[::16, ::16] for mask in masks)
    assert (whole == 255).all()
    assert np.argwhere(opened[:, 3:]).tolist() == [[0, 1], [0, 2]] and (opened[:, :3] == 255).all()
    assert not closed[:, 3:].any()
    planner.publish(make_message(box(80, 8, 8, -8)))
    send(peer, wait_for, [message(3)])
