"""Tell what is installed, what works, and what to do about the rest.

Nothing is changed. Exit status: 0 when everything that is installed works, 1 when something is broken.

example:
  python -m regionmask_ros doctor
  python -m regionmask_ros doctor --json doctor.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .. import __version__
from ..files.outputs import write_whole
from ..lab.doctor import installation as here
from ..lab.doctor.finding import ABSENT, BROKEN, OK, Finding
from ._cli import EXIT_OK, command_main

EXIT_BROKEN = 1
_MARKS = {OK: "ok  ", ABSENT: "--  ", BROKEN: "FAIL"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", default="", help="write the findings as JSON, too")


def run(args: argparse.Namespace) -> int:
    print(f"regionmask_ros {__version__}")
    found = []
    for finding in _findings():
        found.append(finding)
        print(_line(finding), flush=True)
    if args.json:
        facts = {"version": __version__, "findings": [asdict(finding) for finding in found]}
        write_whole(Path(args.json), (json.dumps(facts, indent=1) + "\n").encode())
    return EXIT_BROKEN if any(finding.state == BROKEN for finding in found) else EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("doctor", argv)


def _findings() -> Iterator[Finding]:
    broken = False
    for finding in here.findings():
        broken |= finding.state == BROKEN and finding.subject != "trained network"
        yield finding
    if not broken:
        # It computes, so it needs what was just found.
        from ..lab.doctor import lava

        yield from lava.findings()


def _line(finding: Finding) -> str:
    cure = f"\n{' ' * 21} -> {finding.cure}" if finding.cure else ""
    return f"{_MARKS[finding.state]} {finding.subject:<15} {' '.join(finding.fact.split())}{cure}"


if __name__ == "__main__":
    sys.exit(main())
