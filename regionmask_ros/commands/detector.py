"""The work of the command ``detector``, whose arguments are in ``arguments/detector.py``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import to_one_line
from ..importing.opening import open_network
from ..ros.cameras import Camera, cache_loads, parse_camera, require_distinct
from ..ros.malloc import limit_arenas
from ..ros.setup import require, use_profile
from ..ros.stopping import StopRequest
from ..ros.vital import EXIT_FAILED, end_soon
from ._cli import command_main

if TYPE_CHECKING:
    from ..ros.node import DetectorNode
    from ..ros.session import RosSession


def run(args: argparse.Namespace) -> int:
    """Runs the node until a signal.

    Args:
        args: The arguments.

    Returns:
        The exit status: 0 also after SIGTERM, 128 and the signal's number if there was no node yet, 1 if a thread of it
        has failed.
    """
    cameras = require_distinct([parse_camera(text) for text in args.camera])
    limit_arenas(os.environ)
    with StopRequest() as stop:
        use_profile()
        require("rclpy", "sensor_msgs", "diagnostic_msgs", "lifecycle_msgs", "std_srvs", "vision_msgs")
        from ..ros.session import RosSession

        with RosSession(["--ros-args", *args.ros_args]) as session:
            nodes = _nodes(session, cameras, stop)
            stop.mark_running()
            for node in nodes:
                if not stop.is_set():
                    node.start()
            session.spin(stop.fail)
            stop.wait()
            if stop.failure:
                # A launcher restarts a process that has ended, but not one that lives and does nothing.
                print(f"regionmask_ros: {to_one_line(stop.failure)}; the process ends", file=sys.stderr)
                end_soon()
    return EXIT_FAILED if stop.failure else stop.exit_status


def _nodes(session: RosSession, cameras: Sequence[Camera], stop: StopRequest) -> list[DetectorNode]:
    """A node for each camera; without cameras, one in the namespace of the ROS arguments."""
    from rclpy.parameter import Parameter

    from ..ros.node import DetectorNode

    if not cameras:
        return [session.add(lambda **node: DetectorNode(on_failure=stop.fail, **node))]
    load = cache_loads(open_network)

    def make(camera: Camera) -> DetectorNode:
        own = [Parameter(name, value=text) for name, text in camera.parameters.items()]
        return session.add(lambda **node: DetectorNode(
            load, on_failure=stop.fail, namespace=camera.name, parameter_overrides=own, **node))

    return [make(camera) for camera in cameras]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments, or those of the process. Returns the exit status."""
    return command_main("detector", argv)
