"""Progress of long work: what a terminal, a log file and --quiet show."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios

import pytest

from regionmask_ros import progress
from regionmask_ros.progress import Progress, no_progress


def test_lines_without_a_terminal_are_sparse(capsys, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_LINE_S", 0.0)
    bar = Progress(range(3), unit="frame", desc="a.mp4")
    assert list(bar) == [0, 1, 2] and bar.n == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("a.mp4: 1 of 3 (33%) frames after 00:00") and "\r" not in lines[0]


def test_short_work_prints_no_line(capsys):
    with Progress(unit="frame") as bar:
        bar.update(1000)
    assert capsys.readouterr().err == ""


def test_unknown_total_is_not_invented(capsys, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_LINE_S", 0.0)
    with Progress(unit="frame") as bar:
        bar.update(2)
    assert capsys.readouterr().err.startswith("2 frames after")


@pytest.mark.parametrize("is_quiet", [False, True])
def test_a_terminal_has_a_bar_unless_it_must_be_quiet(monkeypatch, is_quiet):
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    with os.fdopen(terminal, "w") as stream, os.fdopen(controller, "rb", buffering=0) as shown:
        monkeypatch.setattr(sys, "stderr", stream)
        if is_quiet:
            with no_progress():
                list(Progress(range(3), unit="frame", desc="a.mp4"))
        else:
            list(Progress(range(3), unit="frame", desc="a.mp4"))
        stream.write("end")
        stream.flush()
        text = b""
        while not text.endswith(b"end"):
            text += shown.read(4096)
    assert (b"3/3" in text) == (not is_quiet)
