"""A network in an ONNX file in the node: detections, masks, another runtime, and diagnostics."""

from __future__ import annotations

import weakref

import pytest

from regionmask_ros.backends.runtimes import RUNTIMES

for package in ("onnx", *RUNTIMES):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_camera import block_box, block_frames  # noqa: E402
from dense_networks import block_network, make_block_detector  # noqa: E402
from rig import Peer, add_node, are_matched, change, header, send, watch  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from tile_networks import tiled_block_network  # noqa: E402

from regionmask_ros.backends import BackendError  # noqa: E402
from regionmask_ros.backends.openvino import OpenVinoBackend  # noqa: E402
from regionmask_ros.errors import UserError  # noqa: E402
from regionmask_ros.ros import diagnostics  # noqa: E402
from regionmask_ros.ros.publishers import IMAGES, image_message  # noqa: E402

TILE_KEYS = ("share of MACs", "active tiles per frame")
ONE = {"score_threshold": 0.3, "model_cache": "none", "preset_guard": 0.0}


def messages(count: int, first: int = 0) -> list[Image]:
    frames = block_frames(first + count)[first:]
    return [image_message(frame.pixels, "bgr8", header(first + t)) for t, frame in enumerate(frames)]


def running(node) -> str:
    return node._configured.pipeline.settings.backend


def place(message) -> tuple[float, float]:
    """The middle of the only box of a message."""
    (detection,) = message.detections
    return detection.bbox.center.position.x, detection.bbox.center.position.y


def is_the_block(message, t: int) -> bool:
    x0, y0, x1, y1 = block_box(t)
    return place(message) == pytest.approx(((x0 + x1) / 2, (y0 + y1) / 2), abs=8.0)


def test_a_file_is_run_as_it_is(session, wait_for, tmp_path, monkeypatch):
    monkeypatch.setattr(diagnostics, "REPORT_PERIOD_S", 0.2)
    (tmp_path / "blocks.onnx").write_bytes(make_block_detector())
    node = add_node(session, network_file=str(tmp_path / "blocks.onnx"), preset="fast", **ONE)
    peer = session.add(Peer)
    session.spin()
    node.start()
    wait_for(lambda: are_matched(node, peer))
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    send(peer, wait_for, messages(9))
    wait_for(lambda: len(peer.heard["/mask"]) == 9)
    assert [min(mask.data) for mask in peer.heard["/mask"]] == [255, *[0] * 5, 255, 0, 0]
    assert all(is_the_block(message, t) for t, message in enumerate(peer.heard["detections"]))
    assert {message.detections[0].results[0].hypothesis.class_id for message in peer.heard["detections"]} == {"class_0"}
    values = wait_for(lambda: (found := peer.values()) and found["frames answered"] == "9" and found)
    assert (values["backend"], values["arithmetic"], values["thresholds"]) == ("openvino", "", "")
    assert values["network"] == str(tmp_path / "blocks.onnx") and values["kernels"].startswith("openvino")
    assert {values[key] for key in (*TILE_KEYS, "events per frame", "synops per frame")} == {""}
    assert values["mask mode"] == "fast"
    assert values["masked share"] == f"{7 / 8:.4f}" and values["latency of the backend [steps]"] == "0"
    assert node.get_parameter("backend").value == "auto"


def test_the_tile_engine_reports_its_share_of_macs_and_its_active_tiles(rig, wait_for, monkeypatch):
    monkeypatch.setattr(diagnostics, "REPORT_PERIOD_S", 0.2)
    node, peer = rig(network=tiled_block_network(), backend="cpu", preset="fast", **ONE)
    send(peer, wait_for, messages(9))
    values = wait_for(lambda: (found := peer.values()) and found["frames answered"] == "9" and found)
    share, tiles = (float(values[key]) for key in TILE_KEYS)
    # The first frame is computed as a whole.
    assert running(node) == "cpu" and 1 / 9 <= share < 1.0 and tiles > 0.0 and values["synops per frame"] == ""


