"""Help of all commands, also without ROS."""

from __future__ import annotations

import subprocess
import sys

from regionmask_ros.commands import record
from regionmask_ros.commands._cli import build_parser

WITHOUT_ROS = """
import sys
sys.modules["rclpy"] = None
from importlib import import_module
from regionmask_ros.commands._cli import COMMANDS, build_parser
for name in COMMANDS:
    build_parser(import_module(f"regionmask_ros.commands.{name}"), name).format_help()
"""


def test_the_help_of_every_command_needs_no_ros():
    done = subprocess.run([sys.executable, "-c", WITHOUT_ROS], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_old_name_of_an_option_of_record_works(capsys):
    parser = build_parser(record, "record")
    assert parser.parse_args(parser.replace_names(["bag", "--without-pictures"])).without_images
    assert "use --without-images" in capsys.readouterr().err
