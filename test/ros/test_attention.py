"""Boxes of planners: what they cover, how long they count, and what they do to the mask."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from rig import MATCH_S, message, send, watch
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


def asked(*boxes: BoundingBox2D, frame_id: str = "") -> BoundingBox2DArray:
    return BoundingBox2DArray(header=Header(frame_id=frame_id), boxes=list(boxes))


def test_a_box_becomes_corners_and_a_turned_one_the_upright_box_around_it():
    corners = request_boxes(asked(box(50, 20, 20, 10), box(50, 20, 20, 10, math.pi / 2), box(0, 0, 2, 2, math.pi / 4)))
    root = math.sqrt(2)
    np.testing.assert_allclose(corners, [[40, 15, 60, 25], [45, 10, 55, 30], [-root, -root, root, root]])
    assert request_boxes(asked()).shape == (0, 4)


@pytest.mark.parametrize("wrong", [
    box(0, 0, 0, 5), box(0, 0, 5, -1), box(math.nan, 0, 5, 5), box(0, math.inf, 5, 5), box(0, 0, math.inf, 5),
    box(0, 0, 5, 5, math.nan),
])
def test_a_box_that_is_none_is_refused(wrong):
    with pytest.raises(UserError, match="is not valid"):
        request_boxes(asked(wrong))


def test_boxes_add_up_until_their_time_is_over():
    requests = AttentionRequests()
    requests.put(asked(box(10, 10, 4, 4)), 100)
    requests.put(asked(box(20, 20, 4, 4)), 150)
    assert len(requests.active_boxes("camera", 199, 100)) == 2
    assert requests.active_boxes("camera", 200, 100).tolist() == [[18, 18, 22, 22]]
    assert requests.active_boxes("camera", 250, 100).shape == (0, 4)


def test_an_empty_message_takes_all_back():
    requests = AttentionRequests()
    requests.put(asked(box(10, 10, 4, 4)), 100)
    requests.put(asked(), 101)
    assert not len(requests.active_boxes("camera", 102, 100))


def test_time_that_jumps_back_ends_them_and_another_camera_is_not_meant():
    requests = AttentionRequests()
    requests.put(asked(box(10, 10, 4, 4), frame_id="left"), 1000)
    assert not len(requests.active_boxes("right", 1001, 100)) and len(requests.active_boxes("left", 1001, 100)) == 1
    assert not len(requests.active_boxes("left", 10, 100))


def test_a_flood_is_cut():
    requests = AttentionRequests()
    requests.put(asked(*[box(10, 10, 4, 4)] * (MAX_BOXES + 9)), 0)
    assert len(requests.active_boxes("", 1, 100)) == MAX_BOXES
    for _ in range(MAX_MESSAGES + 9):
        requests.put(asked(box(10, 10, 4, 4)), 0)
    assert len(requests.active_boxes("", 1, 100)) == MAX_MESSAGES


def test_a_planner_opens_regions_for_a_while(rig, wait_for, half_mask):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask, attention_lifetime=0.6)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    planner = peer.create_publisher(BoundingBox2DArray, "attention", RESULTS)
    wait_for(planner.get_subscription_count)
    time.sleep(MATCH_S)
    send(peer, wait_for, [message(0)])
    planner.publish(asked(box(80, 8, 8, 8), frame_id="left_optical"))
    wait_for(lambda: node._configured.attention._requests)
    send(peer, wait_for, [message(1)])
    time.sleep(0.6)
    send(peer, wait_for, [message(2)])
    wait_for(lambda: len(peer.heard["/mask"]) == 3)
    masks = [np.frombuffer(m.data, np.uint8).reshape(64, 96) for m in peer.heard["/mask"]]
    whole, opened, closed = (mask[::16, ::16] for mask in masks)
    assert (whole == 255).all()
    assert np.argwhere(opened[:, 3:]).tolist() == [[0, 1], [0, 2]] and (opened[:, :3] == 255).all()
    assert not closed[:, 3:].any()
    planner.publish(asked(box(80, 8, 8, -8)))
    send(peer, wait_for, [message(3)])
