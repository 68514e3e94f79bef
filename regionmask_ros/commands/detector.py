"""The ROS 2 node: pictures in, detections, masks, overlay and diagnostics out.

It runs until Ctrl-C. Topics (remap them) and parameters are ROS's; "ros2 param describe /detector NAME" explains one.

  python -m regionmask_ros detector --ros-args -r image:=/camera/image_raw -p mask_mode:=dynamic
  python -m regionmask_ros detector --ros-args --params-file my.yaml
"""

from __future__ import annotations

import argparse
from typing import Sequence

from ..ros.availability import require
from ..ros.dds_profile import use_profile
from ..ros.stopping import StopRequest
from ._shell import EXIT_OK, command_main


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=[], metavar="...",
        help="remaps (-r image:=/camera/image_raw), parameters (-p name:=value), files (--params-file)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the node until a signal. Exit status 0 then, also after SIGTERM."""
    with StopRequest() as stop:
        use_profile()
        require("rclpy", "sensor_msgs", "diagnostic_msgs", "lifecycle_msgs", "vision_msgs")
        from ..ros.node import DetectorNode
        from ..ros.session import RosSession

        with RosSession(["--ros-args", *args.ros_args]) as session:
            node = session.add(DetectorNode)
            node.start()
            session.spin()
            stop.wait()
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("detector", argv)
