"""The work of the command ``distill``, whose arguments are in ``arguments/distill.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..backends.runtimes import find_runtime
from ..errors import UserError, to_one_line
from ..files.outputs import Outputs
from ..importing.opening import open_network
from ..network.cards import check_name
from ..network.chain import Network
from ..network.dense import DenseNetwork
from ..network.files import find_network, load_network
from ..network.names import INSTALLED
from ._cli import EXIT_INTERRUPTED, command_main
from ._pictures import make_reading, report_dropped
from ._training import check_counts, require_torch, run_or_save

_DEFAULTS = {
    "street": {"steps": 3000, "batch": 16, "grid": "float"},
    "same": {"steps": 1120, "batch": 8, "grid": "float"},
    "chain": {"steps": 1500, "batch": 16, "grid": "lava64"},
}
"""Of each student's training, where the user gives none."""


def run(args: argparse.Namespace) -> int:
    """Trains, and returns the exit status."""
    name = check_name(args.output)
    for option, value in _DEFAULTS[args.student].items():
        if getattr(args, option) is None:
            setattr(args, option, value)
    check_counts(args, ("steps", "batch", "every", "look_every"))
    classes = tuple(dict.fromkeys(word.strip() for word in args.classes.split(",") if word.strip()))
    if not classes:
        raise UserError("--classes: names no class")
    require_torch("distill")
    from ..lab.distillation.grids import LAVA64, POW2
    from ..lab.distillation.session import SAME, DistillationSession, Order

    teachers = tuple(_open_teacher(word.strip()) for word in args.teacher.split(",") if word.strip())
    if not teachers:
        raise UserError("TEACHER: names no network")
    folder = Path(args.folder or name)
    base = None if args.student == SAME or args.from_nothing else _open_base()
    with Outputs(args.sources) as outputs:
        outputs.folder(str(folder))
        outputs.commit()
    reading = make_reading(args)
    order = Order(
        teachers, tuple(args.sources), args.student, name, teachers[0].labels if args.student == SAME else classes,
        args.grid, args.steps, args.batch, args.every, args.look_every, args.seed, folder, find_runtime())
    session = DistillationSession(order, base, args.resume, reading)
    if not run_or_save(session, args.steps):
        return EXIT_INTERRUPTED
    print(f"{name} installed; use it with --network {name}")
    if args.student == SAME and args.grid in (POW2, LAVA64):
        print(f"for the event engine: regionmask_ros model events {name} --calibrate {args.sources[0]}")
    return report_dropped(reading, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with the given arguments, or those of the process."""
    return command_main("distill", argv)


def _open_teacher(name: str) -> DenseNetwork:
    network = open_network(name)
    if not isinstance(network, DenseNetwork):
        raise UserError(to_one_line(f"{name}: a teacher is a dense network: import one with 'model import FILE.onnx'"))
    return network


def _open_base() -> Network:
    try:
        return load_network(find_network(INSTALLED))
    except UserError as error:
        raise UserError(to_one_line(f"{error}; or begin with random weights: --from-nothing")) from error
