"""Plays a bag through the detector on simulated time and records the results into a new bag.

  ros2 launch regionmask_ros bag.launch.py bag:=street/ output:=results/
  ros2 launch regionmask_ros bag.launch.py bag:=street/ topic:=/front/image_raw output:=results/ rate:=0.5

Uses ros2 bag where it is installed and the bag is whole, else this package's commands play and record. The bag is
played once the detector is active; all processes end after it. A process that fails, or ends too early, ends the
others, and the launch fails with a line that says which one and its status. Headers are those of the images; times in
the new bag are the old bag's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from importlib.util import find_spec
from signal import SIGINT

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events import Shutdown
from launch.events.process import ProcessExited, ProcessIO
from launch_ros.actions import Node

from launch import Action, LaunchContext, LaunchDescription
from regionmask_ros.errors import UserError
from regionmask_ros.ros.launching import PACKAGE, common_arguments, network_parameters, process_settings, value
from regionmask_ros.ros.parameter_files import input_size_for
from regionmask_ros.sources import BagImages, Reading

ACTIVE = b"active: images from"
"""The detector's log line when it listens."""

OUTPUTS = ("detections", "label_info", "mask", "overlay")

FIRST_IMAGE_S = "2.0"
"""ros2 bag does not wait for subscribers: images played before detector and player have matched would be lost."""

LAST_ANSWERS_S = 2.0

INTERRUPTED = {False: (0, 128 + SIGINT, -SIGINT), True: (0, SIGINT, -SIGINT)}
"""Exit statuses of a recorder that was asked to end: of this package's, and of ros2's, whose errors have 1."""


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
            description="What plays and records. auto: ros2 bag where it is installed and can read the bag, else own.",
        ),
        OpaqueFunction(function=processes),
    ])


def processes(context: LaunchContext) -> list[Action]:
    """Starts detector and recorder at once, the player when the detector is active, and ends all after the player.

    Args:
        context: Holds the arguments.

    Returns:
        Processes, and what is done when one of them ends.

    Raises:
        UserError: The bag cannot be read, or the folder for the new one exists.
    """
    bag, static_mask, output = (value(context, name) for name in ("bag", "static_mask", "output"))
    if os.path.lexists(output):
        raise UserError(f"output:={output}: exists already: give a new folder for the bag")
    notes: list[str] = []
    with BagImages(bag, value(context, "topic"), reading=Reading(tell=notes.append)) as source:
        topic, compressed = source.topic, source.compressed
        # Opening the backend takes several frames' time: a detector that knows the image size does it before.
        size = input_size_for(value(context, "params_file"), source.size_wh)
    image = topic.removesuffix("/compressed")
    # ros2 bag reads whole bags only.
    can_ros2 = find_spec("ros2bag") is not None and os.path.isdir(bag) and not notes
    with_ros2 = {"ros2": True, "own": False, "auto": can_ros2}[value(context, "player")]
    parameters = network_parameters(
        context, static_mask=static_mask,
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
    failed: list[str] = []
    return [
        detector,
        recorder,
        RegisterEventHandler(OnProcessIO(target_action=detector, on_stdout=on_output, on_stderr=on_output)),
        RegisterEventHandler(OnProcessExit(
            target_action=player, on_exit=end_of("the player", failed, before=(0,), then=TimerAction(
                period=LAST_ANSWERS_S, actions=[EmitEvent(event=Shutdown(reason="the bag is played"))])))),
        RegisterEventHandler(OnProcessExit(target_action=detector, on_exit=end_of("the detector", failed))),
        RegisterEventHandler(OnProcessExit(
            target_action=recorder, on_exit=end_of("the recorder", failed, after=INTERRUPTED[with_ros2]))),
        *(LogInfo(msg=note) for note in notes),
    ]


class PartFailed(Exception):
    """A process has ended that should not have. The launch logs the message, ends the others, and fails."""


def end_of(
    name: str, failed: list[str], before: Collection[int] = (), after: Collection[int] | None = None,
    then: Action | None = None,
) -> Callable[[ProcessExited, LaunchContext], list[Action]]:
    """Returns what is done when a process ends.

    Args:
        name: Its name for the message.
        failed: Names of processes that have failed. Only the first is reported: the others end because of it.
        before: Exit statuses with which it may end before the launch does.
        after: Those with which it may end after that; None for all.
        then: What follows an end before.

    Returns:
        A handler, which raises PartFailed for every other end.
    """

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[Action]:
        allowed = after if context.is_shutdown else before
        if failed or allowed is None:
            return []
        if event.returncode not in allowed:
            failed.append(name)
            raise PartFailed(f"{name} has ended with status {event.returncode}: the launch ends")
        return [then] if then is not None and not context.is_shutdown else []

    return on_exit


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
