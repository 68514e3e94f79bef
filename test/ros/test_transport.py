"""Raw or compressed images: what the node takes, and what it says where none come."""

from __future__ import annotations

import cv2
import pytest
import rclpy
from hypothesis import given
from hypothesis import strategies as st
from rclpy.parameter import Parameter
from rig import Peer, are_matched, call, change, header, make_image, message, send
from sensor_msgs.msg import CompressedImage, Image

from regionmask_ros.ros import camera, health
from regionmask_ros.ros.node import DetectorNode
from regionmask_ros.ros.publishers import CAMERA
from regionmask_ros.ros.transport import AUTO, COMPRESSED, RAW, TYPES, Feed, FeedChoice, advise, expected_feed, feeds_of

CAM = "/cam/image_raw"
IMAGE_TYPE, JPEG_TYPE = TYPES[RAW], TYPES[COMPRESSED]


def graph(**types: str):
    """Publishers: base, sub (the base topic's /compressed) and their types."""
    names = {"base": CAM, "sub": f"{CAM}/compressed"}
    found = {names[name]: {kind} for name, kind in types.items()}
    return lambda topic: found.get(topic, set())


def settle(image: str, publishers) -> Feed:
    choice, feed = FeedChoice(image), expected_feed(image, AUTO)
    for _ in range(3):
        feed = choice.look(feed, publishers)
    return feed


@pytest.mark.parametrize(("image", "published", "expected"), [
    (CAM, {}, Feed(RAW, CAM)),
    (CAM, {"base": IMAGE_TYPE}, Feed(RAW, CAM)),
    (CAM, {"base": IMAGE_TYPE, "sub": JPEG_TYPE}, Feed(RAW, CAM)),
    (CAM, {"sub": JPEG_TYPE}, Feed(COMPRESSED, f"{CAM}/compressed")),
    (CAM, {"base": JPEG_TYPE}, Feed(COMPRESSED, CAM)),
    (f"{CAM}/compressed", {}, Feed(COMPRESSED, f"{CAM}/compressed")),
    (f"{CAM}/compressed", {"sub": JPEG_TYPE, "base": IMAGE_TYPE}, Feed(COMPRESSED, f"{CAM}/compressed")),
    (f"{CAM}/compressed", {"base": IMAGE_TYPE}, Feed(RAW, CAM)),
    (CAM, {"base": "std_msgs/msg/String"}, Feed(RAW, CAM)),
])
def test_auto_takes_what_is_published(image, published, expected):
    assert settle(image, graph(**published)) == expected


def test_raw_images_that_are_seen_a_moment_later_are_preferred():
    choice, raw = FeedChoice(CAM), Feed(RAW, CAM)
    assert choice.look(raw, graph(sub=JPEG_TYPE)) == raw, "the raw topic of the same camera may not be known yet"
    assert choice.look(raw, graph(sub=JPEG_TYPE, base=IMAGE_TYPE)) == raw


def test_images_that_come_are_kept_until_their_publisher_goes():
    choice, small = FeedChoice(CAM), Feed(COMPRESSED, f"{CAM}/compressed")
    assert choice.look(small, graph(sub=JPEG_TYPE, base=IMAGE_TYPE)) == small
    assert choice.look(small, graph()) == small
    assert choice.look(small, graph(base=IMAGE_TYPE)) == Feed(RAW, CAM)


@given(st.sampled_from([CAM, f"{CAM}/compressed"]), st.sampled_from([RAW, COMPRESSED, AUTO]), st.dictionaries(
    st.sampled_from(["base", "sub"]), st.sampled_from([IMAGE_TYPE, JPEG_TYPE, "std_msgs/msg/String"])))
def test_whatever_is_published_auto_reads_it_and_advice_is_right(image, wanted, published):
    publishers = graph(**published)
    readable = [feed for feed in feeds_of(image) if feed.is_published(publishers)]
    assert not readable or settle(image, publishers) in readable
    current = settle(image, publishers) if wanted == AUTO else expected_feed(image, wanted)
    line = advise(image, wanted, current, publishers, dict)
    if current.is_published(publishers):
        assert line == ""
    elif readable:
        arguments = dict(word.split(":=") for word in line.partition("start the node with ")[2].split() if ":=" in word)
        new = expected_feed(arguments.get("image", image), arguments["image_transport"])
        assert arguments["image_transport"] == AUTO or new.is_published(publishers)


@pytest.mark.parametrize(("image", "wanted", "published", "line"), [
    (f"{CAM}/compressed", RAW, {"sub": JPEG_TYPE}, "-p image_transport:=compressed -r image:=/cam/image_raw"),
    (f"{CAM}/compressed", COMPRESSED, {"sub": JPEG_TYPE}, "-p image_transport:=compressed -r image:=/cam/image_raw"),
    (CAM, RAW, {"sub": JPEG_TYPE}, "/cam/image_raw/compressed has sensor_msgs/msg/CompressedImage, and image_trans"),
    (CAM, RAW, {"sub": JPEG_TYPE}, "transport is raw: start the node with -p image_transport:=compressed"),
    (CAM, RAW, {"base": JPEG_TYPE}, "-p image_transport:=auto (images on /cam/image_raw itself"),
    (CAM, COMPRESSED, {"base": IMAGE_TYPE}, "-p image_transport:=raw"),
    (CAM, AUTO, {"base": "std_msgs/msg/String"}, "has std_msgs/msg/String, which is no image"),
    (CAM, AUTO, {}, f"images are on /left/compressed ({JPEG_TYPE}), /right ({IMAGE_TYPE}): start the node with -r"),
    (CAM, RAW, {}, f"images are on /right ({IMAGE_TYPE}), /left/compressed ({JPEG_TYPE}): start the node with -r"),
    (CAM, COMPRESSED, {}, ": start the node with -r image:=/left"),
])
def test_advice_names_what_was_found_and_the_argument(image, wanted, published, line):
    others = {"/right": RAW, "/left/compressed": COMPRESSED}
    assert line in advise(image, wanted, expected_feed(image, wanted), graph(**published), lambda: others)


