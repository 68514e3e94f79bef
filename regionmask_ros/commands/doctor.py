"""The work of the command ``doctor``, whose arguments are in ``arguments/doctor.py``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .. import __version__
from ..files.outputs import write_json
from ..lab.doctor.installation import ABSENT, BROKEN, NETWORK_SUBJECT, OK, Finding, check_installation
from ._cli import EXIT_OK, command_main

EXIT_BROKEN = 1
_MARKS = {OK: "ok  ", ABSENT: "--  ", BROKEN: "FAIL"}


def run(args: argparse.Namespace) -> int:
    """Prints the findings and returns the exit status."""
    print(f"regionmask_ros {__version__}")
    found = []
    for finding in _check_all():
        found.append(finding)
        print(_format(finding), flush=True)
    if args.json:
        facts = {"version": __version__, "findings": [asdict(finding) for finding in found]}
        write_json(Path(args.json), facts)
    return EXIT_BROKEN if any(finding.state == BROKEN for finding in found) else EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Runs this command with these arguments (None: the program's) and returns the exit status."""
    return command_main("doctor", argv)


def _check_all() -> Iterator[Finding]:
    is_broken = False
    for finding in check_installation():
        is_broken |= finding.state == BROKEN and finding.subject != NETWORK_SUBJECT
        yield finding
    if not is_broken:
        # It imports the packages that were just checked.
        from ..lab.doctor.lava import check_lava
        from ..lab.doctor.runtimes import check_runtimes

        yield from check_runtimes()
        yield from check_lava()


def _format(finding: Finding) -> str:
    cure = f"\n{' ' * 21} -> {finding.cure}" if finding.cure else ""
    return f"{_MARKS[finding.state]} {finding.subject:<15} {' '.join(finding.fact.split())}{cure}"
