"""What all commands that read pictures share: how they are read, and what is said about those that were dropped."""

from __future__ import annotations

import argparse

from ..sources import Reading
from ._cli import EXIT_DROPPED, EXIT_OK
from ._parser import print_note


def make_reading(args: argparse.Namespace, is_quiet: bool = False) -> Reading:
    """How the pictures of a command are read, by the options of ``add_reading``.

    Args:
        args: With those options.
        is_quiet: Whether lines for the log are left out, as they were printed before; otherwise they go to stderr.

    Returns:
        The reading.
    """
    return Reading(args.max_image_pixels, args.image_bit_depth, (lambda line: None) if is_quiet else print_note)


def report_dropped(reading: Reading, args: argparse.Namespace) -> int:
    """Tells which pictures were dropped.

    Args:
        reading: How the pictures were read.
        args: With the option ``--strict``.

    Returns:
        The exit status.
    """
    line = reading.dropped.describe()
    if not line:
        return EXIT_OK
    print_note(line)
    return EXIT_DROPPED if args.strict else EXIT_OK
