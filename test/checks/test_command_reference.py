"""docs/OPTIONS.md: all options of all commands, and a check that it is current."""

from __future__ import annotations

import argparse

from checks import command_reference
from regionmask_ros.commands._cli import COMMANDS
from regionmask_ros.commands._parser import build_parser


def test_every_option_of_every_command_is_on_the_page():
    sections = command_reference.make_page().split("\n## ")
    assert [section.partition("\n")[0] for section in sections[1:]] == list(COMMANDS)
    for name, section in zip(COMMANDS, sections[1:]):
        for action in build_parser(name)._actions:
            if action.option_strings and action.help != argparse.SUPPRESS and "--help" not in action.option_strings:
                assert action.option_strings[-1] in section, name


def test_an_outdated_page_is_reported_and_renewed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_reference, "ROOT", tmp_path)
    monkeypatch.setattr(command_reference, "PAGE", tmp_path / "OPTIONS.md")
    (tmp_path / "OPTIONS.md").write_text("# Options of the commands\n")
    assert command_reference.main(["--check"]) == 1
    assert capsys.readouterr().out == "OPTIONS.md: differs from the commands; run: python -m checks.command_reference\n"
    assert command_reference.main([]) == 0 == command_reference.main(["--check"])
