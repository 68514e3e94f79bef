"""The node's images: what they show, when they are made, and that they join by time."""

from __future__ import annotations

from collections import Counter, defaultdict

import cv2
import numpy as np
import pytest
from rig import FRAME_NS, SIZE_WH, START_NS, Peer, are_matched, call, header, make_image, message, send, watch
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from regionmask_ros.core.frame import Frame
from regionmask_ros.pipeline import pipeline as pipeline_module
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.report.overlay import keep_to_image
from regionmask_ros.ros import publishers
from regionmask_ros.ros.publishers import CAMERA, IMAGES, LAZY, RESULTS, jpeg_message

FRAMES = 6


def pixels_of(built: Image) -> np.ndarray:
    kind = np.uint16 if built.encoding == "16UC1" else np.uint8
    return np.frombuffer(built.data, kind).reshape(built.height, built.width, -1).squeeze()


def decoded(built: CompressedImage) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(built.data, np.uint8), cv2.IMREAD_UNCHANGED)


class ExactTime:
    """Joins messages of several topics whose stamps are equal, by the rule of message_filters.TimeSynchronizer."""

    def __init__(self, topics) -> None:
        self.topics, self.sets, self._waiting = set(topics), {}, defaultdict(dict)

    def put(self, topic: str, built) -> None:
        stamp = built.header.stamp
        row = self._waiting[stamp.sec, stamp.nanosec]
        row[topic] = built
        if set(row) == self.topics:
            self.sets[stamp.sec, stamp.nanosec] = self._waiting.pop((stamp.sec, stamp.nanosec))


def test_every_topic_shows_the_pipelines_results_and_joins_with_the_camera_by_time(
    rig, wait_for, tiny_network, half_mask
):
    node, peer = rig(refresh_period=4, mask_mode="static+dynamic", static_mask=half_mask, score_threshold=0.9)
    watch(peer, wait_for, node, {f"/{topic}": kind for topic, kind in LAZY.items()}, IMAGES)
    peer.listen(Image, "/image", CAMERA)
    wait_for(lambda: are_matched(node, peer))
    send(peer, wait_for, [message(i) for i in range(FRAMES)])
    wait_for(lambda: all(len(peer.heard[f"/{topic}"]) == FRAMES for topic in LAZY))

    joined = ExactTime(["detections", "/image", *(f"/{topic}" for topic in LAZY)])
    for topic in joined.topics:
        for built in peer.heard[topic]:
            joined.put(topic, built)
    assert len(joined.sets) == FRAMES

    reference = Pipeline(tiny_network, PipelineSettings(
        mask="static+dynamic", static_mask=half_mask, refresh_period=4, score_threshold=0.9
    ))
    for i, row in enumerate(joined.sets.values()):
        assert all(built.header == header(i) for built in row.values())
        frame = Frame(make_image(i), "bgr", START_NS + i * FRAME_NS, "left_optical")
        (result,) = reference.process(frame, want_events=True)
        shown, mask = {topic: row[f"/{topic}"] for topic in LAZY}, result.mask
        whole = keep_to_image(mask.keep, SIZE_WH)
        np.testing.assert_array_equal(pixels_of(shown["mask"]), whole)
        np.testing.assert_array_equal(decoded(shown["mask/compressed"]), whole)
        np.testing.assert_array_equal(pixels_of(shown["mask/static"]), 255 * mask.sources["static"])
        np.testing.assert_array_equal(pixels_of(shown["mask/dynamic"]), 255 * mask.sources["dynamic"])
        assert shown["mask/age"].encoding == "16UC1"
        np.testing.assert_array_equal(pixels_of(shown["mask/age"]), result.age)
        np.testing.assert_array_equal(pixels_of(shown["events"]), result.events)
        # Noise loses its colors in a JPEG, not its brightness.
        gray = [cv2.blur(cv2.cvtColor(p, cv2.COLOR_BGR2GRAY), (8, 8)).astype(int)
                for p in (pixels_of(shown["overlay"]), decoded(shown["overlay/compressed"]))]
        assert shown["overlay"].encoding == "bgr8" and np.abs(gray[0] - gray[1]).mean() < 2
    assert {pixels_of(built).max() for built in peer.heard["/mask/age"]} == {0, 1, 2, 3}


def test_preset_shows_the_regions_that_it_keeps_and_numbers_objects(rig, wait_for, tiny_network):
    node, peer = rig(preset="careful", score_threshold=0.5)
    watch(peer, wait_for, node, {"/mask/dynamic": Image}, IMAGES)
    send(peer, wait_for, [message(i) for i in range(FRAMES)])
    wait_for(lambda: len(peer.heard["/mask/dynamic"]) == FRAMES and len(peer.heard["detections"]) == FRAMES)
    reference = Pipeline(tiny_network, PipelineSettings(preset="careful", score_threshold=0.5))
    for i, (shown, found) in enumerate(zip(peer.heard["/mask/dynamic"], peer.heard["detections"])):
        (result,) = reference.process(Frame(make_image(i), "bgr", START_NS + i * FRAME_NS, "left_optical"))
        attended = np.zeros((4, 6), bool) if result.mask.refresh else result.mask.keep
        np.testing.assert_array_equal(pixels_of(shown), 255 * attended)
        assert [one.id for one in found.detections] == [str(number) for number in result.detections.track_ids]
    assert any(pixels_of(shown).any() for shown in peer.heard["/mask/dynamic"]) and found.detections
    assert node._collect_facts().mask_mode == "careful"


