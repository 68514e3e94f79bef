"""Plays a bag through the detector on simulated time and records the results into a new bag.

  ros2 launch regionmask_ros bag.launch.py bag:=street/ output:=results/
  ros2 launch regionmask_ros bag.launch.py bag:=street/ topic:=/front/image_raw output:=results/ rate:=0.5

Uses ros2 bag where it is installed, else this package's commands play and record. The bag is played once the detector
is active; all processes end after it. Headers are those of the images; times in the new bag are the old bag's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events import Shutdown
from launch.events.process import ProcessIO
from launch_ros.actions import Node

from launch import Action, LaunchContext, LaunchDescription
from regionmask_ros.ros.launching import PACKAGE, common_arguments, process_settings, text_parameters, value
from regionmask_ros.ros.parameter_files import input_size_for
from regionmask_ros.sources.bag import BagImages

ACTIVE = b"active: images from"
"""The detector's log line when it listens."""

OUTPUTS = ("detections", "label_info", "mask", "overlay")

FIRST_IMAGE_S = "2.0"
"""ros2 bag does not wait for subscribers: images played before detector and player have matched would be lost."""

LAST_ANSWERS_S = 2.0


def generate_launch_description() -> LaunchDescription:
    """Returns the arguments and the function that starts the processes."""
    return LaunchDescription([
        DeclareLaunchArgument("bag", description="Folder of the bag with images, mcap or db3."),
        DeclareLaunchArgument("output", description="Folder of the new bag, which must not exist yet."),
        DeclareLaunchArgument("topic", default_value="", description="Topic of the images, if the bag has several."),
        DeclareLaunchArgument("rate", default_value="1.0", description="Speed factor; a slow one loses no image."),
        *common_arguments(),
        DeclareLaunchArgument(
            "static_mask", default_value="",
            description="Mask file, combined with the dynamic mask; empty: masks as in the parameter file.",
        ),
        DeclareLaunchArgument(
            "player", default_value="auto", choices=["auto", "ros2", "own"],
            description="What plays and records. auto: ros2 bag where it is installed, else own.",
        ),
        OpaqueFunction(function=processes),
    ])


def processes(context: LaunchContext) -> list[Action]:
    """Starts detector and recorder at once, the player when the detector is active, and ends all after the player."""
    bag, static_mask = value(context, "bag"), value(context, "static_mask")
    with BagImages(bag, value(context, "topic")) as source:
        topic, compressed = source.topic, source.compressed
        # Opening the backend takes several frames' time: a detector that knows the image size does it before.
        size = input_size_for(value(context, "params_file"), source.size_wh)
    image = topic.removesuffix("/compressed")
    with_ros2 = {"ros2": True, "own": False, "auto": find_spec("ros2bag") is not None}[value(context, "player")]
    parameters = text_parameters(
        backend=value(context, "backend"), static_mask=static_mask,
        mask_mode="static+dynamic" if static_mask else "", image_transport="compressed" if compressed else "",
        input_size=size,
    )
    detector = Node(
        package=PACKAGE,
        executable="detector",
        parameters=[value(context, "params_file"), {"use_sim_time": True}, *parameters],
        # Our player publishes where the detector listens; ros2 bag publishes under the bag's own name.
        remappings=[("image", image), *([(f"{image}/compressed", topic)] if compressed and with_ros2 else [])],
        **process_settings(context),
    )
    tools = ros2_tools if with_ros2 else package_tools
    player, recorder = tools(context, topic, image, compressed)
    on_output = start_when_active(player)
    return [
        detector,
        recorder,
        RegisterEventHandler(OnProcessIO(target_action=detector, on_stdout=on_output, on_stderr=on_output)),
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[
            TimerAction(period=LAST_ANSWERS_S, actions=[EmitEvent(event=Shutdown(reason="the bag is played"))]),
        ])),
        RegisterEventHandler(OnProcessExit(
            target_action=detector, on_exit=[EmitEvent(event=Shutdown(reason="the detector has ended"))]
        )),
    ]


def start_when_active(player: Action) -> Callable[[ProcessIO], list[Action]]:
    """Returns an event handler that starts the player once, when the detector logs that it is active."""
    waiting = [player]

    def on_output(event: ProcessIO) -> list[Action]:
        return [waiting.pop()] if waiting and ACTIVE in event.text else []

    return on_output


def ros2_tools(context: LaunchContext, topic: str, image: str, compressed: bool) -> tuple[Action, Action]:
    """Returns ros2 bag play and ros2 bag record, with options that Humble and later releases know."""
    play = ["ros2", "bag", "play", value(context, "bag"), "--clock", "100", "--rate", value(context, "rate"),
            "--delay", FIRST_IMAGE_S, "--topics", topic]
    record = ["ros2", "bag", "record", "--use-sim-time", "-o", value(context, "output"),
              *(f"/{name}" for name in OUTPUTS), "/diagnostics"]
    return tuple(ExecuteProcess(cmd=command, **process_settings(context)) for command in (play, record))


def package_tools(context: LaunchContext, topic: str, image: str, compressed: bool) -> tuple[Action, Action]:
    """Returns the commands play and record of this package."""
    player = Node(
        package=PACKAGE, executable="play", **process_settings(context),
        arguments=[
            value(context, "bag"), "--bag-topic", topic, "--topic", image, "--rate", value(context, "rate"),
            "--clock", "--wait", "60", *(["--compressed"] if compressed else []),
        ],
    )
    recorder = Node(
        package=PACKAGE, executable="record", arguments=[value(context, "output")],
        ros_arguments=["-p", "use_sim_time:=true"], **process_settings(context),
    )
    return player, recorder
