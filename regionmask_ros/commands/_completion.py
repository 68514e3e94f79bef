"""Tab completion by argcomplete: the parser of the command that the line names, and files where a value is one."""

from __future__ import annotations

import argparse
import os

from ._cli import COMMANDS
from ._parser import build_parser


def complete() -> None:
    """Answers the shell, and ends the process. Returns if argcomplete is not installed."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(make_parser(os.environ.get("COMP_LINE", "").split()[1:]), always_complete_options="long")


def make_parser(words: list[str]) -> argparse.ArgumentParser:
    """Makes a parser of a whole command line. Only the command that the line names has its options: others take time.

    Args:
        words: The words after the program's name, the last perhaps unfinished.

    Returns:
        The parser.
    """
    parser = argparse.ArgumentParser(prog="regionmask_ros")
    parser.add_argument("--version", action="store_true")
    commands = parser.add_subparsers()
    if words[:1] == ["-m"]:
        words = words[2:]
    name = next((word for word in words if word in COMMANDS), "")
    for other in COMMANDS:
        if other != name:
            commands.add_parser(other)
    chooser = commands.add_parser("help")
    chooser.add_argument("command", choices=tuple(COMMANDS))
    if name:
        own = build_parser(name)
        commands._name_parser_map[name] = own
        commands.choices[name] = own  # type: ignore[index]
    return parser
