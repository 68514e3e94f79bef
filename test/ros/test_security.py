"""What another program on the ROS network cannot do, tried over ROS."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rig import call_service, message, send
from std_srvs.srv import Trigger

from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.core.options import ChangePolicy
from regionmask_ros.errors import FileRefused
from regionmask_ros.mask.mgnet.weights import load_weights
from regionmask_ros.mask.static import save_static_mask
from regionmask_ros.ros.refusals import FileRefusals


@pytest.fixture
def set_one(wait_for):
    """A function that sets one parameter over ROS; returns the reason, empty if it was set."""
    def set_one(peer, name: str, value: object) -> str:
        wanted = Parameter(name, value=value).to_parameter_msg() if value is not None else ParameterMessage(
            name=name, value=ParameterValue(type=ParameterType.PARAMETER_NOT_SET))
        (result,) = call_service(peer, wait_for, SetParameters, "set_parameters", parameters=[wanted]).results
        assert result.successful == (not result.reason), result
        return result.reason

    return set_one


def snapshot(folder: Path) -> dict[str, tuple]:
    return {str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
            for path in sorted(folder.rglob("*"))}


def test_what_is_set_at_start_cannot_be_changed_or_removed(rig, set_one):
    node, peer = rig()
    fixed = [option for option in OPTIONS.values() if option.changeable is ChangePolicy.START]
    before = {option.name: node.get_parameter(option.name).value for option in fixed}
    other = {str: "/bin/sh", bool: False, int: 1}
    for option in fixed:
        value = next((c for c in option.choices if c != option.default), other[option.kind])
        assert "read-only" in set_one(peer, option.name, value), option.name
        assert set_one(peer, option.name, None), option.name
    assert {option.name: node.get_parameter(option.name).value for option in fixed} == before


@pytest.mark.parametrize("name", [
    "/tmp/x.npz", "../x.npz", "sub/../../x.npz", "x.bashrc", ".npz", "a\nb.npz", "missing/../../../x.npz"])
def test_a_name_that_leads_out_of_the_output_directory_is_refused(rig, set_one, tmp_path, name):
    _node, peer = rig(output_directory=str(tmp_path / "out"))
    reason = set_one(peer, "static_mask_output", name)
    assert reason.startswith("static_mask_output '") and reason.isprintable()


def test_the_service_writes_into_the_output_directory_only(rig, wait_for, set_one, tmp_path):
    out, others = tmp_path / "out", tmp_path / "others"
    others.mkdir()
    (others / "secret.npz").write_text("secret")
    _node, peer = rig(output_directory=str(out))
    send(peer, wait_for, [message(0)])

    def save() -> str:
        answer = call_service(peer, wait_for, Trigger, "save_static_mask")
        return "" if answer.success else answer.message

    before = snapshot(others)
    assert save() == "" and (out / "static_mask.npz").is_file()
    (out / "link").symlink_to(others)
    (out / "link.npz").symlink_to(others / "secret.npz")
    (out / "dangling.npz").symlink_to(others / "new.npz")
    os.mkfifo(out / "fifo.npz")
    for name in ("link/secret.npz", "link.npz", "dangling.npz", "fifo.npz", "missing/new.npz"):
        assert set_one(peer, "static_mask_output", name) == ""
        assert "cannot be written" in save(), name
    assert snapshot(others) == before
    assert sorted(os.listdir(out)) == ["dangling.npz", "fifo.npz", "link", "link.npz", "static_mask.npz"]


@pytest.fixture
def files(tmp_path):
    """Files that are no masks for this camera, each wrong in its own way, and one that is not there."""
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "text").write_text("root:x:0:0")
    (wrong / "empty").write_text("")
    (wrong / "folder").mkdir()
    os.mkfifo(wrong / "fifo")
    np.savez(wrong / "other.npz", a=np.zeros(3))
    save_static_mask(str(wrong / "grid.npz"), np.ones((2, 2), bool), 16)
    cv2.imwrite(str(wrong / "picture.png"), np.zeros((10, 30, 3), np.uint8))
    return [str(wrong / name) for name in (
        "text", "empty", "folder", "fifo", "other.npz", "grid.npz", "picture.png", "missing", "text/below")]


def test_a_refusal_does_not_tell_which_files_exist(rig, wait_for, set_one, files, half_mask, tmp_path, capfd):
    _node, peer = rig(mask_mode="static", static_mask=half_mask)
    send(peer, wait_for, [message(0)])
    reasons = {set_one(peer, "static_mask", file).replace(file, "FILE") for file in files}
    (reason,) = reasons
    assert reason.startswith("'FILE': this file cannot be used; the node's own terminal and log file say why")
    # What a node's own logger writes goes to the topic /rosout, too; this one is none.
    told = [line for line in capfd.readouterr().err.splitlines() if str(tmp_path / "wrong") in line]
    assert told and all("[regionmask_ros]: refused: " in line for line in told)
    assert not [value for value in peer.values().values() if "wrong" in value]


def test_nor_does_a_refusal_of_weights(files, half_mask):
    """The same without a node, because the kernels of the mask network take minutes to compile."""
    refusals, said = FileRefusals({name: option.default for name, option in OPTIONS.items()}), set()
    for file in (*files, half_mask):
        with pytest.raises(FileRefused) as refused:
            load_weights(file)
        said.add(refusals.describe(refused.value).replace(file, "FILE"))
    assert len(said) == 1 and "cannot be used" in said.pop()


def test_nor_does_the_report_about_a_mask_that_does_not_fit_the_first_image(rig, wait_for, set_one, files, half_mask):
    _node, peer = rig(mask_mode="static", static_mask=half_mask)
    picture = next(file for file in files if file.endswith("picture.png"))
    assert set_one(peer, "static_mask", picture) == ""
    peer.camera.publish(message(0))
    wait_for(lambda: "cannot be used" in peer.values().get("last error", ""))
    assert "30x10" not in str(peer.values())


def test_files_of_the_output_directory_and_from_the_start_are_explained(rig, wait_for, set_one, tmp_path, half_mask):
    (tmp_path / "out").mkdir()
    _node, peer = rig(mask_mode="static", static_mask=half_mask, output_directory=str(tmp_path / "out"))
    assert "no such file" in set_one(peer, "static_mask", str(tmp_path / "out" / "mask.npz"))
    assert "cannot be used" in set_one(peer, "static_mask", str(tmp_path / "out" / ".." / "other.npz"))
    (tmp_path / "out" / "link.npz").symlink_to(tmp_path / "elsewhere")
    assert "cannot be used" in set_one(peer, "static_mask", str(tmp_path / "out" / "link.npz"))
    Path(half_mask).unlink()
    wait_for(lambda: "no such file" in peer.verdict())


LONG = "x\x1b[2J\n" * 100_000


def test_long_texts_with_control_characters_are_cut_and_escaped(rig, wait_for, set_one):
    _node, peer = rig()
    for name, value in [("mask_mode", LONG), ("static_mask_output", LONG), ("classes", [LONG]), ("tiles", LONG),
                        ("class_thresholds", [LONG]), ("input_size", LONG), ("preset", LONG)]:
        reason = set_one(peer, name, value)
        assert reason.isprintable() and len(reason) < 600, name
    odd = message(0)
    odd.encoding = odd.header.frame_id = LONG
    peer.camera.publish(odd)
    wait_for(lambda: "is not supported" in peer.values().get("last error", ""))
    assert all(value.isprintable() and len(value) < 600 for value in peer.values().values())
    assert peer.verdict().isprintable() and len(peer.verdict()) < 600
