"""What can go wrong in the set-up, as exceptions that carry the text for the user."""

from __future__ import annotations

from pathlib import Path

_NO_NETWORK = (
    "Failed to establish a new connection", "Name or service not known", "Temporary failure in name resolution",
    "Network is unreachable", "Connection refused",
)


class SetupError(Exception):
    """A step could not be done; the text says what and what to do."""


class StepCancelled(Exception):
    """Another step has failed, so this one was ended too. Not shown: the other one is."""


class CommandError(SetupError):
    """A program that a step ran has failed; the text holds the end of its log and the log's path."""

    def __init__(self, what: str, exit_code: int, log: Path, tail_lines: int = 15) -> None:
        try:
            lines = log.read_text(errors="replace").splitlines()[-tail_lines:]
        except OSError:
            lines = []
        tail = "".join(f"\n    {line}" for line in lines)
        if any(sign in line for line in lines for sign in _NO_NETWORK):
            tail = (
                "\n    the package index cannot be reached: check the network or the proxy, "
                "then run the same command again"
            )
        super().__init__(f"{what}: failed with exit code {exit_code}{tail}\n  whole log: {log}")
