"""The executables of ``ros2 run regionmask_ros NAME``: signals are handled before a command is imported."""

from __future__ import annotations

import re
from collections.abc import Callable

from .interrupts import end_at_signals


def __getattr__(name: str) -> Callable[[], int]:
    """The program of the command of this name."""
    if not re.fullmatch("[a-z][a-z_]*", name):
        raise AttributeError(name)

    def run() -> int:
        end_at_signals()
        from .commands._cli import command_main

        return command_main(name)

    return run
