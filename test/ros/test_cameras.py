"""Names of several cameras, their masks, and the network that they share."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.parameter import Parameter

from regionmask_ros.core.frame import Frame
from regionmask_ros.errors import UserError
from regionmask_ros.ros.cameras import Camera, cache_loads, find_masks, parse_camera, parse_cameras, require_distinct
from regionmask_ros.ros.node import DetectorNode


@pytest.mark.parametrize("text", ["[front,left]", "front,left", " [ 'front', \"left\" ] "])
def test_list_of_names_is_read(text):
    assert parse_cameras(text) == (Camera("front"), Camera("left"))


def test_mask_follows_an_equals_sign():
    camera = parse_camera("robot/front=masks/a=b.npz")
    assert camera == Camera("robot/front", "masks/a=b.npz") and str(camera) == "robot/front=masks/a=b.npz"
    assert camera.parameters == {"static_mask": "masks/a=b.npz", "mask_mode": "static+dynamic"}
    assert Camera("front").parameters == {} and str(Camera("front")) == "front"


@pytest.mark.parametrize("text", ["[]", "", "front,", "1st", "front left", "front/", "a//b", "front;left"])
def test_invalid_name_is_refused(text):
    with pytest.raises(UserError, match="a name is letters"):
        parse_cameras(text)


def test_name_that_comes_twice_is_refused():
    with pytest.raises(UserError, match="camera front: named twice"):
        require_distinct([Camera("front"), Camera("/front")])


def test_masks_are_found_in_a_folder_by_name(tmp_path):
    (tmp_path / "robot").mkdir()
    for name in ("front.png", "robot/left.npz"):
        (tmp_path / name).touch()
    cameras = find_masks(parse_cameras("front,/robot/left,rear"), str(tmp_path))
    assert [c.static_mask for c in cameras] == [str(tmp_path / "front.png"), str(tmp_path / "robot/left.npz"), ""]
    assert find_masks(parse_cameras("front"), "") == (Camera("front"),)
    with pytest.raises(UserError, match="no mask in it, such as rear.npz"):
        find_masks(parse_cameras("rear"), str(tmp_path))


def test_a_network_is_loaded_once_until_its_file_changes(tmp_path):
    loaded = []
    load = cache_loads(lambda file: loaded.append(file) or object())
    file = tmp_path / "network.pt"
    file.write_bytes(b"one")
    first = load(str(file))
    assert load(str(file)) is first and load("") is load("") and loaded == [str(file), ""]
    file.write_bytes(b"another")
    assert load(str(file)) is not first


def test_nodes_of_one_process_share_the_network_and_no_state(session, tiny_network):
    load = cache_loads(lambda file: tiny_network)
    nodes = [
        session.add(lambda **given: DetectorNode(
            load, namespace=name, parameter_overrides=[Parameter("score_threshold", value=0.1)], **given
        ))
        for name in ("front", "left")
    ]
    for node in nodes:
        node.start()
    assert [node.get_fully_qualified_name() for node in nodes] == ["/front/detector", "/left/detector"]
    front, left = (node._configured.pipeline for node in nodes)
    image = Frame(np.zeros((64, 96, 3), np.uint8), "bgr", 1, "camera")
    front.process(image)
    left.process(image)
    assert front.network is left.network, "backends share the weights of one network"
    assert front._camera.encoder is not left._camera.encoder
