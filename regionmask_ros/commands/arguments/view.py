"""Look at a running detector in a browser: camera, mask, boxes, figures, and sliders for the main parameters.

The page is served on 127.0.0.1 alone, at an address that nobody else knows. On another computer, forward the port with
"ssh -L N:127.0.0.1:N", and give --port N here. The node makes pictures only while the page is visible. With --foxglove
there is no page: Foxglove opens ws://127.0.0.1:8765 and shows all topics of the detector.

  regionmask_ros view
  regionmask_ros view --node /front/detector --port 8100 --no-browser
  regionmask_ros view --foxglove
"""

from __future__ import annotations

import argparse

from .._running import add_running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_running(parser)
    parser.add_argument("--port", type=int, default=None, metavar="N",
                        help="port on 127.0.0.1 (default: any free one; with --foxglove 8765)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    parser.add_argument("--foxglove", action="store_true",
                        help="serve the topics to Foxglove instead of a page; needs make foxglove-setup")
