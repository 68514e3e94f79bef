"""The work of the command ``view``, whose arguments are in ``arguments/view.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..errors import UserError
from ..ros.stopping import StopRequest
from ..web.browser import show_address
from ..web.server import WebServer
from ._cli import EXIT_OK, command_main
from ._running import open_client

MAX_PORT = 65535


def run(args: argparse.Namespace) -> int:
    """Serves the page until a signal."""
    if args.port is not None and not 1 <= args.port <= MAX_PORT:
        raise UserError(f"--port {args.port}: must be between 1 and {MAX_PORT}")
    with StopRequest() as stop, open_client(args) as (_, client):
        from ..ros.client import RemoteDetector, choose_detector
        from ..ros.live_view import LiveView

        name = choose_detector(client, args.node, args.wait)
        view = LiveView(client, RemoteDetector(client, name))
        with WebServer(view.make_routes(), args.port or 0) as server:
            stop.mark_running()
            print(f"{name}: Ctrl-C ends the view")
            show_address(server.address, not args.no_browser)
            stop.wait()
    return stop.exit_status or EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("view", argv)
