"""What the commands that train share: what is checked before anything is read, and how Ctrl-C ends a training."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from typing import Protocol

from ..errors import UserError


class Session(Protocol):
    """A training that can be continued."""

    @property
    def step(self) -> int:
        """Number of steps done."""

    def run(self) -> object:
        """Trains to the end."""

    def save(self) -> None:
        """Writes the checkpoint."""


def check_counts(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Raises UserError for one of these numbers that is below 1, or a ``seed`` below 0."""
    for name in names:
        if getattr(args, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: must be 1 or more")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: must be 0 or more")


def require_torch(command: str) -> None:
    """Raises UserError if torch is not installed, which this command needs."""
    if importlib.util.find_spec("torch") is None:
        raise UserError(f"{command} needs torch, which is not installed: run 'make train-setup' (the extra 'train')")


def run_or_save(session: Session, steps: int) -> bool:
    """Trains to the end, or until Ctrl-C, and then saves and says how to continue.

    Args:
        session: The training.
        steps: Its steps in all.

    Returns:
        Whether the end was reached.
    """
    try:
        session.run()
    except KeyboardInterrupt:
        session.save()
        print(f"stopped at step {session.step} of {steps}; the same command with --resume continues")
        return False
    return True
