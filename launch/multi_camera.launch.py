"""Starts one detector per camera, each in the camera's namespace.

  ros2 launch regionmask_ros multi_camera.launch.py cameras:=[front,left] image:=image_raw
  ros2 launch regionmask_ros multi_camera.launch.py cameras:=[front,left] static_masks:=my/masks one_process:=false

The camera front publishes on /front/image_raw; its detections are on /front/detections, its static mask is
my/masks/front.npz or front.png. Parameters of one camera go into the parameter file below /front/detector.
"""

from __future__ import annotations

from typing import Any

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from regionmask_ros.ros.cameras import Camera, find_masks, parse_cameras
from regionmask_ros.ros.launching import (
    PACKAGE,
    common_arguments,
    is_on,
    network_parameters,
    process_settings,
    text_parameters,
    value,
)


def generate_launch_description() -> LaunchDescription:
    """Returns the arguments and the function that starts the processes."""
    return LaunchDescription([
        DeclareLaunchArgument("cameras", description="Namespaces of the cameras, such as [front,left]."),
        DeclareLaunchArgument(
            "image", default_value="image", description="Topic of the images, below each camera's namespace."
        ),
        *common_arguments(),
        DeclareLaunchArgument(
            "static_masks", default_value="",
            description="Folder with a mask file for some cameras, named like the camera; empty: none.",
        ),
        DeclareLaunchArgument(
            "one_process", default_value="true",
            description="true: all detectors in one process, which share the network's weights. false: one each.",
        ),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="Time from /clock."),
        OpaqueFunction(function=processes),
    ])


def processes(context: LaunchContext) -> list[Node]:
    """Returns the processes for the arguments' values, which are known only now."""
    cameras = find_masks(parse_cameras(value(context, "cameras")), value(context, "static_masks"))
    sim_time = [{"use_sim_time": True}] if is_on(context, "use_sim_time") else []
    common: dict[str, Any] = {
        "package": PACKAGE,
        "executable": "detector",
        "parameters": [value(context, "params_file"), *sim_time, *network_parameters(context)],
        "remappings": [("image", value(context, "image"))],
        "ros_arguments": ["--log-level", value(context, "log_level")],
        **process_settings(context),
    }
    if is_on(context, "one_process"):
        return [Node(arguments=[word for c in cameras for word in ("--camera", str(c))], **common)]
    return [single_camera(camera, common) for camera in cameras]


def single_camera(camera: Camera, common: dict[str, Any]) -> Node:
    """Returns a process for one camera."""
    parameters = [*common["parameters"], *text_parameters(**camera.parameters)]
    return Node(namespace=camera.name, **{**common, "parameters": parameters})
