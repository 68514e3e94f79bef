"""``regionmask_ros NAME ...``, or ``python -m regionmask_ros NAME ...``, runs the command of this name."""
# PYTHON_ARGCOMPLETE_OK: a shell may ask this program what can follow a part of a command line.

from __future__ import annotations

import os
import sys

from . import __version__
from .interrupts import end_at_signals


def main() -> int:
    """Runs the command that the program's arguments name; returns its exit status."""
    end_at_signals()
    if "_ARGCOMPLETE" in os.environ:
        from .commands._completion import complete

        complete()
    from .commands._cli import run_guarded

    return run_guarded(lambda: _dispatch(sys.argv[1:]))


def _dispatch(arguments: list[str]) -> int:
    from .commands._cli import COMMANDS, EXIT_OK, command_main
    from .errors import UserError, suggest

    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name == "help" and rest:
        name, rest = rest[0], ["--help"]
    if name in ("-h", "--help", "help"):
        print(_help(COMMANDS))
        return EXIT_OK
    if name == "--version":
        print(f"regionmask_ros {__version__}")
        return EXIT_OK
    if name not in COMMANDS:
        problem = f"unknown command {name!r}{suggest(name, COMMANDS)}" if name else "no command given"
        raise UserError(f"{problem}; use one of {', '.join(COMMANDS)} (see --help)")
    return command_main(name, rest)


def _help(commands: dict[str, str]) -> str:
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {text}" for name, text in commands.items()]
    return "\n".join(["usage: regionmask_ros COMMAND [options]", "", "commands:", *lines, "",
                      "regionmask_ros help COMMAND lists the options and gives an example."])


if __name__ == "__main__":
    sys.exit(main())
