"""Exceptions of the set-up. Their text is what the user reads."""

from __future__ import annotations

from pathlib import Path

_NO_NETWORK = (
    "Failed to establish a new connection", "Name or service not known", "Temporary failure in name resolution",
    "Network is unreachable", "Connection refused",
)


class SetupError(Exception):
    """A step failed; the text says what failed and what to do."""


class StepCancelled(Exception):
    """A step was ended because another one failed. Not shown: the other one is."""


class CommandError(SetupError):
    """A program that a step ran failed; the text holds the last lines of its output and its log's path.

    Attributes:
        output: What the program printed.
    """

    def __init__(self, what: str, exit_code: int, log: Path, output: str, tail_lines: int = 15) -> None:
        """Composes the text.

        Args:
            what: What the program was doing, such as "installing packages".
            exit_code: Its exit code.
            log: The file that received its output.
            output: What it printed.
            tail_lines: How many lines of it are shown.
        """
        self.output = output
        lines = output.splitlines()[-tail_lines:]
        tail = "".join(f"\n    {line}" for line in lines)
        if any(sign in line for line in lines for sign in _NO_NETWORK):
            tail = (
                "\n    the package index cannot be reached: check the network or the proxy, "
                "then run the same command again"
            )
        super().__init__(f"{what}: failed with exit code {exit_code}{tail}\n  whole log: {log}")
