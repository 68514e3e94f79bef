"""What a kind of case is: how it is drawn, and which reader it is given to."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Files = Mapping[str, bytes]
"""Content by path below the folder of the case."""

_TEST_HELPERS = str(Path(__file__).resolve().parents[2] / "test")


@dataclass(frozen=True)
class Kind:
    """One kind of case.

    Attributes:
        name: Its name in the table.
        share: How many cases it gets, relative to the others.
        make: Draws a case.
        read: Gives a case to its reader. The folder holds the case's files, if it has any.
        hang_s: CPU time after which a case counts as a hang, in seconds.
    """

    name: str
    share: float
    make: Callable[[random.Random], Any]
    read: Callable[[Any, Path], None]
    hang_s: float = 1.0


def write_files(files: Files, folder: Path) -> None:
    """Writes the files of a case."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def use_test_helpers() -> None:
    """Lets seeds be made by the writers that the tests have."""
    if _TEST_HELPERS not in sys.path:
        sys.path.append(_TEST_HELPERS)
