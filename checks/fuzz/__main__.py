"""``python -m checks.fuzz``: runs a campaign and prints one table, or runs one case alone."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from regionmask_ros.errors import UserError

from ..selection import select
from . import faults, networks, pictures, recordings, tables
from .campaign import format_table, run_campaign
from .kind import Kind, write_files
from .worker import make_case, read_case, serve

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (*pictures.KINDS, *networks.KINDS, *tables.KINDS, *recordings.KINDS)}
_HIDDEN: dict[str, Kind] = {kind.name: kind for kind in faults.KINDS}
"""They run only if they are named."""
_MOST_SHOWN = 20


def main(argv: list[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status: 1 when a case has failed.
    """
    parser = argparse.ArgumentParser(prog="python -m checks.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="number of cases of all kinds together")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same cases")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="child processes at a time")
    parser.add_argument("--kinds", default="", help="only these kinds, separated by semicolons")
    parser.add_argument("--case", default="", metavar="KIND:NUMBER", help="run one case alone, in this process")
    parser.add_argument("--keep", default="", metavar="DIR", help="with --case: write its files there")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.serve:
        serve(KINDS | _HIDDEN, Path(args.serve))
        return 0
    if args.case:
        name, _, number = args.case.rpartition(":")
        if name not in KINDS or not number.isdecimal():
            parser.error(f"--case {args.case!r}: write KIND:NUMBER; the kinds are {', '.join(KINDS)}")
        return _run_alone(KINDS[name], args.seed, int(number), args.keep)
    chosen = select(parser, "--kinds", args.kinds, KINDS, _HIDDEN)
    return _run_all([(KINDS | _HIDDEN)[name] for name in chosen], args.cases, args.seed, args.jobs)


def _run_all(kinds: list[Kind], cases: int, seed: int, jobs: int) -> int:
    begin = time.monotonic()
    tallies = run_campaign(kinds, cases, seed, jobs)
    print(format_table(tallies))
    failures = [(name, *failure) for name, tally in tallies.items() for failure in sorted(tally.failures)]
    seen: dict[tuple[str, str, str], int] = {}
    for name, number, outcome, detail in failures:
        seen.setdefault((name, outcome, detail), number)
    for (name, outcome, detail), number in list(seen.items())[:_MOST_SHOWN]:
        print(f"{outcome}: {detail}\n    alone: python -m checks.fuzz --seed {seed} --case '{name}:{number}'")
    if len(seen) > _MOST_SHOWN:
        print(f"and {len(seen) - _MOST_SHOWN} more")
    print(f"seed {seed}, {time.monotonic() - begin:.0f} s")
    return 1 if failures else 0


def _run_alone(kind: Kind, seed: int, number: int, keep: str) -> int:
    case = make_case(kind, seed, number)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(keep or temporary)
        if isinstance(case, dict) and all(isinstance(value, bytes) for value in case.values()):
            write_files(case, folder)
        else:
            print(repr(case)[:2000])
        try:
            read_case(kind, case, folder)
            print("accepted")
        except UserError as error:
            print(f"refused: {error}")
        # Whatever a reader raises is what this command is to show.
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
