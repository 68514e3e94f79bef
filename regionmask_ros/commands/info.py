"""The work of the command ``info``, whose arguments are in ``arguments/info.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..errors import UserError
from ._cli import EXIT_OK, command_main
from ._parser import print_note
from ._running import open_client


def run(args: argparse.Namespace) -> int:
    """Prints what is known of each detector, or of the one that is named."""
    with open_client(args) as (_, client):
        from ..ros.client import RemoteDetector, choose_detector, find_detectors
        from ..ros.node_info import collect_info, format_info
        from ..ros.status_watch import StatusWatch

        watch = StatusWatch(client)
        names = (choose_detector(client, args.node, args.wait),) if args.node else find_detectors(client, "", args.wait)
        for name in names:
            try:
                print(format_info(collect_info(client, RemoteDetector(client, name), watch)), flush=True)
            except UserError as error:
                if len(names) < 2:
                    raise
                print_note(str(error))
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("info", argv)
