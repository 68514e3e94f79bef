"""Call a service of a running detector, for computers without "ros2 service".

refresh: the next image is observed as a whole. reset: the same, and all that was learned is forgotten.
save_static_mask: writes a mask file on the detector's computer, and prints where.

  regionmask_ros call refresh
  regionmask_ros call save_static_mask --node /front/detector
"""

from __future__ import annotations

import argparse

from .._running import add_running

SERVICES = ("refresh", "reset", "save_static_mask")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("service", choices=SERVICES, help="the service")
    add_running(parser)
