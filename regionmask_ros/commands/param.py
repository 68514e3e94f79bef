"""The work of the command ``param``, whose arguments are in ``arguments/param.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..errors import UserError
from ._cli import EXIT_OK, command_main
from ._running import open_client


def run(args: argparse.Namespace) -> int:
    """Does what is asked, and prints the answer."""
    texts = _check(args.action, args.words)
    with open_client(args) as (_, client):
        from ..ros.client import RemoteDetector, choose_detector
        from ..ros.parameter_text import format_file, format_value

        node = RemoteDetector(client, choose_detector(client, args.node, args.wait))
        if args.action == "list":
            print("\n".join(node.list_parameters()))
        elif args.action == "get":
            print(format_value(node.read_parameters(args.words)[args.words[0]]))
        elif args.action == "dump":
            values = node.read_parameters()
            print(format_file(node.name, {name: value for name, value in values.items() if value is not None}), end="")
        else:
            node.set_texts(texts)
            print(f"set in {node.name}: {', '.join(texts)}")
    return EXIT_OK


def _check(action: str, words: Sequence[str]) -> dict[str, str]:
    """The values to set, by name. Raises UserError if the number of words does not fit."""
    if action in ("list", "dump") and words:
        raise UserError(f"param {action}: takes no names")
    if action == "get" and len(words) != 1:
        raise UserError("param get: give one name")
    if action != "set":
        return {}
    if not words or len(words) % 2:
        raise UserError("param set: give a name and a value, or several pairs of them")
    names = words[::2]
    if len(set(names)) != len(names):
        raise UserError("param set: a name comes twice")
    return dict(zip(names, words[1::2]))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return command_main("param", argv)
