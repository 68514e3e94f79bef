"""``python -m checks.command_reference``: writes docs/OPTIONS.md from the parsers of the commands.

With ``--check`` it only compares, and says if the page is out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from regionmask_ros.commands._cli import COMMANDS
from regionmask_ros.commands._parser import build_parser
from regionmask_ros.core.options import Group

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "OPTIONS.md"
COMMAND = "python -m checks.command_reference"

START = f"""\
# Options of the commands

<!-- made by {COMMAND} -->

`.venv/bin/regionmask_ros help NAME` prints the same. [COMMANDS.md](COMMANDS.md) says what each command is for. Options
that are also parameters of the node are described in [PARAMETERS.md](PARAMETERS.md). `run` refuses options that have no
effect, such as most of those for the ROS node.
"""


def make_page() -> str:
    """The page: a section for each command, with a table for each group of its options."""
    return "\n".join([START, *(line for name in COMMANDS for line in _section(f"## {name}", build_parser(name)))])


def _section(heading: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """The lines of a command, and of the actions that it may have."""
    rows: list[str] = []
    actions: dict[str, argparse.ArgumentParser] = {}
    for group in parser._action_groups:
        shown = [action for action in group._group_actions if action.help not in (None, argparse.SUPPRESS)
                 and not isinstance(action, argparse._HelpAction)]
        if group.title in {known.title for known in Group}:
            names = ", ".join(f"`{_names(action)[-1]}`" for action in shown)
            anchor = str(group.title).lower().replace(":", "").replace(" ", "-")
            rows.append(f"| [{group.title}](PARAMETERS.md#{anchor}) | {names} |")
            continue
        rows += [f"| {_call(action)} | {_escape(_text(parser, action))} |" for action in shown]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            actions = dict(action.choices)
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
            rows += [f"| `{name}` | {_escape(texts[name])} |" for name in actions]
    description = [_escape(parser.description), ""] if parser.description else []
    yield from (heading, "", *description, "| option | meaning |", "| --- | --- |", *rows, "")
    for name, action_parser in actions.items():
        yield from _section(f"#{heading} {name}", action_parser)


def _names(action: argparse.Action) -> Sequence[str]:
    choices = "|".join(map(str, action.choices or ()))
    return action.option_strings or [str(action.metavar or choices or action.dest)]


def _call(action: argparse.Action) -> str:
    """Names and value of an option, as one writes them. Not all renderers know a way to write | in a cell as code."""
    takes_value = action.option_strings and action.nargs != 0
    value = f" {action.metavar or action.dest.upper()}" if takes_value else ""
    call = f"{', '.join(_names(action))}{value}"
    return f"<code>{call.replace('|', '&#124;')}</code>" if "|" in call else f"`{call}`"


def _text(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action)


def _escape(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def main(arguments: Sequence[str]) -> int:
    """Writes the page, or compares it with ``--check``; returns the exit status."""
    page = make_page()
    if "--check" not in arguments:
        PAGE.write_text(page, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        print(f"{PAGE.relative_to(ROOT)}: differs from the commands; run: {COMMAND}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
