"""The documentation's command lines are accepted by the commands, and the files of the package that it names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from regionmask_ros.commands._cli import COMMANDS
from regionmask_ros.commands._parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CALL = re.compile(r"(?:python3? -m regionmask_ros|ros2 run regionmask_ros)\s+(\w+)(.*)")


def command_lines(page: Path) -> list[tuple[str, list[str]]]:
    """Finds the calls of this package in a page's code blocks, as the command's name and its arguments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", "").splitlines()
    calls = filter(None, map(CALL.search, lines))
    return [(call[1], shlex.split(call[2], comments=True)) for call in calls]


CALLS = [(page.name, *call) for page in PAGES for call in command_lines(page)]


def test_every_command_is_documented():
    assert {name for page, name, _ in CALLS if page == "COMMANDS.md"} == set(COMMANDS)


@pytest.mark.parametrize(("page", "name", "arguments"), CALLS, ids=[f"{page}-{name}" for page, name, _ in CALLS])
def test_every_command_line_is_accepted(page, name, arguments):
    build_parser(name).parse_args([word for word in arguments if word != "..."])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_package_that_is_named_exists(page):
    folders = "regionmask_ros|test|config|bootstrap|launch|checks"
    named = re.findall(rf"`((?:{folders})/[\w/.]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
