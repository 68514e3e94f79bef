"""The work of the command ``view``, whose arguments are in ``arguments/view.py``."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UserError
from ..ros.stopping import StopRequest
from ..web.browser import show_address
from ..web.server import WebServer
from ._cli import EXIT_OK, command_main
from ._running import open_client

if TYPE_CHECKING:
    from ..ros.client import GraphClient, RemoteDetector

MAX_PORT = 65535


def run(args: argparse.Namespace) -> int:
    """Serves the page until a signal."""
    if args.port is not None and not 1 <= args.port <= MAX_PORT:
        raise UserError(f"--port {args.port}: must be between 1 and {MAX_PORT}")
    if args.foxglove and args.no_browser:
        raise UserError("--no-browser has no effect with --foxglove, which opens no browser")
    with StopRequest() as stop, open_client(args) as (_, client):
        from ..ros.client import RemoteDetector, choose_detector

        detector = RemoteDetector(client, choose_detector(client, args.node, args.wait))
        serve = _serve_foxglove if args.foxglove else _serve_page
        serve(client, detector, args, stop)
    return stop.exit_status or EXIT_OK


def _serve_page(client: GraphClient, detector: RemoteDetector, args: argparse.Namespace, stop: StopRequest) -> None:
    from ..ros.live_view import LiveView

    with WebServer(LiveView(client, detector).make_routes(), args.port or 0) as server:
        stop.mark_running()
        print(f"{detector.name}: Ctrl-C ends the view")
        show_address(server.address, not args.no_browser)
        stop.wait()


def _serve_foxglove(client: GraphClient, detector: RemoteDetector, args: argparse.Namespace, stop: StopRequest) -> None:
    from ..ros.echo import DETECTIONS
    from ..ros.foxglove import DEFAULT_PORT, FoxgloveServer
    from ..ros.setup import require

    require("rosbags")
    detector.find_output(DETECTIONS)
    with contextlib.closing(FoxgloveServer(client, detector.list_topics(), args.port or DEFAULT_PORT)) as server:
        stop.mark_running()
        print(f"{detector.name}: Ctrl-C ends the view\nopen {server.address} in Foxglove", flush=True)
        stop.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("view", argv)
