"""Waiting is counted: on a terminal in one line that is written again and again, in a log in few lines."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

import pytest
from python_process import run_python

from bootstrap import installer, progress

PROGRAM = "import sys, time; [(print(f'[{n}/4]', flush=True), time.sleep(0.3)) for n in range(1, 5)]"
RUN = """
import os, sys
from pathlib import Path
from bootstrap import progress
progress.HEARTBEAT_S = 0.2
counted = progress.Progress(Path(sys.argv[1]))
counted.run("counting", [sys.executable, "-c", sys.argv[2]], os.environ, "count",
            watch=progress.watch_counts("counting"))
counted.print_line("ready")
"""


@pytest.mark.parametrize(("output", "installed", "text"), [
    ("Looking in indexes: x\n", 0, "downloading packages: 0 of 4 (0 %)"),
    ("Ignoring tomli: markers 'x' don't match\nCollecting a==1 (from -r x)\nCollecting b==1\n", 0,
     "downloading packages: 2 of 3 (66 %)"),
    ("Collecting a==1\nRequirement already satisfied: b==1 in x\nInstalling collected packages: a, c\n", 1,
     "installing packages: 1 of 2 (50 %)"),
])
def test_pip_is_counted(output, installed, text):
    assert installer._describe_installation(output, 4, installed) == text


def test_the_last_count_of_a_program_is_shown():
    watch = progress.watch_counts("building")
    assert watch("[1/127] x\nwarning [3/4]\n[45/127] y\nz") == "building: 45 of 127 (35 %)" and watch("nothing") == ""


def test_in_a_log_there_are_few_lines(tmp_path):
    done = run_python("-c", RUN, str(tmp_path), PROGRAM)
    lines = re.sub(r"\[ *[\d.]+ s\] ", "", done.stdout).splitlines()
    assert (done.returncode, lines[-1]) == (0, "ready") and 1 < len(lines)
    assert all(re.fullmatch(r"\.\.\. counting(: [1-4] of 4 \(\d+ %\))?", line) for line in lines[:-1])
    assert "\x1b" not in done.stdout


def test_on_a_terminal_one_line_is_written_again(tmp_path):
    def read(handle: int) -> bytes:
        """On Linux, reading fails once the terminal's other side is closed."""
        try:
            return os.read(handle, 1 << 16)
        except OSError:
            return b""

    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(PYTHONPATH=str(Path(__file__).parents[2]), COLUMNS="80")
        os.execv(sys.executable, [sys.executable, "-c", RUN, str(tmp_path), PROGRAM])
    shown = b"".join(iter(lambda: read(terminal), b"")).decode()
    assert os.waitpid(process, 0)[1] == 0
    assert shown.count("\n") == 1 and "counting: 4 of 4 (100 %)" in shown
    assert re.search(r"\r\x1b\[K\[ *[\d.]+ s\] ready\r\n$", shown)
