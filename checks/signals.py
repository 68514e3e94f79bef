"""``python -m checks.signals``: ends the node and the commands by signals at random moments, and prints one table.

Each program runs in a session and with a home of its own. SIGINT or SIGTERM is sent at a random moment after its first
lines have run, one time in four a second one soon after. It must end in time, without a traceback, with the status 0 if
it was running and 128 and the signal's number before, and may leave no process, shared memory, temporary or hidden
file. See ``docs/RELIABILITY.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.report.tables import Table, format_text

from .endings.programs import VIDEO, Program, command_line, make_programs
from .endings.room import ROOT, Room
from .endings.trial import FAILURES, NUMBERS, Outcome, Trial
from .selection import select

_FIRST_DOMAIN, _DOMAINS = 215, 15
"""Of ROS: above those that tests and demos use, and allowed on Linux."""
_TRIES = 5
_LAST_LINES = 12


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status: 1 when a program has not ended as it must.
    """
    parser = argparse.ArgumentParser(prog="python -m checks.signals", description=__doc__)
    parser.add_argument("--moments", type=int, default=100, help="number of moments of all programs together")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same programs and moments")
    parser.add_argument("--jobs", type=int, default=2, help="programs at a time")
    parser.add_argument("--programs", default="", help="only these, separated by semicolons")
    parser.add_argument("--moment", type=int, help="only the moment of this number")
    args = parser.parse_args(argv)
    for number in NUMBERS:
        # A shell's background jobs ignore SIGINT, and so would the programs.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="regionmask_ros_signals_") as folder:
        known = {program.name: program for program in make_programs(Path(folder))}
        chosen = select(parser, "--programs", args.programs, known)
        moments = range(args.moments) if args.moment is None else [args.moment]
        print(f"{len(moments)} moments of {len(chosen)} programs; first, kernels are compiled", flush=True)
        _compile_kernels()
        outcomes = run_campaign([known[name] for name in chosen], moments, args.seed, args.jobs)
    print(format_outcomes(chosen, outcomes))
    return 1 if any(outcome.problems for outcome in outcomes) else 0


def _compile_kernels() -> None:
    subprocess.run([sys.executable, "-m", "regionmask_ros.pipeline.warmup"], cwd=ROOT, stdout=subprocess.DEVNULL,
                   env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


def run_campaign(programs: Sequence[Program], moments: Sequence[int], seed: int, jobs: int) -> list[Outcome]:
    """Tries all moments, and prints the progress and everything that must not happen.

    Args:
        programs: The programs that are drawn from.
        moments: Numbers of the moments. Program, signal and time follow from number and seed.
        seed: Of all random numbers.
        jobs: Programs at a time.

    Returns:
        How every program has ended.
    """
    stop, outcomes, begin = threading.Event(), [], time.monotonic()
    lanes = max(1, min(jobs, len(moments)))
    domains = [_FIRST_DOMAIN + (os.getpid() + lane) % _DOMAINS for lane in range(lanes)]
    with ThreadPoolExecutor(lanes) as pool, contextlib.ExitStack() as cameras:
        free = list(domains)
        for domain in domains if any(program.has_camera for program in programs) else ():
            cameras.enter_context(_camera(domain))
        rest, running = iter(moments), {}
        try:
            while True:
                for index in itertools.islice(rest, len(free)):
                    domain = free.pop()
                    running[pool.submit(try_moment, programs, seed, index, domain, stop)] = (index, domain)
                if not running:
                    break
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    index, domain = running.pop(done)
                    free.append(domain)
                    outcomes.append(done.result())
                    _show(index, seed, outcomes[-1], len(outcomes), len(moments), time.monotonic() - begin)
        finally:
            stop.set()
    return outcomes


def try_moment(programs: Sequence[Program], seed: int, index: int, domain: int, stop: threading.Event) -> Outcome:
    """Starts the program of a moment and ends it by a signal.

    Args:
        programs: The programs that are drawn from.
        seed: Of all random numbers.
        index: The number of the moment.
        domain: The ROS domain.
        stop: Set when the trial shall be given up.

    Returns:
        How the program has ended.

    Raises:
        Interrupted: ``stop`` was set.
        RuntimeError: The program does not start, or ends before every signal.
    """
    rng = random.Random(f"{seed} {index}")
    (program,) = rng.choices(programs, [program.share for program in programs])
    longest_s = program.span_s
    for _ in range(_TRIES):
        with Room(domain) as room:
            outcome = Trial(program, room, stop).run(rng, longest_s)
        if isinstance(outcome, Outcome):
            return outcome
        # A program that had ended by itself is no moment: the next signal comes earlier.
        longest_s = outcome
    raise RuntimeError(f"{program.name}: ends before every signal")


@contextlib.contextmanager
def _camera(domain: int) -> Iterator[None]:
    """Plays a video on the topic ``image`` of a domain."""
    with Room(domain) as room:
        process = subprocess.Popen(
            command_line("play", VIDEO, "--loop", "--wait", "0"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=dict(room.environment()), cwd=room.folder, start_new_session=True)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def _show(index: int, seed: int, outcome: Outcome, done: int, moments: int, seconds: float) -> None:
    if outcome.problems:
        print(f"{outcome.program}: {outcome.moment}, status {outcome.status}")
        for kind, detail in outcome.problems:
            print(f"    {kind}: {detail}")
        for line in outcome.log.splitlines()[-_LAST_LINES:]:
            print(f"    | {line}")
        print(f"    alone: python -m checks.signals --seed {seed} --moment {index}")
    if outcome.problems or done % 10 == 0 or done == moments:
        print(f"{done} of {moments}, {seconds:.0f} s", flush=True)


def format_outcomes(names: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    """The results as a table, with a line for all programs together.

    Args:
        names: The programs.
        outcomes: How they have ended.

    Returns:
        The lines.
    """
    rows = []
    for name in (*names, "all"):
        mine = [outcome for outcome in outcomes if name in (outcome.program, "all")]
        found = Counter(kind for outcome in mine for kind in dict(outcome.problems))
        numbers = [len(mine), sum(outcome.status == 0 for outcome in mine),
                   sum(outcome.status > 0 for outcome in mine), *(found[kind] for kind in FAILURES)]
        rows.append((name, *map(str, numbers)))
    columns = ("program", "moments", "status 0", "128 + n", *FAILURES)
    return format_text(Table("ended by SIGINT or SIGTERM", columns, tuple(rows)))


if __name__ == "__main__":
    sys.exit(run_guarded(main))
