"""Help of all commands, also without ROS."""

from __future__ import annotations

import sys

from python_process import run_python

from regionmask_ros.__main__ import main
from regionmask_ros.commands import record
from regionmask_ros.commands._cli import COMMANDS, build_parser

WITHOUT_ROS = """
import sys
sys.modules["rclpy"] = None
from importlib import import_module
from regionmask_ros.commands._cli import COMMANDS, build_parser
for name in COMMANDS:
    build_parser(import_module(f"regionmask_ros.commands.{name}"), name).format_help()
"""


def test_the_help_of_every_command_needs_no_ros():
    done = run_python("-c", WITHOUT_ROS)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_help_lists_every_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["regionmask_ros", "--help"])
    assert main() == 0 and set(COMMANDS) <= set(capsys.readouterr().out.split())


def test_the_old_name_of_an_option_of_record_works(capsys):
    parser = build_parser(record, "record")
    assert parser.parse_args(parser.replace_names(["bag", "--without-pictures"])).without_images
    assert "use --without-images" in capsys.readouterr().err
