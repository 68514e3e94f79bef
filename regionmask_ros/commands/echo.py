"""The work of the command ``echo``, whose arguments are in ``arguments/echo.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import UserError
from ..ros.stopping import StopRequest
from ._cli import EXIT_OK, command_main
from ._parser import print_note
from ._running import open_client

POLL_S = 0.2


def run(args: argparse.Namespace) -> int:
    """Prints messages until enough have come, or a signal."""
    if args.count is not None and args.count < 1:
        raise UserError(f"--count {args.count}: must be 1 or more")
    with StopRequest() as stop, open_client(args) as (_, client):
        from ..ros.client import RemoteDetector, choose_detector
        from ..ros.echo import DETECTIONS, DetectionQueue, format_json, format_line

        node = RemoteDetector(client, choose_detector(client, args.node, args.wait))
        queue = DetectionQueue(client, node.find_output(DETECTIONS))
        state = node.read_state()
        if state != "active":
            print_note(f"{node.name} is {state}: lines come when it is active")
        write = format_json if args.json else format_line
        left = args.count or sys.maxsize
        stop.mark_running()
        while left and not stop.is_set():
            message = queue.get(POLL_S)
            if message is not None:
                print(write(message), flush=True)
                left -= 1
        if queue.dropped:
            print_note(f"{queue.dropped} messages were dropped: lines are read too slowly")
    return stop.exit_status or EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("echo", argv)
