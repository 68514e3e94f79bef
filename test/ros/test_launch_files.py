"""Launch files and config/, checked without ROS's launch, and run where it is installed."""

from __future__ import annotations

import ast
import importlib.util
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bag_writer import START_NS, image, write_bag
from sensor_msgs.msg import Image

from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.errors import UserError
from regionmask_ros.ros.diagnostics import HARDWARE_ID
from regionmask_ros.ros.node import NODE_NAME
from regionmask_ros.ros.publishers import LAZY
from regionmask_ros.ros.setup import find_profile, image_environment

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIRED = {"cameras", "bag", "output"}
"""Arguments that have no default."""

COMMON = ["params_file", "network", "backend", "log_level"]
ARGUMENTS = {
    "bag.launch.py": ["bag", "output", "topic", "rate", *COMMON, "static_mask", "player"],
    "detector.launch.py": ["image", *COMMON, "static_mask", "namespace", "use_sim_time", "rviz"],
    "multi_camera.launch.py": ["cameras", "image", *COMMON, "static_masks", "one_process", "use_sim_time"],
}


def declared_arguments(source: Path) -> list[Any]:
    """Declared arguments; the common ones come from a function."""
    calls, nodes = [], ast.walk(ast.parse(source.read_text(encoding="utf-8")))
    for call in (node for node in nodes if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", "")
        if name == "DeclareLaunchArgument":
            calls.append(call)
        elif name == "common_arguments":
            calls += declared_arguments(REPOSITORY / "regionmask_ros" / "ros" / "launching.py")
    return calls


def test_every_launch_file_is_tested_here():
    assert {path.name for path in (REPOSITORY / "launch").iterdir() if path.is_file()} == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_launch_file_declares_its_arguments_with_a_description(name):
    calls = declared_arguments(REPOSITORY / "launch" / name)
    assert sorted(call.args[0].value for call in calls) == sorted(ARGUMENTS[name])
    for call in calls:
        given = {keyword.arg for keyword in call.keywords}
        assert "description" in given and ("default_value" in given) != (call.args[0].value in REQUIRED)


def test_files_and_parameters_that_launch_files_name_exist():
    sources = [*(REPOSITORY / "launch").glob("*.py"), REPOSITORY / "regionmask_ros" / "ros" / "launching.py"]
    named = {
        call.args[0].value
        for source in sources for call in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "config"
        and isinstance(call.args[0], ast.Constant)
    }
    assert {"detector.yaml", "detector.rviz"} <= named
    assert all((REPOSITORY / "config" / name).is_file() for name in named)
    assert find_profile() == REPOSITORY / "config" / "fastdds_images.xml"
    assert {"backend", "static_mask", "mask_mode"} <= set(OPTIONS)


def test_rviz_subscribes_to_the_nodes_topics_with_compatible_qos():
    config = yaml.safe_load((REPOSITORY / "config" / "detector.rviz").read_text(encoding="utf-8"))
    manager = config["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "camera"
    images = {d["Name"]: d for d in manager["Displays"] if d["Class"] == "rviz_default_plugins/Image"}
    topics = {name: (d["Topic"]["Value"], d["Topic"]["Reliability Policy"]) for name, d in images.items()}
    assert topics == {
        "Overlay": ("/overlay", "Reliable"), "Mask": ("/mask", "Reliable"), "Static mask": ("/mask/static", "Reliable"),
        "Camera": ("/image", "Best Effort"), "Dynamic mask": ("/mask/dynamic", "Reliable"),
        "Age": ("/mask/age", "Reliable"), "Events": ("/events", "Reliable"),
    }
    shown = {name for name, display in images.items() if display["Enabled"]}
    assert shown == {"Overlay", "Mask", "Static mask", "Camera"}
    every_output = {f"/{topic}" for topic in LAZY if LAZY[topic] is Image}
    assert every_output == {topic for topic, _ in topics.values()} - {"/image"}


def test_rviz_subscribes_to_the_outputs_of_a_namespace():
    source = (REPOSITORY / "launch" / "detector.launch.py").read_text(encoding="utf-8")
    (renamed,) = [node.value for node in ast.walk(ast.parse(source))
                  if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "OUTPUTS"]
    assert set(ast.literal_eval(renamed)) == {topic for topic in LAZY if LAZY[topic] is Image}


def test_foxglove_subscribes_to_the_nodes_topics():
    layout = json.loads((REPOSITORY / "config" / "foxglove_layout.json").read_text(encoding="utf-8"))
    panels = layout["configById"]
    shown = {panel["imageMode"]["imageTopic"] for name, panel in panels.items() if name.startswith("Image!")}
    assert {topic.removesuffix("/compressed") for topic in shown} == {
        "/image", *(f"/{topic.removesuffix('/compressed')}" for topic in LAZY)}
    assert {"/overlay/compressed", "/mask/compressed"} <= shown, "they come over a network"
    assert set(leaves(layout["layout"])) == set(panels)
    health = panels["DiagnosticStatusPanel!health"]
    assert (health["selectedName"], health["selectedHardwareId"]) == (f"{NODE_NAME}: pictures", HARDWARE_ID)


def leaves(tree) -> list[str]:
    return [tree] if isinstance(tree, str) else [*leaves(tree["first"]), *leaves(tree["second"])]


def test_dds_profile_has_room_for_a_4k_image_and_is_used():
    space = {"d": "http://www.eprosima.com"}
    root = ET.parse(find_profile()).getroot()
    transports = root.iterfind(".//d:transport_descriptor", space)
    (shared,) = [transport for transport in transports if transport.findtext("d:type", "", space) == "SHM"]
    assert int(shared.findtext("d:segment_size", "", space)) >= 3840 * 2160 * 3
    assert int(shared.findtext("d:maxMessageSize", "", space)) >= 3840 * 2160 * 3
    (participant,) = root.iterfind(".//d:participant", space)
    assert participant.get("is_default_profile") == "true"
    assert participant.findtext(".//d:useBuiltinTransports", "", space) == "false"


@pytest.mark.parametrize(("environment", "expected"), [
    ({}, {"FASTDDS_DEFAULT_PROFILES_FILE": "/p.xml"}),
    ({"ROS_DISTRO": "kilted"}, {"FASTDDS_DEFAULT_PROFILES_FILE": "/p.xml"}),
    ({"ROS_DISTRO": "jazzy"}, {"FASTRTPS_DEFAULT_PROFILES_FILE": "/p.xml"}),
    ({"FASTRTPS_DEFAULT_PROFILES_FILE": "/mine.xml"}, {}),
    ({"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml"}, {}),
    ({"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, {}),
])
def test_dds_profile_of_the_user_is_kept(environment, expected):
    assert image_environment(Path("/p.xml"), environment) == expected


def launched(name: str, monkeypatch, **values: str):
    """The processes of a launch file for these arguments."""
    from regionmask_ros.ros import launching

    monkeypatch.setattr(launching, "config", lambda file: _Text(str(REPOSITORY / "config" / file)))
    spec = importlib.util.spec_from_file_location("launched", REPOSITORY / "launch" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = launch_context()
    defaults = {"image": "image", "network": "", "backend": "", "static_mask": "", "namespace": "",
                "use_sim_time": "false", "log_level": "info", "rviz": "false",
                "params_file": str(REPOSITORY / "config" / "detector.yaml"),
                "static_masks": "", "one_process": "true"}
    context.launch_configurations.update({**defaults, **values})
    return module.processes(context)


class _Text(str):
    __slots__ = ()

    def perform(self, context) -> str:
        return str(self)


NEEDS_LAUNCH = "launch_ros is missing: only a ROS installation brings it"


def test_the_launch_file_makes_the_node_and_rviz_where_launch_is_installed(monkeypatch):
    pytest.importorskip("launch_ros", reason=NEEDS_LAUNCH)
    assert [type(p).__name__ for p in launched("detector.launch.py", monkeypatch)] == ["Node"]
    node, rviz = launched(
        "detector.launch.py", monkeypatch, rviz="true", namespace="front", image="/cam/image", static_mask="1e5"
    )
    assert (node.node_package, node.node_executable) == ("regionmask_ros", "detector")
    assert rviz.node_package == "rviz2"


@pytest.mark.parametrize("name", ["detector.launch.py", "multi_camera.launch.py"])
@pytest.mark.parametrize(("text", "is_simulated"), [
    ("true", True), ("True", True), ("TRUE", True), ("1", True), ("yes", True), ("false", False), ("False", False),
    ("0", False), ("no", False),
])
def test_simulated_time_is_switched_by_every_usual_word_where_launch_is_installed(
        monkeypatch, name, text, is_simulated):
    pytest.importorskip("launch_ros", reason=NEEDS_LAUNCH)
    (process, *_) = launched(name, monkeypatch, cameras="[front]", use_sim_time=text, rviz=text, one_process=text)
    given = [block for block in process._Node__parameters if isinstance(block, dict)]
    keys = {key[0].text for block in given for key in block}
    assert ("use_sim_time" in keys) == is_simulated


def test_a_word_that_is_no_switch_is_rejected_where_launch_is_installed(monkeypatch):
    pytest.importorskip("launch_ros", reason=NEEDS_LAUNCH)
    with pytest.raises(UserError, match="use_sim_time 'perhaps': must be true or false"):
        launched("detector.launch.py", monkeypatch, use_sim_time="perhaps")


PLAY = "ros2 bag play {bag} --clock 100 --rate 0.5 --delay 2.0 --topics /front/image_raw"
RECORD = "ros2 bag record --use-sim-time -o out /detections /label_info /mask /overlay /diagnostics"
OWN_PLAY = "play {bag} --bag-topic /front/image_raw --topic /front/image_raw --rate 0.5 --clock --wait 60"


@pytest.mark.parametrize(("player", "has_ros2bag", "play", "record"), [
    ("own", True, OWN_PLAY, "record out"), ("ros2", False, PLAY, RECORD), ("auto", True, PLAY, RECORD),
    ("auto", False, OWN_PLAY, "record out"),
])
def test_bag_is_played_and_results_are_recorded_where_launch_is_installed(
    monkeypatch, tmp_path, player, has_ros2bag, play, record
):
    pytest.importorskip("launch_ros", reason=NEEDS_LAUNCH)
    images = [image(np.zeros((8, 8, 3), np.uint8), START_NS)]
    bag = write_bag(tmp_path / "bag", {"/front/image_raw": images})
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: (
        (True if has_ros2bag else None) if name == "ros2bag" else real(name, *more)))
    made = launched("bag.launch.py", monkeypatch, bag=bag, output="out", topic="", rate="0.5", player=player)
    detector, recorder, starts_player = made[:3]
    own = {str(name[0].text): given.value for block in detector._Node__parameters[2:] for name, given in block.items()}
    assert own == {"input_size": "32x32"}, "of images of 8x8"
    assert words_of(detector) == "detector" and words_of(recorder) == record and len(made) == 6
    handle = starts_player.event_handler.handle
    assert not handle(output_of(detector, b"configuring"), launch_context())
    (started,) = handle(output_of(detector, b"[detector]: active: images from /front/image_raw"), launch_context())
    assert words_of(started) == play.format(bag=bag)
    assert not handle(output_of(detector, b"[detector]: active: images from /front/image_raw"), launch_context())


def test_a_new_bag_into_an_existing_folder_is_refused_before_anything_starts(monkeypatch, tmp_path):
    pytest.importorskip("launch_ros", reason=NEEDS_LAUNCH)
    with pytest.raises(UserError, match="output:=.*: exists already"):
        launched("bag.launch.py", monkeypatch, bag="bag", output=str(tmp_path), topic="", rate="1", player="own")


@pytest.mark.parametrize(("part", "status", "is_shutdown", "fails"), [
    ("player", 0, False, False), ("player", 2, False, True), ("player", -9, False, True), ("player", 130, True, False),
    ("recorder", 0, False, True), ("recorder", -9, False, True), ("recorder", 0, True, False),
    ("recorder", 130, True, False), ("recorder", 2, True, True),
    ("detector", 0, False, True), ("detector", -11, False, True), ("detector", -15, True, False),
])
def test_a_part_that_dies_ends_the_launch_with_a_line_and_its_status(
    monkeypatch, tmp_path, part, status, is_shutdown, fails
):
    pytest.importorskip("launch_ros", reason=NEEDS_LAUNCH)
    bag = write_bag(tmp_path / "bag", {"/image": [image(np.zeros((8, 8, 3), np.uint8), START_NS)]})
    made = launched("bag.launch.py", monkeypatch, bag=bag, output="out", topic="", rate="1", player="own")
    handler = {"player": made[3], "detector": made[4], "recorder": made[5]}[part].event_handler
    context = launch_context()
    context._set_is_shutdown(is_shutdown)
    event = exited(status)
    if fails:
        with pytest.raises(Exception, match=f"the {part} has ended with status {status}: the launch ends"):
            handler.handle(event, context)
        assert made[4].event_handler.handle(exited(1), context) == [], "it is the first that counts"
    else:
        assert len(handler.handle(event, context)) == (part == "player" and not is_shutdown)


def exited(status: int):
    from launch.events.process import ProcessExited

    return ProcessExited(returncode=status, action=None, name="x", cmd=[], cwd=None, env=None, pid=1)


def output_of(process, text: bytes):
    from launch.events.process import ProcessStdout

    return ProcessStdout(text=text, action=process, name="detector", cmd=[], cwd=None, env=None, pid=1)


def words_of(process) -> str:
    """The command line of a launch action; of one of our own, the command's name and its arguments."""
    context = launch_context()
    words = ["".join(part.perform(context) for part in word) for word in process.cmd]
    own = getattr(process, "node_executable", None)
    # launch_ros puts the way to the executable first and ROS's own arguments last.
    return " ".join([own, *words[1:]] if own else words).partition(" --ros-args")[0]


def launch_context():
    from launch import LaunchContext

    return LaunchContext()


@pytest.mark.parametrize(("one_process", "processes"), [("true", 1), ("false", 2)])
def test_several_cameras_make_one_process_or_several_where_launch_is_installed(monkeypatch, one_process, processes):
    pytest.importorskip("launch_ros", reason=NEEDS_LAUNCH)
    made = launched("multi_camera.launch.py", monkeypatch, cameras="[front,left]", one_process=one_process)
    assert len(made) == processes and {node.node_executable for node in made} == {"detector"}
