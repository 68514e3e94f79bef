"""The work of the command ``call``, whose arguments are in ``arguments/call.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ._cli import EXIT_OK, command_main
from ._running import open_client


def run(args: argparse.Namespace) -> int:
    """Calls the service, and prints what the node answers."""
    with open_client(args) as (_, client):
        from ..ros.client import RemoteDetector, choose_detector

        node = RemoteDetector(client, choose_detector(client, args.node, args.wait))
        print(f"{node.name}: {node.trigger(args.service)}")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("call", argv)
