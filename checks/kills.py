"""``python -m checks.kills``: kills programs that write, at random moments, and prints one table.

Each program writes the same output again and again, in the way in which the package does it, until ``kill -9``. Then
the output must be whole, old or new, and the next program must remove what the dead one has left. See
``docs/RELIABILITY.md``.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.report.tables import Table, format_text

from .endings.room import ROOT
from .endings.writers import WRITERS, Writer
from .selection import select

_LONGEST_S = 0.15
"""A program is killed within this time after its first output: it writes dozens of them."""

_FIRST = 1_000


@dataclass
class Tally:
    """How the outputs of one kind were found.

    Attributes:
        kills: How many programs were killed.
        damaged: How many outputs were neither old nor new.
        unfinished: How often a dead program had left something.
        left: How often it was still there after the next program.
    """

    kills: int = 0
    damaged: int = 0
    unfinished: int = 0
    left: int = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status: 1 when an output was damaged or something was left.
    """
    parser = argparse.ArgumentParser(prog="python -m checks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="number of kills of all kinds together")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--kinds", default="", help=f"only these, separated by semicolons: {'; '.join(WRITERS)}")
    parser.add_argument("--write", nargs=2, metavar=("KIND", "DIR"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.write:
        _write_for_ever(WRITERS[args.write[0]], Path(args.write[1]))
    chosen = select(parser, "--kinds", args.kinds, WRITERS)
    if importlib.util.find_spec("rclpy") is None and "bags" in chosen:
        print("bags are left out: rclpy is missing")
        chosen.remove("bags")
    tallies = run_campaign(chosen, args.kills, args.seed)
    print(format_tallies(tallies))
    return 1 if any(tally.damaged or tally.left for tally in tallies.values()) else 0


def _write_for_ever(writer: Writer, folder: Path) -> None:
    number = _FIRST
    while True:
        writer.write(folder, number)
        if number == _FIRST:
            print("written", flush=True)
        number += 1


def run_campaign(names: Sequence[str], kills: int, seed: int) -> dict[str, Tally]:
    """Kills programs, and prints the progress and every failure.

    Args:
        names: Keys of ``WRITERS``.
        kills: Of all kinds together; each kind has the same number, at least one.
        seed: Of the moments.

    Returns:
        The results by kind.
    """
    tallies = {name: Tally() for name in names}
    for index in range(max(kills, len(names))):
        name = names[index % len(names)]
        with tempfile.TemporaryDirectory(prefix="regionmask_ros_kills_") as base:
            folder = Path(base, "written")
            folder.mkdir(mode=0o700)
            _kill_once(name, folder, random.Random(f"{seed} {index}").uniform(0.0, _LONGEST_S))
            judge(name, folder, tallies[name])
        if (index + 1) % 20 == 0:
            print(f"{index + 1} of {kills}", flush=True)
    return tallies


def _kill_once(name: str, folder: Path, delay_s: float) -> None:
    process = subprocess.Popen([sys.executable, "-m", "checks.kills", "--write", name, str(folder)], cwd=ROOT,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    with process, process.stdout:
        try:
            if process.stdout.readline() != b"written\n":
                raise RuntimeError(f"{name}: the program does not write")
            time.sleep(delay_s)
        finally:
            process.kill()


def judge(name: str, folder: Path, tally: Tally) -> None:
    """Reads what a dead program has written, writes it again, and prints what must not be.

    Args:
        name: A key of ``WRITERS``.
        folder: Where it was written.
        tally: Counts the result.
    """
    tally.kills += 1
    try:
        newest = WRITERS[name].read(folder)
    except Exception as error:  # noqa: BLE001  whatever a reader says to a damaged file
        tally.damaged += 1
        print(f"{name}: damaged: {type(error).__name__}: {error}")
        newest = 0
    tally.unfinished += bool(_find_temporary(folder))
    # The next program of the user, which has just started.
    WRITERS[name].write(folder, _FIRST - 1 - newest % 2)
    if left := _find_temporary(folder):
        tally.left += 1
        print(f"{name}: left: {', '.join(left)}")


def _find_temporary(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.startswith("."))


def format_tallies(tallies: dict[str, Tally]) -> str:
    """The results as a table, with a line for all kinds together."""
    rows = [(name, tally.kills, tally.kills - tally.damaged, tally.damaged, tally.unfinished, tally.left)
            for name, tally in tallies.items()]
    rows.append(("all", *map(sum, zip(*(row[1:] for row in rows)))))  # type: ignore[arg-type]
    columns = ("written", "kills", "old or new", "damaged", "unfinished files", "left by the next")
    return format_text(Table("killed while they write", columns, tuple(tuple(map(str, row)) for row in rows)))


if __name__ == "__main__":
    sys.exit(run_guarded(main))
