"""The node's services, over ROS."""

from __future__ import annotations

import numpy as np
import pytest
from rig import call, call_service, message, send, watch
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.heat import DEFAULT_COVER, Calibration, Target
from regionmask_ros.mask.static import read_static_mask
from regionmask_ros.ros.publishers import IMAGES


@pytest.fixture
def ask(wait_for):
    """A function that calls a service of the node by its name."""
    return lambda peer, name: call_service(peer, wait_for, Trigger, name)


def test_refresh_and_reset_send_one_whole_image(rig, wait_for, half_mask, ask):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask)
    watch(peer, wait_for, node, {"/mask": Image, "/mask/age": Image}, IMAGES)
    send(peer, wait_for, [message(0), message(1)])
    assert ask(peer, "refresh").success
    send(peer, wait_for, [message(2), message(3)])
    assert node._configured.pipeline.resets == 0
    assert ask(peer, "reset").success
    send(peer, wait_for, [message(4), message(5)])
    wait_for(lambda: len(peer.heard["/mask"]) == 6)
    assert [min(m.data) == 255 for m in peer.heard["/mask"]] == [True, False] * 3
    assert node._configured.pipeline.resets == 1


def test_static_mask_of_seen_objects_is_saved_and_fits_the_camera(rig, wait_for, tmp_path, ask):
    file = tmp_path / "made" / "mask.npz"
    _node, peer = rig(
        mask_mode="none", score_threshold=0.3, output_directory=str(file.parent), static_mask_output=file.name)
    refused = ask(peer, "save_static_mask")
    assert not refused.success and "no image has come yet" in refused.message
    send(peer, wait_for, [message(i) for i in range(3)])
    answer = ask(peer, "save_static_mask")
    assert answer.success and str(file) in answer.message and "from 3 frames observed as a whole" in answer.message
    saved, calibration = read_static_mask(str(file)).fit(RegionGrid(4, 6), (96, 64)), Calibration(RegionGrid(4, 6))
    for found in peer.heard["detections"]:
        for d in found.detections:
            x, y, w, h = d.bbox.center.position.x, d.bbox.center.position.y, d.bbox.size_x, d.bbox.size_y
            calibration.add(np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]]), ["disc"], (96, 64))
    np.testing.assert_array_equal(saved, Target(DEFAULT_COVER, None).mask(calibration.heat))
    assert "warning" not in answer.message


def test_saved_mask_that_observes_nearly_everything_is_warned_of(rig, wait_for, tmp_path, ask, write_mask, capfd):
    _node, peer = rig(mask_mode="adaptive", static_mask=write_mask(np.ones((4, 6), bool)), score_threshold=1.0,
                      output_directory=str(tmp_path))
    send(peer, wait_for, [message(0)])
    answer, said = ask(peer, "save_static_mask"), "the mask observes 100% of the regions, so it saves little"
    assert answer.success and said in answer.message and "24 of 24 regions kept" in answer.message
    (line,) = [line for line in capfd.readouterr().err.splitlines() if said in line]
    assert "WARN" in line and str(tmp_path) in line


def test_file_that_cannot_be_written_is_reported(rig, wait_for, tmp_path, ask):
    (tmp_path / "file").write_text("")
    _node, peer = rig(output_directory=str(tmp_path / "file"))
    send(peer, wait_for, [message(0)])
    answer = ask(peer, "save_static_mask")
    assert not answer.success and str(tmp_path / "file") in answer.message


def test_services_of_an_inactive_node_work_and_end_with_cleanup(rig, wait_for, ask):
    node, peer = rig(autostart=False)
    names = {"~/reset", "~/refresh", "~/save_static_mask"}
    assert not names & {s.srv_name for s in node.services}
    call(node, node.trigger_configure)
    assert names <= {s.srv_name for s in node.services}
    assert ask(peer, "reset").success and ask(peer, "refresh").success
    call(node, node.trigger_cleanup)
    assert not names & {s.srv_name for s in node.services}
