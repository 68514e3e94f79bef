"""The options as people read them: config/detector.yaml, and the tables in docs/PARAMETERS.md.

In a repository, ``python -m regionmask_ros.pipeline.option_docs`` writes both. With ``--check`` it only compares them.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from ..core.option_table import OPTIONS
from ..core.options import Group, Option, Value
from ..errors import UserError
from ..files.outputs import write_whole

COMMAND = "python -m regionmask_ros.pipeline.option_docs"
START, END = f"<!-- parameters: made by {COMMAND} -->", "<!-- end of parameters -->"

_TYPE_NAMES = {bool: "bool", int: "int", float: "double", str: "string", tuple: "string[]"}


def make_yaml() -> str:
    """config/detector.yaml: every parameter with its default, and a comment that explains it."""
    lines = [
        "# All parameters of the node detector, with their defaults. Copy the file, change what you need, and pass it:",
        "#   ros2 launch regionmask_ros detector.launch.py params_file:=/path/to/my.yaml",
        f"# Made from regionmask_ros/core/option_table.py by {COMMAND}.",
        "# ROS has no empty list of texts: [\"\"] stands for it.",
        "/**:",
        "  ros__parameters:",
    ]
    for group in Group:
        lines += [f"    # ---- {group.title} ----", ""]
        for option in _options_of(group):
            limits = option.describe_limits()
            note = f"{f'Values: {limits}. ' if limits else ''}Can be set {option.changeable.value}."
            for text in (option.text, note):
                lines += textwrap.wrap(text, 110, initial_indent="    # ", subsequent_indent="    # ")
            lines += [f"    {option.name}: {_format_yaml(option.default)}", ""]
    return "\n".join(lines)


def make_tables() -> str:
    """The part of docs/PARAMETERS.md from START to END, both included: a section and a table for each group."""
    lines = [START]
    for group in Group:
        lines += ["", f"## {group.title}", "", *([group.note, ""] if group.note else [])]
        lines += ["| parameter | type | default | values | can be set | meaning |", f"|{' --- |' * 6}"]
        for option in _options_of(group):
            short = f", `run {option.short}`" if option.short else ""
            cells = (
                f"`{option.name}`{short}", _TYPE_NAMES[option.kind], f"`{_format_yaml(option.default)}`",
                option.describe_limits(), option.changeable.value, option.text)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", END])


def insert_tables(page: str) -> str:
    """Renews the tables of a page.

    Args:
        page: Text of the page.

    Returns:
        The page with the current tables.

    Raises:
        UserError: The page has no place for them.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError(f"docs/PARAMETERS.md: the lines {START} and {END} are missing")
    return f"{before}{make_tables()}{after}"


def main(arguments: Sequence[str]) -> int:
    """Writes both files, or only compares them.

    Args:
        arguments: ``--check`` to compare.

    Returns:
        Exit status: 1 when a file that was to be compared is outdated, otherwise 0.
    """
    root = Path(__file__).resolve().parents[2]
    page = root / "docs" / "PARAMETERS.md"
    texts = {root / "config" / "detector.yaml": make_yaml(), page: insert_tables(page.read_text(encoding="utf-8"))}
    outdated = [path for path, text in texts.items() if path.read_text(encoding="utf-8") != text]
    check = "--check" in arguments
    for path in outdated:
        if check:
            print(f"{path.relative_to(root)}: differs from the option table; run: {COMMAND}")
        else:
            write_whole(path, texts[path].encode())
    return 1 if outdated and check else 0


def _options_of(group: Group) -> list[Option]:
    return [option for option in OPTIONS.values() if option.group is group]


def _format_yaml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_format_yaml, value or ('',)))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