def test_the_other_runtime_takes_over_while_images_come(rig, wait_for):
    node, peer = rig(network=block_network(), **ONE)
    send(peer, wait_for, messages(3))
    assert running(node) == "openvino"
    former = weakref.ref(node._configured.pipeline.backends.current)
    assert change(node, backend="onnxruntime").successful
    wait_for(lambda: running(node) == "onnxruntime")
    send(peer, wait_for, messages(3, 3))
    wait_for(lambda: peer.values().get("backend") == "onnxruntime"
             and peer.values().get("kernels", "").startswith("onnxruntime"))
    wait_for(lambda: former() is None)
    assert change(node, backend="auto").successful
    wait_for(lambda: running(node) == "openvino")
    send(peer, wait_for, messages(3, 6))
    assert all(is_the_block(message, t) for t, message in enumerate(peer.heard["detections"]))
    assert node.get_parameter("backend").value == "auto" and node._configured.frame_stats.counts.broken == 0


def test_the_other_runtime_is_the_fallback(rig, wait_for, monkeypatch):
    node, peer = rig(network=block_network(), mask_mode="none", **ONE)
    send(peer, wait_for, messages(2))

    def fail(self, looks, tag) -> None:
        raise BackendError("the device is gone")

    monkeypatch.setattr(OpenVinoBackend, "submit", fail)
    for t, message in enumerate(messages(2, 2)):
        peer.camera.publish(message)
        wait_for(lambda t=t: node._configured.frame_stats.counts.broken == t + 1)
    wait_for(lambda: running(node) == "onnxruntime")
    send(peer, wait_for, messages(3, 4))
    assert [is_the_block(message, 4 + t) for t, message in enumerate(peer.heard["detections"][2:])] == [True] * 3
    wait_for(lambda: "failed twice, onnxruntime takes over" in peer.verdict() and "device is gone" in peer.verdict())
    wait_for(lambda: node.get_parameter("backend").value == "onnxruntime")


def test_what_does_not_fit_is_refused_in_one_line(rig):
    node, _ = rig(network=block_network(), preset="balanced", **ONE)
    for wrong, reason in (({"backend": "cpu"}, "it is not quantized"), ({"fallback": "cpu"}, "use auto or none"),
                          ({"arithmetic": "snap"}, "not for ONNX networks"), ({"tiles": "30x2"}, "tiles '30x2'"),
                          ({"thresholds": "tuned"}, "not for ONNX networks"), ({"device": "CUDA"}, "device CUDA"),
                          ({"classes": ["person"]}, "person")):
        refused = change(node, **wrong)
        assert not refused.successful and reason in refused.reason and "\n" not in refused.reason, wrong
    assert running(node) == "openvino" and node.get_parameter("device").value == "CPU"


@pytest.mark.parametrize(("name", "reason"), [("backend", "cannot run blocks: it is not quantized"),
                                              ("fallback", "cannot run blocks, which is an ONNX network")])
def test_a_node_with_the_wrong_backend_does_not_start(rig, name, reason):
    with pytest.raises(UserError, match=f"{name} cpu: {reason}"):
        rig(network=block_network(), **ONE, **{name: "cpu"})


def test_masks_change_while_images_come(rig, wait_for):
    node, peer = rig(network=block_network(), preset="careful", **ONE)
    send(peer, wait_for, messages(3))
    for t, values in enumerate(({"schedule": "rolling", "tiles": "2x2"}, {"mask_mode": "none"}, {"preset": "fast"},
                                {"mask_mode": "dynamic"}, {"mask_mode": "preset", "schedule": "burst"})):
        assert change(node, **values).successful
        send(peer, wait_for, messages(3, 3 + 3 * t))
    assert [is_the_block(message, t) for t, message in enumerate(peer.heard["detections"])] == [True] * 18
