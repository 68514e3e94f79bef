"""What commands share that talk to a running detector: their options, and the way to it."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import UserError
from ._parser import Parser

if TYPE_CHECKING:
    from ..ros.client import GraphClient
    from ..ros.session import RosSession

MAX_WAIT_S = 3600.0


def add_running(parser: Parser) -> None:
    """Adds the options ``--node`` and ``--wait``."""
    parser.add_argument("--node", metavar="NAME", default="",
                        help="full name of the detector, such as /front/detector (default: the only one that runs)")
    parser.add_argument("--wait", type=float, metavar="S", default=5.0,
                        help="look for it at most S seconds (default: 5)")


@contextlib.contextmanager
def open_client(args: argparse.Namespace) -> Iterator[tuple[RosSession, GraphClient]]:
    """Starts ROS, for the block.

    Args:
        args: With those of `add_running`.

    Yields:
        The session, which spins, and a node that asks others.

    Raises:
        UserError: ROS is missing, or an argument is out of range.
    """
    if not (math.isfinite(args.wait) and 0.0 <= args.wait <= MAX_WAIT_S):
        raise UserError(f"--wait {args.wait:g}: must be between 0 and {MAX_WAIT_S:g}")
    from ..ros.setup import require

    # Without the profile for images, which only what sends them needs.
    require("rclpy", "sensor_msgs", "diagnostic_msgs", "lifecycle_msgs", "std_srvs", "vision_msgs")
    from ..ros.client import GraphClient
    from ..ros.session import RosSession

    with RosSession() as session:
        client = session.add(GraphClient)
        session.spin()
        yield session, client
