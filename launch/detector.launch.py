"""Starts the detector node, and RViz on request.

  ros2 launch regionmask_ros detector.launch.py image:=/camera/image_raw rviz:=true
  ros2 launch regionmask_ros detector.launch.py params_file:=/path/to/my.yaml static_mask:=/path/to/mask.png

An empty argument keeps the parameter file's value. The node activates itself (parameter autostart).
"""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from regionmask_ros.ros.launching import (
    PACKAGE,
    absolute_topic,
    common_arguments,
    config,
    is_on,
    network_parameters,
    process_settings,
    value,
)

OUTPUTS = ("mask", "mask/static", "mask/dynamic", "mask/age", "overlay", "events")


def generate_launch_description() -> LaunchDescription:
    """Returns the arguments and the function that starts the processes."""
    return LaunchDescription([
        DeclareLaunchArgument("image", default_value="image", description="Topic of the camera's images."),
        *common_arguments(),
        DeclareLaunchArgument(
            "static_mask", default_value="",
            description="Mask file, combined with the dynamic mask (mask_mode static+dynamic); "
            "empty: masks as in the parameter file.",
        ),
        DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its topics."),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="Time from /clock."),
        DeclareLaunchArgument("rviz", default_value="false", description="Show its images."),
        OpaqueFunction(function=processes),
    ])


def processes(context: LaunchContext) -> list[Node]:
    """Returns the processes for the arguments' values, which are known only now."""
    image, namespace, static_mask = (value(context, name) for name in ("image", "namespace", "static_mask"))
    sim_time = [{"use_sim_time": True}] if is_on(context, "use_sim_time") else []
    parameters = network_parameters(
        context, static_mask=static_mask, mask_mode="static+dynamic" if static_mask else "")
    detector = Node(
        package=PACKAGE,
        executable="detector",
        namespace=namespace,
        parameters=[value(context, "params_file"), *sim_time, *parameters],
        remappings=[("image", image)],
        ros_arguments=["--log-level", value(context, "log_level")],
        **process_settings(context),
    )
    if not is_on(context, "rviz"):
        return [detector]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", config("detector.rviz").perform(context)],
        parameters=sim_time,
        remappings=[
            ("/image", absolute_topic(image, namespace)),
            *((f"/{name}", absolute_topic(name, namespace)) for name in OUTPUTS),
        ],
        **process_settings(context),
    )
    return [detector, rviz]