@given(st.sampled_from([RAW, COMPRESSED, AUTO]), st.dictionaries(
    st.sampled_from(["/a", "/b/compressed", "/c"]), st.sampled_from([RAW, COMPRESSED]), min_size=1))
def test_with_the_argument_the_node_reads_a_topic_elsewhere(wanted, others):
    line = advise(CAM, wanted, expected_feed(CAM, wanted), graph(), lambda: others)
    arguments = dict(word.split(":=") for word in line.partition("start the node with ")[2].split() if ":=" in word)
    transport = arguments.get("image_transport", wanted)
    published = {topic: {TYPES[kind]} for topic, kind in others.items()}.get
    feed = expected_feed(arguments["image"], transport)
    if transport == AUTO:
        feed = settle(arguments["image"], lambda topic: published(topic, set()))
    assert feed.is_published(lambda topic: published(topic, set()))


def jpeg(index: int) -> CompressedImage:
    built = CompressedImage(header=header(index), format="jpeg")
    built.data = cv2.imencode(".jpg", make_image(index))[1].tobytes()
    return built


class CompressedCamera(Peer):
    def open_camera(self):
        return self.create_publisher(CompressedImage, "image/compressed", CAMERA)


class Deaf(Peer):
    def open_camera(self):
        return None


@pytest.fixture
def jpeg_on_base():
    """A camera of another process: one process cannot have two types on a topic."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("camera", context=context)
    yield node.create_publisher(CompressedImage, "image", CAMERA)
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(camera, "LOOK_S", 0.05)
    monkeypatch.setattr(health, "INPUT_TIMEOUT_S", 0.3)


def subscribes_to(node, topic: str) -> bool:
    return node._active.camera.topic == topic


def test_the_node_changes_to_the_images_that_are_there_now(rig, wait_for):
    node, peer = rig(CompressedCamera)
    wait_for(lambda: subscribes_to(node, "/image/compressed") and are_matched(node, peer))
    send(peer, wait_for, [jpeg(0)])
    wait_for(lambda: peer.values().get("image transport") == "compressed")
    assert peer.values()["image topic"] == "/image/compressed" and peer.values()["image converter"]
    call(peer, lambda: peer.destroy_publisher(peer.camera))
    peer.camera = peer.create_publisher(Image, "image", CAMERA)
    wait_for(lambda: subscribes_to(node, "/image") and are_matched(node, peer))
    send(peer, wait_for, [message(1)])
    wait_for(lambda: peer.values().get("image transport") == "raw")


def test_compressed_images_on_the_base_topic_are_taken(rig, wait_for, jpeg_on_base):
    node, peer = rig(Deaf)
    wait_for(lambda: node._active.camera.state.transport == "compressed" and jpeg_on_base.get_subscription_count())
    peer.camera = jpeg_on_base
    wait_for(lambda: node.count_publishers("/image") and node._active.camera._subscription.get_publisher_count())
    send(peer, wait_for, [jpeg(0)])
    assert subscribes_to(node, "/image")


def test_the_wrong_transport_is_said_with_the_argument(rig, wait_for, capfd):
    _node, peer = rig(CompressedCamera, image_transport="raw")
    lines = []
    wait_for(lambda: lines.append(capfd.readouterr().err) or "-p image_transport:=compressed" in "".join(lines))
    wait_for(lambda: "-p image_transport:=compressed" in peer.verdict())


def test_a_camera_that_comes_late_is_said_with_the_argument(rig, wait_for, capfd):
    _node, peer = rig(Deaf, image_transport="raw")
    lines = []
    wait_for(lambda: lines.append(capfd.readouterr().err) or "is the camera running" in "".join(lines))
    peer.camera = peer.create_publisher(CompressedImage, "image/compressed", CAMERA)
    wait_for(lambda: lines.append(capfd.readouterr().err) or "-p image_transport:=compressed" in "".join(lines))


def test_a_topic_of_another_type_is_said_with_the_argument(rig, wait_for, jpeg_on_base):
    _node, peer = rig(Deaf, image_transport="raw")
    wait_for(lambda: "-p image_transport:=auto" in peer.verdict())


def test_images_elsewhere_are_named_but_not_those_of_other_detectors(rig, wait_for, session, tiny_network):
    _node, peer = rig(Deaf, use_sim_time=True)
    other = session.add(lambda **given: DetectorNode(lambda file: tiny_network, namespace="a", **given))
    peer.camera = peer.create_publisher(CompressedImage, "/front/small", CAMERA)
    peer.create_publisher(CompressedImage, "/deep/compressedDepth", CAMERA)
    call(other, other.trigger_configure)
    wait_for(lambda: other.count_publishers("/front/small") and peer.count_publishers("/a/overlay"))
    wait_for(lambda: peer.verdict().endswith("images are on /front/small (sensor_msgs/msg/CompressedImage): "
                                             "start the node with -r image:=/front/small"))


@pytest.mark.parametrize("kind", [Parameter.Type.BYTE_ARRAY, Parameter.Type.BOOL_ARRAY, Parameter.Type.STRING_ARRAY])
def test_an_empty_list_means_all_classes(rig, kind):
    node, _peer = rig(classes=["square"], image_transport="raw")
    result = node.set_parameters_atomically([Parameter("classes", kind, [])])
    assert result.successful and node._configured.pipeline.settings.classes == ()
    assert change(node, classes=["disc"]).successful
