"""The detector node, and RViz if asked for.

  ros2 launch regionmask_ros detector.launch.py image:=/camera/image_raw rviz:=true
  ros2 launch regionmask_ros detector.launch.py params_file:=/path/to/my.yaml static_mask:=/path/to/mask.png

An argument left empty leaves the parameter file's value alone. The node activates itself (parameter autostart).
"""

from __future__ import annotations

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from regionmask_ros.ros.dds_profile import PROFILE, picture_environment

PACKAGE = "regionmask_ros"
SWITCH = ["true", "false"]
OUTPUTS = ("mask", "overlay")


def config(name: str) -> PathJoinSubstitution:
    return PathJoinSubstitution([FindPackageShare(PACKAGE), "config", name])


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([
        DeclareLaunchArgument("image", default_value="image", description="Topic of the camera's pictures."),
        DeclareLaunchArgument(
            "params_file", default_value=config("detector.yaml"), description="Parameter file (YAML)."
        ),
        DeclareLaunchArgument(
            "backend", default_value="", description="Where the network runs; empty: as in the file."
        ),
        DeclareLaunchArgument(
            "static_mask", default_value="",
            description="Mask file, attended as well as what the dynamic mask attends (mask_mode static+dynamic); "
            "empty: masks as in the file.",
        ),
        DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its topics."),
        DeclareLaunchArgument("use_sim_time", default_value="false", choices=SWITCH, description="Time from /clock."),
        DeclareLaunchArgument(
            "log_level", default_value="info", choices=["debug", "info", "warn", "error", "fatal"],
            description="Least severe messages that are shown.",
        ),
        DeclareLaunchArgument("rviz", default_value="false", choices=SWITCH, description="Show camera, overlay, mask."),
        OpaqueFunction(function=processes),
    ])


def processes(context: LaunchContext) -> list[Node]:
    """The processes for the arguments' values, which are known only now."""
    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    # Only for these processes: a launch file that includes this one keeps its own environment.
    profile = Path(config(PROFILE).perform(context))
    common = {
        "additional_env": picture_environment(profile, os.environ),
        "output": "screen",
    }
    sim_time = [{"use_sim_time": True}] if value("use_sim_time") == "true" else []
    detector = Node(
        package=PACKAGE,
        executable="detector",
        namespace=value("namespace"),
        parameters=[value("params_file"), *sim_time, *overrides(value("backend"), value("static_mask"))],
        remappings=[("image", value("image"))],
        ros_arguments=["--log-level", value("log_level")],
        **common,
    )
    if value("rviz") == "false":
        return [detector]
    inside = "/".join(["", *filter(None, value("namespace").split("/"))])
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", config("detector.rviz").perform(context)],
        parameters=sim_time,
        remappings=[
            ("/image", absolute(value("image"), inside)),
            *((f"/{name}", f"{inside}/{name}") for name in OUTPUTS),
        ],
        **common,
    )
    return [detector, rviz]


def overrides(backend: str, static_mask: str) -> list[dict[str, ParameterValue]]:
    """Parameters that were given as arguments. As text: otherwise a file named 1e5 would be read as a number."""
    given = {"backend": backend, "static_mask": static_mask}
    if static_mask:
        given["mask_mode"] = "static+dynamic"
    chosen = {name: ParameterValue(text, value_type=str) for name, text in given.items() if text}
    return [chosen] if chosen else []


def absolute(topic: str, namespace: str) -> str:
    """The full name that a topic has inside the namespace."""
    return topic if topic.startswith("/") else f"{namespace}/{topic}"
