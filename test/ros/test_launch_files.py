"""What can be told about launch/ and config/ without ROS's launch, and the real thing where it is there."""

from __future__ import annotations

import ast
import importlib.util
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from regionmask_ros.ros.dds_profile import find_profile, picture_environment
from regionmask_ros.ros.parameters import BY_NAME

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCH = REPOSITORY / "launch" / "detector.launch.py"
ARGUMENTS = ["image", "params_file", "backend", "static_mask", "namespace", "use_sim_time", "log_level", "rviz"]


def test_the_launch_file_compiles_and_declares_its_arguments_with_a_description():
    tree = ast.parse(LAUNCH.read_text(encoding="utf-8"))
    declared = [
        call for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "DeclareLaunchArgument"
    ]
    assert [call.args[0].value for call in declared] == ARGUMENTS
    for call in declared:
        assert {"default_value", "description"} <= {keyword.arg for keyword in call.keywords}


def test_files_that_the_launch_file_names_exist():
    text = LAUNCH.read_text(encoding="utf-8")
    for name in ("detector.yaml", "detector.rviz"):
        assert f'config("{name}")' in text and (REPOSITORY / "config" / name).is_file()
    assert find_profile() == REPOSITORY / "config" / "fastdds_images.xml"
    assert {"backend", "static_mask", "mask_mode"} <= set(BY_NAME)


def test_rviz_shows_our_topics_with_a_quality_of_service_that_hears_them():
    config = yaml.safe_load((REPOSITORY / "config" / "detector.rviz").read_text(encoding="utf-8"))
    manager = config["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "camera"
    pictures = {d["Name"]: d for d in manager["Displays"] if d["Class"] == "rviz_default_plugins/Image"}
    topics = {name: (d["Topic"]["Value"], d["Topic"]["Reliability Policy"]) for name, d in pictures.items()}
    assert topics == {
        "Overlay": ("/overlay", "Reliable"), "Mask": ("/mask", "Reliable"), "Camera": ("/image", "Best Effort"),
    }
    assert all(d["Enabled"] for d in pictures.values())


def test_the_dds_profile_makes_room_for_a_4k_picture_and_is_not_ignored():
    space = {"d": "http://www.eprosima.com"}
    root = ElementTree.parse(find_profile()).getroot()
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
def test_a_profile_that_the_user_has_chosen_stays(environment, expected):
    assert picture_environment(Path("/p.xml"), environment) == expected


def launched(**values: str):
    """The processes of the launch file for these arguments, as ROS's launch sees them."""
    from launch import LaunchContext

    spec = importlib.util.spec_from_file_location("detector_launch", LAUNCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.config = lambda name: _Text(str(REPOSITORY / "config" / name))
    context = LaunchContext()
    defaults = {"image": "image", "backend": "", "static_mask": "", "namespace": "", "use_sim_time": "false",
                "log_level": "info", "rviz": "false", "params_file": str(REPOSITORY / "config" / "detector.yaml")}
    context.launch_configurations.update({**defaults, **values})
    return module.processes(context)


class _Text(str):
    def perform(self, context) -> str:
        return str(self)


def test_the_launch_file_makes_the_node_and_rviz_where_launch_is_installed():
    pytest.importorskip("launch_ros", reason="launch_ros is missing: only a ROS installation brings it")
    assert [type(p).__name__ for p in launched()] == ["Node"]
    node, rviz = launched(rviz="true", namespace="front", image="/cam/image", static_mask="1e5")
    assert (node.node_package, node.node_executable) == ("regionmask_ros", "detector")
    assert rviz.node_package == "rviz2"
