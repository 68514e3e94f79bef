"""The parser of a command: options in groups, other spellings of names, and errors that suggest what was meant."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from ..core.option_table import OPTIONS
from ..core.options import Group, Option
from ..errors import UserError, quote_outside, suggest, to_one_line

Parser = argparse.ArgumentParser | argparse._ArgumentGroup

_METAVARS = {bool: "true|false", int: "N", float: "X", str: "TEXT", tuple: "LIST"}


class CommandParser(argparse.ArgumentParser):
    """Reports argument errors in one line, and accepts other spellings of options.

    Attributes:
        old_names: New names of options by old names that are still accepted; a command adds its own.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.old_names: dict[str, str] = {}

    def error(self, message: str) -> NoReturn:
        """Raises UserError."""
        raise UserError(f"{message} (see {self.prog} --help)")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses the arguments, as argparse does; an unknown option is reported with the option that was meant."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            options = [word for word in unknown if word.startswith("-")]
            name = (options or unknown)[0].partition("=")[0]
            known = [option for option in self._option_string_actions if option.startswith("--")]
            self.error(f"unrecognized arguments: {' '.join(map(quote_if_needed, unknown))}"
                       f"{suggest(name, known) if options else ''}")
        return parsed

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action, f"invalid choice: {value!r}{suggest(str(value), choices)}; choose from {', '.join(choices)}")

    def replace_names(self, arguments: Sequence[str]) -> list[str]:
        """The arguments with underscores in names of options replaced by dashes, and old names by new ones.

        Args:
            arguments: As given by the user. Those after ``--ros-args`` are ROS's own.

        Returns:
            Arguments for `parse_args`.
        """
        names = list(arguments)
        ours = names.index("--ros-args") if "--ros-args" in names else len(names)
        for place, argument in enumerate(names[:ours]):
            name, equals, value = argument.partition("=")
            dashed = name.replace("_", "-")
            if dashed in self.old_names:
                warn_old_name(name, self.old_names[dashed])
                dashed = self.old_names[dashed]
            if name not in self._option_string_actions and dashed in self._option_string_actions:
                names[place] = f"{dashed}{equals}{value}"
        return names


def quote_if_needed(word: str) -> str:
    """The word, in quotes if it has characters that cannot be printed or is very long."""
    quoted = quote_outside(word)
    return word if quoted[1:-1] == word else quoted


def print_note(line: str) -> None:
    """Prints a line for the user on stderr, also with ``--quiet``. What is not printable in it is escaped."""
    print(f"regionmask_ros: {to_one_line(line)}", file=sys.stderr)


def warn_old_name(old: str, new: str) -> None:
    """Prints that an option has a new name."""
    print_note(f"{old} is an old name, which the next version will not have: use {new}")


def given_options(args: argparse.Namespace) -> frozenset[str]:
    """Names of those options of the option table that the user gave."""
    found: frozenset[str] = getattr(args, "given", frozenset())
    return found


class _StoreOption(argparse.Action):
    """Stores a value, and in ``given`` that the option was there."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        setattr(namespace, self.dest, values)
        namespace.given = given_options(namespace) | {self.dest}


def build_parser(name: str) -> CommandParser:
    """Makes the parser of a command.

    Args:
        name: Name of the command. The first line of the docstring of its arguments is the description, the rest follows
            the options.

    Returns:
        The parser.
    """
    module = importlib.import_module(f".arguments.{name}", __package__)
    summary, _, rest = (module.__doc__ or "").partition("\n")
    parser = CommandParser(prog=f"regionmask_ros {name}", description=summary, epilog=rest.strip("\n"),
                           formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    module.add_arguments(parser)
    actions = [sub for action in parser._actions if isinstance(action, argparse._SubParsersAction)
               for sub in action.choices.values()]
    # Behind an action, too; there, its absence must not undo the one before.
    for place, default in ((parser, False), *((action, argparse.SUPPRESS) for action in actions)):
        place.add_argument("-q", "--quiet", action="store_true", default=default,
                           help="print nothing but warnings and errors; files are written as always")
    return parser


def add_options(parser: Parser, *names: str) -> None:
    """Adds options of the option table.

    Args:
        parser: Where to add them. The values are found by the options' names, checked and of the options' types.
        names: Names of options.
    """
    for name in names:
        add_option(parser, OPTIONS[name], name)


def add_option_groups(parser: argparse.ArgumentParser, *groups: Group, common: Sequence[str] = ()) -> None:
    """Adds the options of the option table that belong to some groups; without groups, all of them.

    Args:
        parser: Where to add them.
        groups: The groups.
        common: Names of options that most users need: they are shown in a group of their own, before the others.
    """
    if common:
        add_options(parser.add_argument_group("Common options"), *common)
    for group in groups or Group:
        section = parser.add_argument_group(group.title, group.note or None)
        add_options(section, *(
            name for name, option in OPTIONS.items() if option.group is group and name not in common))


def add_option(parser: Parser, option: Option, dest: str) -> None:
    """Adds one option.

    Args:
        parser: Where to add it.
        option: The option.
        dest: Under which name its value is found.
    """
    metavar = option.metavar or "|".join(filter(None, option.choices)) or _METAVARS[option.kind]
    limits = "" if option.choices and not option.metavar else option.describe_limits()
    default = ",".join(option.default) if isinstance(option.default, tuple) else option.default
    notes = [option.text, limits and f"Values: {limits}.", f"Default: {'(empty)' if default == '' else default}."]
    action = parser.add_argument(
        *filter(None, (option.short, option.flag)), dest=dest, action=_StoreOption, default=option.default,
        type=replace(option, name=option.flag).parse, metavar=metavar,
        help=" ".join(filter(None, notes)).replace("%", "%%"))
    if option.choices:
        # Read by argcomplete only: the choices themselves are checked by the option.
        action.completer = complete_choices(option.choices)  # type: ignore[attr-defined]


def complete_choices(choices: Sequence[str]) -> Callable[..., Sequence[str]]:
    """What argcomplete offers for an option: a function that ignores its arguments and returns the choices."""
    return lambda **_: [choice for choice in choices if choice]