def test_mgnet_mask_of_the_node_is_that_of_the_pipeline(rig, wait_for, tiny_network):
    chosen = {"refresh_period": 4, "score_threshold": 0.9, "target_masked": 0.5}
    node, peer = rig(mask_mode="dynamic", dynamic_mask="mgnet", **chosen)
    watch(peer, wait_for, node, {"/mask": Image, "/mask/dynamic": Image}, IMAGES)
    send(peer, wait_for, [message(i) for i in range(FRAMES)])
    wait_for(lambda: len(peer.heard["/mask"]) == len(peer.heard["/mask/dynamic"]) == FRAMES)
    reference = Pipeline(tiny_network, PipelineSettings(mask="dynamic", dynamic="mgnet", **chosen))
    for i, (mask, dynamic) in enumerate(zip(peer.heard["/mask"], peer.heard["/mask/dynamic"])):
        (result,) = reference.process(Frame(make_image(i), "bgr", START_NS + i * FRAME_NS, "left_optical"))
        np.testing.assert_array_equal(pixels_of(mask), keep_to_image(result.mask.keep, SIZE_WH))
        np.testing.assert_array_equal(pixels_of(dynamic), 255 * result.mask.sources["dynamic"])
    assert node._collect_facts().mask_mode == "dynamic"


def test_message_filters_joins_the_outputs(rig, wait_for):
    message_filters = pytest.importorskip("message_filters", reason="message_filters is missing: ROS brings it")
    node, peer = rig()
    sets = []
    inputs = [
        message_filters.Subscriber(peer, kind, topic, qos_profile=qos)
        for kind, topic, qos in ((Image, "image", CAMERA), (Detection2DArray, "detections", RESULTS),
                                 (Image, "mask", IMAGES))
    ]
    message_filters.TimeSynchronizer(inputs, 10).registerCallback(lambda *row: sets.append(row))
    wait_for(lambda: are_matched(node, peer))
    send(peer, wait_for, [message(i) for i in range(3)])
    wait_for(lambda: len(sets) == 3)
    assert all(m.header == header(i) for i, row in enumerate(sets) for m in row)


MAKERS = {
    "/mask": ["keep_to_image", "image_message"],
    "/mask/compressed": ["keep_to_image", "png_message"],
    "/mask/static": ["image_message"],
    "/mask/dynamic": ["image_message"],
    "/mask/age": ["image_message"],
    "/overlay": ["draw", "image_message"],
    "/overlay/compressed": ["draw", "jpeg_message"],
    "/events": ["make_events_image", "image_message"],
}
"""By topic: the functions that are called for it, once per frame."""


def test_images_without_a_subscriber_are_not_made(rig, wait_for, monkeypatch):
    made = Counter()

    def count(module, name: str) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given: made.update([name]) or real(*given))

    for name in ("keep_to_image", "image_message", "png_message", "jpeg_message", "find_unobserved"):
        count(publishers, name)
    count(publishers.Overlay, "draw")
    count(pipeline_module, "make_events_image")
    node, peer = rig()
    send(peer, wait_for, [message(0), message(1)])
    assert not made
    assert MAKERS.keys() == {f"/{topic}" for topic in LAZY}
    for index, (topic, makers) in enumerate(MAKERS.items()):
        subscription = peer.listen(LAZY[topic[1:]], topic, IMAGES)
        wait_for(lambda: are_matched(node, peer))
        send(peer, wait_for, [message(2 + index)])
        wait_for(lambda: peer.heard[topic])
        assert made == Counter(makers) and peer.heard[topic][0].header == header(2 + index)
        call(peer, lambda: peer.destroy_subscription(subscription))
        publisher = next(publisher for publisher in node.publishers if publisher.topic_name == topic)
        wait_for(lambda: not publisher.get_subscription_count())
        made.clear()
    send(peer, wait_for, [message(20)])
    assert not made, "work ends with the last subscriber"


class CompressedCamera(Peer):
    def open_camera(self):
        return self.create_publisher(CompressedImage, "image/compressed", CAMERA)


def test_compressed_images_are_processed_and_compressed_depth_is_refused(rig, wait_for):
    _node, peer = rig(CompressedCamera, image_transport="compressed")
    send(peer, wait_for, [jpeg_message(make_image(i), header(i)) for i in range(2)])
    assert [m.header for m in peer.heard["detections"]] == [header(0), header(1)]
    depth = jpeg_message(make_image(2), header(2))
    depth.format = "16UC1; compressedDepth png"
    peer.camera.publish(depth)
    wait_for(lambda: peer.values().get("frames dropped (broken)") == "1")
    assert "compressed depth" in peer.verdict()
    values = peer.values()
    assert (values["image topic"], values["image transport"]) == ("/image/compressed", "compressed")


def test_stale_detections_are_kept_or_dropped(rig, wait_for, half_mask):
    from rclpy.parameter import Parameter

    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    send(peer, wait_for, [message(0), message(1)])
    assert node.set_parameters([Parameter("stale_detections", value="drop")])[0].successful
    send(peer, wait_for, [message(2)])

    def beyond(built: Detection2DArray) -> int:
        """Boxes that lie in the masked half alone."""
        return sum(d.bbox.center.position.x - d.bbox.size_x / 2 >= 48 for d in built.detections)

    whole, kept, dropped = peer.heard["detections"]
    assert beyond(whole) and beyond(kept) and dropped.detections and not beyond(dropped)
