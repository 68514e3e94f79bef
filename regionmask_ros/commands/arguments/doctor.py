"""Check what is installed and what works, and say what to do about the rest.

Changes nothing. Exit status: 0 if everything that is installed works, 1 if something is broken.

Examples:
  regionmask_ros doctor
  regionmask_ros doctor --json doctor.json
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    parser.add_argument("--json", metavar="FILE", default="", help="also write the findings as JSON")
