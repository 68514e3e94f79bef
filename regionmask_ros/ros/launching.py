"""Parts of the launch files. Imports ROS's launch, which only a ROS installation has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext

from ..core.options import Group, Option
from .setup import PROFILE, image_environment

PACKAGE = "regionmask_ros"


def config(name: str) -> PathJoinSubstitution:
    """Returns the path of a file in the installed folder config/."""
    return PathJoinSubstitution([FindPackageShare(PACKAGE), "config", name])


def common_arguments() -> list[DeclareLaunchArgument]:
    """Returns the arguments that every launch file with a detector has."""
    return [
        DeclareLaunchArgument(
            "params_file", default_value=config("detector.yaml"), description="Parameter file (YAML)."),
        DeclareLaunchArgument(
            "network", default_value="",
            description="The trained network: street, yolo_kp, the name of an imported one, or a file; empty: as in "
            "the file."),
        DeclareLaunchArgument(
            "backend", default_value="", description="Where the network runs; empty: as in the file."),
        DeclareLaunchArgument(
            "log_level", default_value="info", choices=["debug", "info", "warn", "error", "fatal"],
            description="Lowest severity of messages that are shown."),
    ]


def value(context: LaunchContext, name: str) -> str:
    """Returns the value of an argument, which is known once the launch runs."""
    return LaunchConfiguration(name).perform(context)


def is_on(context: LaunchContext, name: str) -> bool:
    """Returns whether an argument is switched on: true, True, yes or 1. UserError for what is neither on nor off."""
    return bool(Option(name, False, Group.NODE, "").parse(value(context, name).strip()))


def process_settings(context: LaunchContext) -> dict[str, Any]:
    """Returns keywords for each process: output on the screen, and the DDS profile for images.

    They are for these processes only: a launch file that includes ours keeps its own environment.
    """
    profile = Path(config(PROFILE).perform(context))
    return {"additional_env": image_environment(profile, os.environ), "output": "screen"}


def network_parameters(context: LaunchContext, **given: str) -> list[dict[str, ParameterValue]]:
    """Returns the parameters for the arguments ``network`` and ``backend``, and for others; see `text_parameters`."""
    return text_parameters(network_file=value(context, "network"), backend=value(context, "backend"), **given)


def text_parameters(**given: str) -> list[dict[str, ParameterValue]]:
    """Returns parameters for the arguments that are not empty.

    They are texts: otherwise a file named 1e5 would be read as a number.
    """
    chosen = {name: ParameterValue(text, value_type=str) for name, text in given.items() if text}
    return [chosen] if chosen else []


def absolute_topic(topic: str, namespace: str) -> str:
    """Returns the full name of a topic inside the namespace."""
    inside = "/".join(["", *filter(None, namespace.split("/"))])
    return topic if topic.startswith("/") else f"{inside}/{topic}"
