"""The table of parameters as people read it: config/detector.yaml and docs/PARAMETERS.md.

In a repository, ``python -m regionmask_ros.ros.parameter_docs`` writes both; with ``--check`` it only compares them.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from ..errors import UserError
from ..files.outputs import write_whole
from .parameters import PARAMETERS, ParameterSpec, Value

START, END = "<!-- parameters: made by regionmask_ros.ros.parameter_docs -->", "<!-- end of parameters -->"

_TYPE_NAMES = {bool: "bool", int: "int", float: "double", str: "string", tuple: "string[]"}


def yaml_text() -> str:
    """config/detector.yaml: every parameter with its default, and a comment that explains it."""
    lines = [
        "# All parameters of the detector node, with their defaults. Copy it, change what you need, and pass it:",
        "#   ros2 launch regionmask_ros detector.launch.py params_file:=/path/to/my.yaml",
        "# Made from the table in regionmask_ros/ros/parameters.py; a test keeps the two equal.",
        "/**:",
        "  ros__parameters:",
    ]
    for spec in PARAMETERS:
        limits = _limits(spec)
        for note in (spec.description, f"{limits}{'. ' if limits else ''}Can be set {spec.changeable.value}."):
            lines += textwrap.wrap(note, 110, initial_indent="    # ", subsequent_indent="    # ")
        lines += [f"    {spec.name}: {_yaml_value(spec.default)}", ""]
    return "\n".join(lines)


def markdown_table() -> str:
    """The table between START and END, both included."""
    rows = ["| parameter | type | default | range | can be set | |", "| --- | --- | --- | --- | --- | --- |"]
    for spec in PARAMETERS:
        default = f"`{_yaml_value(spec.default)}`"
        kind = _TYPE_NAMES[type(spec.default)]
        rows.append(
            f"| `{spec.name}` | {kind} | {default} | {_limits(spec)} | {spec.changeable.value} | {spec.description} |"
        )
    return "\n".join([START, *rows, END])


def insert_table(page: str) -> str:
    """The page with its table renewed. Raises UserError when the page has no markers."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError(f"PARAMETERS.md: the lines {START} and {END} are missing")
    return f"{before}{markdown_table()}{after}"


def _limits(spec: ParameterSpec) -> str:
    if spec.low is not None:
        return f"From {spec.low} to {spec.high}"
    return f"Values: {', '.join(choice or 'empty' for choice in spec.choices)}" if spec.choices else ""


def _yaml_value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml_value, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def main(arguments: list[str]) -> int:
    """Writes the pages; with ``--check`` only names those that differ from the table, and returns 1 for any."""
    root = Path(__file__).resolve().parents[2]
    table = root / "docs" / "PARAMETERS.md"
    pages = {root / "config" / "detector.yaml": yaml_text(), table: insert_table(table.read_text(encoding="utf-8"))}
    outdated = [path for path, text in pages.items() if path.read_text(encoding="utf-8") != text]
    for path in outdated:
        if arguments == ["--check"]:
            print(f"{path.relative_to(root)}: differs from the table; run: python -m regionmask_ros.ros.parameter_docs")
        else:
            write_whole(path, pages[path].encode())
    return 1 if outdated and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
