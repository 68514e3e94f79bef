"""What all commands with many sources share: their options, the workers, and the units that are done or failed."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..files.outputs import Outputs
from ._output import make_folder
from ._parser import Parser, print_note

if TYPE_CHECKING:
    from ..fleet.calls import Executor, UnitResult, Work
    from ..fleet.journal import Journal
    from ..fleet.places import Place
    from ..fleet.progress import UnitProgress
    from ..fleet.scheduler import Failure
    from ..fleet.units import ImageLimits, Unit

MAX_JOBS = 1024
NAMED_FAILURES = 3


def add_workers(parser: Parser) -> None:
    """Adds the options of who does the work."""
    parser.add_argument("--jobs", metavar="N", type=int, default=0,
                        help="number of worker processes, or of processors of a local Ray (default: one for each "
                             "core)")
    parser.add_argument("--ray", metavar="ADDRESS", nargs="?", const="local", default="",
                        help="work on Ray: on a cluster of which this machine is a node (HOST:PORT or auto) or, "
                             "without an address, on a local one that is started for it")


def add_fleet(parser: Parser, with_slices: bool = True) -> None:
    """Adds the options of many sources.

    Args:
        parser: Where to add them.
        with_slices: Whether sources can be cut.
    """
    add_workers(parser)
    parser.add_argument("--resume", action="store_true",
                        help="go on with an earlier run in the folder of --output, with the same options; sources may "
                             "be added")
    if with_slices:
        parser.add_argument("--slice", metavar="S", type=float, default=None,
                            help="cut sources into slices of S seconds, so that several workers share a long one; each "
                                 "slice starts afresh (default: whole sources)")


def wants_fleet(args: argparse.Namespace) -> bool:
    """Whether an option of ``add_fleet`` asks for workers."""
    return bool(args.jobs or args.ray or args.resume or getattr(args, "slice", None) is not None)


def check_workers(args: argparse.Namespace) -> None:
    """Raises UserError for options of ``add_workers`` and ``add_fleet`` that mean nothing."""
    from ..fleet.ray_cluster import LOCAL, check_address
    from ..fleet.units import check_slice

    if not 0 <= args.jobs <= MAX_JOBS:
        raise UserError(f"--jobs {args.jobs}: must be between 1 and {MAX_JOBS}")
    if args.ray:
        check_address(args.ray)
        if args.jobs and args.ray != LOCAL:
            raise UserError(f"--jobs {args.jobs}: for worker processes or a local Ray; the cluster at {args.ray} has "
                            "as many as it has")
    check_slice(getattr(args, "slice", None))


def make_limits(args: argparse.Namespace) -> ImageLimits:
    """How workers read pictures, by the options of ``add_reading``."""
    from ..fleet.units import ImageLimits

    return ImageLimits(args.max_image_pixels, args.image_bit_depth)


def make_journal_folder(args: argparse.Namespace, name: str) -> None:
    """Makes the folder of ``--output``, or the next free one, which stays: the journal is in it from the first unit on.

    Args:
        args: With ``output`` and ``resume``; ``output`` is the name of the folder afterwards.
        name: Name of the command.

    Raises:
        UserError: It cannot be made, or ``--resume`` does not say which run goes on.
    """
    if args.resume and not args.output:
        raise UserError("--resume: name the folder of the earlier run with --output")
    with Outputs() as outputs:
        make_folder(outputs, args, name)
        outputs.commit()


@contextlib.contextmanager
def open_workers(args: argparse.Namespace, job: Any, most: int) -> Iterator[Executor]:
    """Starts workers for the block.

    Args:
        args: With the options of ``add_workers``.
        job: What all units share.
        most: Number of units: more processes would idle.

    Yields:
        The workers.

    Raises:
        UserError: There are none.
    """
    from ..fleet.processes import WorkerProcesses
    from ..fleet.ray_cluster import RayCluster

    executor: Executor = (RayCluster(args.ray, job, args.jobs or None) if args.ray
                          else WorkerProcesses(max(1, min(args.jobs or len(os.sched_getaffinity(0)), most)), job))
    try:
        yield executor
    finally:
        executor.close()


@dataclass(frozen=True)
class Done:
    """What was done of many units.

    Attributes:
        units: Those with a result, in their order.
        failures: The others.
        journal: Has the results.
        place: Who did the work.
    """

    units: Sequence[Unit]
    failures: Sequence[Failure]
    journal: Journal
    place: str

    def facts(self) -> list[UnitResult]:
        """The results in the order of the units, without files."""
        return [self.journal.facts(unit) for unit in self.units]


def do_units(args: argparse.Namespace, places: Sequence[Place], work: Work, job: Any, question: Mapping[str, Any]
             ) -> Done:
    """Does what an earlier run in the output folder has not done.

    Args:
        args: With the options of ``add_fleet``, and ``output``.
        places: The sources.
        work: What is done with each unit.
        job: What they share; with slices, it says how sources are opened (``units.Opens``).
        question: Everything that results depend on besides the sources.

    Returns:
        What was done, now and before.

    Raises:
        UserError: The journal cannot be used; with ``--strict`` a unit failed; or none has a result.
    """
    from ..fleet.journal import Journal
    from ..fleet.places import assign_names
    from ..fleet.progress import UnitProgress
    from ..fleet.scheduler import run_units
    from ..fleet.units import make_units

    slice_s = getattr(args, "slice", None)
    journal = Journal(args.output, {**question, "slice_s": slice_s}, args.resume)
    units = make_units(places, assign_names([str(place) for place in places], journal.names))
    with open_workers(args, job, len(units)) as executor:
        failures: list[Failure] = []
        if slice_s is not None:
            units, failures = _cut(args, executor, units)
        who = executor.place
        journal.begin()
        left = [unit for unit in units if not journal.has(unit)]
        if len(left) < len(units):
            print_note(f"{len(units) - len(left)} of {len(units)} units are done from an earlier run")
        with UnitProgress(len(units), len(units) - len(left)) as progress, _told_how_to_go_on(args, progress):
            failures += run_units(executor, work, left, journal.add, progress, args.strict)
    failed = {failure.unit.key for failure in failures}
    done = [unit for unit in units if unit.key not in failed]
    tell_failures(failures, len(units))
    if not done:
        raise UserError(f"no source could be used; the first: {failures[0].why}")
    return Done(done, failures, journal, who)


@contextlib.contextmanager
def _told_how_to_go_on(args: argparse.Namespace, progress: UnitProgress) -> Iterator[None]:
    """Says after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        print_note(f"{progress.n - progress.failed} of {progress.total} units are done; the same command with "
                   f"--resume and --output {args.output} goes on")
        raise


def _cut(args: argparse.Namespace, executor: Executor, units: Sequence[Unit]) -> tuple[list[Unit], list[Failure]]:
    """Units of at most about a slice; and sources whose length cannot be found, because they cannot be read."""
    from ..fleet.progress import UnitProgress
    from ..fleet.scheduler import run_units
    from ..fleet.units import cut, measure_length

    lengths: dict[str, float] = {}

    def take(unit: Unit, result: UnitResult) -> None:
        lengths[unit.name] = result.facts["length_s"]

    with UnitProgress(len(units), desc="lengths") as progress:
        failures = run_units(executor, measure_length, units, take, progress, args.strict)
    failed = {failure.unit.key for failure in failures}
    return cut([unit for unit in units if unit.key not in failed], lengths, args.slice), failures


def tell_failures(failures: Sequence[Failure], count: int) -> None:
    """Prints how many of as many units failed, and names the first ones."""
    if failures:
        more = len(failures) - NAMED_FAILURES
        named = [failure.why for failure in failures[:NAMED_FAILURES]] + [f"and {more} more"] * (more > 0)
        print_note(f"{len(failures)} of {count} units failed: {'; '.join(named)}")
