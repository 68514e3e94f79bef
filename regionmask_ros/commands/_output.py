"""The option ``--output`` of commands that write into a folder: given, or the next free folder below ``runs``."""

from __future__ import annotations

import argparse
import os

from ..files.outputs import Outputs, free_name

RUNS = "runs"


def add_output(parser: argparse.ArgumentParser, name: str) -> None:
    """Adds the option ``--output``.

    Args:
        parser: Where to add it.
        name: Name of the command.
    """
    parser.add_argument("-o", "--output", metavar="DIR", default="",
                        help=f"folder for the results, made if missing (default: {RUNS}/{name}-N, with the next free "
                             "number)")


def make_folder(outputs: Outputs, args: argparse.Namespace, name: str) -> str:
    """Makes the folder of ``--output``, or the next free one.

    Args:
        outputs: Makes it, and removes it if the work fails.
        args: The arguments; ``output`` is the name of the folder afterwards.
        name: Name of the command.

    Returns:
        The folder.

    Raises:
        UserError: It cannot be made.
    """
    args.output = outputs.folder(args.output) if args.output else make_next_folder(outputs, name)
    return args.output


def make_next_folder(outputs: Outputs, name: str) -> str:
    """Makes the next free folder of a command, and returns it; ``outputs`` removes it if the work fails."""
    return outputs.new_folder(os.path.join(RUNS, name))


def next_folder(name: str) -> str:
    """The next free folder of a command, which is not made."""
    return free_name(os.path.join(RUNS, name))
