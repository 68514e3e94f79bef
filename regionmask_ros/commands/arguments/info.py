"""Show what detectors are running: state, network, backend, mask, figures, diagnostics, topics.

Rates are measured for two reports of the node, about two seconds. Images that the node makes only while somebody
subscribes to them are not subscribed to, so that asking costs it nothing.

  regionmask_ros info
  regionmask_ros info --node /front/detector
"""

from __future__ import annotations

import argparse

from .._running import add_running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_running(parser)
