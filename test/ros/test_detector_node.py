"""The node in this process, with a small random network: life cycle, outputs, counts, parameters over real topics."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rig import HANG_S, SIZE_WH, add_node, are_matched, call, change, header, make_image, message, send
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo

from regionmask_ros.core.frame import Frame
from regionmask_ros.errors import UserError
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.ros.publishers import IMAGES, LATCHED

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def test_every_output_has_its_images_header_and_the_pipelines_result(rig, wait_for, tiny_network, half_mask):
    node, peer = rig(refresh_period=4, mask_mode="static", static_mask=half_mask)
    peer.listen(Image, "mask", IMAGES)
    peer.listen(Image, "overlay", IMAGES)
    peer.listen(LabelInfo, "label_info", LATCHED)
    wait_for(lambda: peer.heard["label_info"] and are_matched(node, peer))
    send(peer, wait_for, [message(i) for i in range(10)])
    for topic in ("mask", "overlay"):
        wait_for(lambda: len(peer.heard[topic]) == 10)
        assert [m.header for m in peer.heard[topic]] == [header(i) for i in range(10)]
    pipeline = Pipeline(tiny_network, PipelineSettings(
        mask="static", static_mask=half_mask, refresh_period=4, score_threshold=0.0
    ))
    for i, (heard, mask, overlay) in enumerate(zip(*(peer.heard[t] for t in ("detections", "mask", "overlay")))):
        (result,) = pipeline.process(Frame(make_image(i), "bgr", 10**18 + i * 40_000_000, "left_optical"))
        assert heard.header == header(i) and all(d.header == header(i) for d in heard.detections)
        assert len(heard.detections) == len(result.detections)
        assert [d.results[0].hypothesis.class_id for d in heard.detections] == [
            tiny_network.labels[k] for k in result.detections.class_ids
        ]
        centers = (result.detections.boxes[:, :2] + result.detections.boxes[:, 2:]) / 2
        np.testing.assert_array_equal(
            [(d.bbox.center.position.x, d.bbox.center.position.y) for d in heard.detections], centers
        )
        assert (mask.encoding, mask.width, mask.height) == ("mono8", *SIZE_WH)
        sent = np.array(mask.data).reshape(64, 96)
        np.testing.assert_array_equal(sent[::16, ::16], np.where(result.mask.keep, 255, 0))
        assert (overlay.encoding, overlay.width, overlay.height) == ("bgr8", *SIZE_WH)
    labels = peer.heard["label_info"][0]
    assert [(c.class_id, c.class_name) for c in labels.class_map] == [(0, "square"), (1, "disc")]


def test_empty_results_are_published_too(rig, wait_for):
    _node, peer = rig(score_threshold=1.0)
    send(peer, wait_for, [message(0)])
    assert list(peer.heard["detections"][0].detections) == []


def test_broken_image_is_dropped_counted_and_reported(rig, wait_for):
    node, peer = rig()
    send(peer, wait_for, [message(0)])
    cut = message(1)
    del cut.data[-10:]
    unknown = message(2)
    unknown.encoding = "h264"
    for built in (cut, unknown):
        before = node._configured.frame_stats.counts.broken
        peer.camera.publish(built)
        wait_for(lambda: node._configured.frame_stats.counts.broken > before)
    send(peer, wait_for, [message(3)])
    # A report may catch the last one on its way.
    wait_for(lambda: (peer.values().get("frames received"), peer.values().get("frames in flight")) == ("4", "0"))
    values, status = peer.values(), peer.heard["/diagnostics"][-1].status[0]
    assert (values["frames answered"], values["frames dropped (broken)"]) == ("2", "2")
    assert values["frames dropped (broken): image unreadable"] == "2"
    assert status.level == b"\x01" and "h264" in status.message and "h264" in values["last error"]


def test_mask_that_does_not_fit_the_camera_is_an_error_and_no_crash(rig, wait_for, write_mask):
    _node, peer = rig(mask_mode="static", static_mask=write_mask(np.ones((3, 3), bool)))
    peer.camera.publish(message(0))
    wait_for(lambda: peer.values().get("frames dropped (broken): refused by the detector") == "1")
    assert peer.heard["/diagnostics"][-1].status[0].level == b"\x02"
    write_mask(np.ones((4, 6), bool))
    send(peer, wait_for, [message(1)])


def test_every_received_frame_is_answered_or_counted_when_images_come_too_fast(rig, wait_for):
    node, peer = rig()
    pipeline, stats, go_on = node._active.worker._pipeline, node._configured.frame_stats, threading.Event()
    process = pipeline.process
    pipeline.process = lambda *given: (go_on.wait(HANG_S), process(*given))[1]
    while stats.counts.overwritten < 5:
        before = stats.counts.received
        peer.camera.publish(message(before % 10))
        wait_for(lambda: stats.counts.received > before)
    go_on.set()
    counts = wait_for(lambda: (c := stats.counts) and not c.in_flight and c)
    assert counts.broken == 0
    assert counts.received == counts.answered + counts.overwritten
    wait_for(lambda: len(peer.heard["detections"]) == counts.answered)


def test_image_in_the_slot_is_processed_before_the_node_becomes_inactive(rig, wait_for):
    node, peer = rig()
    worker, go_on = node._active.worker, threading.Event()
    process = worker._pipeline.process
    worker._pipeline.process = lambda *given: (go_on.wait(HANG_S), process(*given))[1]
    peer.camera.publish(message(0))
    wait_for(lambda: node._configured.frame_stats.counts.received == 1 and worker._slot.is_empty)
    peer.camera.publish(message(1))
    wait_for(lambda: node._configured.frame_stats.counts.received == 2)
    closing = threading.Thread(target=lambda: (wait_for(lambda: worker._slot._is_closed), go_on.set()))
    closing.start()
    assert call(node, node.trigger_deactivate) is SUCCESS
    closing.join()
    counts = node._configured.frame_stats.counts
    assert (counts.answered, counts.in_flight) == (2, 0)
    wait_for(lambda: len(peer.heard["detections"]) == 2)


def test_publishers_exist_once_configured(rig, wait_for):
    node, peer = rig(autostart=False)
    assert call(node, node.trigger_configure) is SUCCESS
    topics = {publisher.topic_name for publisher in node.publishers}
    assert {"/detections", "/mask", "/overlay", "/label_info", "/diagnostics"} <= topics
    assert "/image" not in {s.topic_name for s in node.subscriptions}
    wait_for(lambda: peer.values().get("state") == "inactive")


def test_missing_network_file_fails_the_transition_and_a_good_one_makes_it_pass(session, trained_file, tmp_path):
    file = tmp_path / "late.pt"
    node = add_node(session, autostart=False, network_file=str(file))
    assert node.trigger_configure() is FAILURE
    assert not list(node.timers) and node._configured is None
    assert not node.set_parameters([Parameter("network_file", value=str(trained_file))])[0].successful
    file.symlink_to(trained_file)
    assert node.trigger_configure() is SUCCESS


def test_missing_mask_file_fails_the_transition(session, tiny_network, tmp_path):
    node = add_node(session, lambda file: tiny_network, mask_mode="static", static_mask=str(tmp_path / "missing.png"))
    with pytest.raises(UserError, match="missing.png"):
        node.start()


def test_bug_drops_the_frame_and_does_not_end_the_node(rig, wait_for):
    node, peer = rig()
    worker = node._active.worker
    process, publish = worker._pipeline.process, worker._outputs.publish

    def fail(*given):
        raise RuntimeError("boom")

    worker._pipeline.process = fail
    peer.camera.publish(message(0))
    wait_for(lambda: node._configured.frame_stats.counts.broken == 1)
    worker._pipeline.process, worker._outputs.publish = process, fail
    peer.camera.publish(message(1))
    wait_for(lambda: node._configured.frame_stats.counts.broken == 2)
    worker._outputs.publish = publish
    send(peer, wait_for, [message(2)])
    assert node._configured.frame_stats.last_drop.is_failure and "boom" in node._configured.frame_stats.last_drop.text
    assert node._configured.frame_stats.counts.in_flight == 0


def test_autostart_raises_the_reason(session, tmp_path):
    node = add_node(session, network_file=str(tmp_path / "missing.pt"))
    with pytest.raises(UserError, match="missing.pt"):
        node.start()


def test_set_of_parameters_applies_as_a_whole_or_not_at_all(rig, wait_for):
    node, peer = rig()
    send(peer, wait_for, [message(0)])

    refused = change(node, score_threshold=0.9, mask_mode="static")
    assert not refused.successful and "static mask file" in refused.reason
    assert node.get_parameter("score_threshold").value == 0.0
    assert node._configured.pipeline.settings.score_threshold == 0.0
    refused = change(node, refresh_period=3, score_threshold=1.5)
    assert not refused.successful and node._configured.pipeline.settings.refresh_period == 8
    refused = change(node, stale_detections="drop", classes=["disk"])
    assert not refused.successful and "did you mean 'disc'?" in refused.reason
    assert not node._active.worker._response.drop_stale
    assert change(node, score_threshold=1.0, refresh_period=3, mask_mode="none").successful
    settings = node._configured.pipeline.settings
    assert (settings.score_threshold, settings.refresh_period, settings.mask) == (1.0, 3, "none")
    send(peer, wait_for, [message(1)])
    assert peer.heard["detections"][0].detections and not peer.heard["detections"][1].detections


REFUSED = (
    ("backend", "other", "unknown"),
    ("image_transport", "compressed", "while the detector is configured"),
    ("input_size", "450x450", "multiples of 32"),
    ("input_size", "128x96", "mask.npz"),
    ("autostart", False, "read-only"),
    ("mask_mode", "everything", "unknown"),
    ("score_threshold", 1.5, ""),
    ("score_threshold", 1, ""),
    ("refresh_period", -1, ""),
    ("static_mask", "/no/such/mask.png", "this file cannot be used"),
)


def test_invalid_changes_are_refused_with_their_reason(rig, wait_for, half_mask):
    node, peer = rig(mask_mode="static", static_mask=half_mask)
    send(peer, wait_for, [message(0)])
    for name, value, reason in REFUSED:
        before = node.get_parameter(name).value
        result = node.set_parameters([Parameter(name, value=value)])[0]
        assert not result.successful and reason in result.reason, (name, result.reason)
        assert node.get_parameter(name).value == before


def test_diagnostics_report_figures_under_constant_keys(rig, wait_for):
    _node, peer = rig()
    send(peer, wait_for, [message(i) for i in range(5)])
    wait_for(lambda: len(peer.heard["/diagnostics"]) >= 3 and peer.values().get("frames answered") == "5")
    first, last = peer.heard["/diagnostics"][0], peer.heard["/diagnostics"][-1]
    assert first.status[0].name == last.status[0].name == "detector: pictures"
    assert first.status[0].hardware_id == "regionmask_ros"
    assert [pair.key for pair in first.status[0].values] == [pair.key for pair in last.status[0].values]
    values = peer.values()
    assert values["input size"] == "96x64" and values["last error"] == ""
    for key in ("fps", "latency in node p50 [ms]", "masked share", "events per frame", "synops per frame"):
        assert float(values[key]) >= 0.0
