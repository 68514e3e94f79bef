"""Ctrl-C ends a command wherever it arrives."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import weakref

import pytest

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.interrupts import LINE, REPEAT_S

MOMENTS = int(os.environ.get("MOMENTS", "4"))
"""For each signal."""


class Thing:
    """Something that can be referred to weakly."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_inside_a_callback_of_the_garbage_collector_is_not_lost(number, capsys):
    def work() -> int:
        thing = Thing()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(number))
        del thing
        assert reference() is None
        while True:
            time.sleep(0.05)  # Until the interrupt comes.

    before = signal.getsignal(signal.SIGINT)
    if number != signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for a job in a shell's background
    try:
        assert run_guarded(work) == 128 + number
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == f"{LINE}\n"


def test_a_signal_that_comes_too_late_does_not_interrupt_what_follows_the_command():
    def work() -> int:
        thing = Thing()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        assert reference() is None
        return 0

    assert run_guarded(work) == 0
    time.sleep(5.0 * REPEAT_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_exit_status_tells_the_signal_and_handlers_are_as_before(number, capsys):
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    def work() -> int:
        signal.raise_signal(number)
        return 0

    assert run_guarded(work) == 128 + number and capsys.readouterr().err == f"{LINE}\n"
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_second_signal_soon_after_does_not_interrupt_the_removal_of_files():
    removed = []

    def work() -> int:
        try:
            signal.raise_signal(signal.SIGINT)
            return 0
        finally:
            signal.raise_signal(signal.SIGTERM)
            removed.append("all")

    assert run_guarded(work) == 128 + signal.SIGINT and removed == ["all"]


# A program that says when its first line runs, and then is the one of the package.
PROGRAM = """
import runpy, sys
print("begins", flush=True)
sys.argv[0] = "regionmask_ros"
from regionmask_ros.interrupts import end_at_signals
end_at_signals()
print("handles", flush=True)
runpy.run_module("regionmask_ros", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_signal_while_a_command_begins_ends_it_without_a_traceback(number, moment, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, "run", "--help"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert [process.stdout.readline() for _ in range(2)] == ["begins\n", "handles\n"]
    time.sleep(random.Random(moment).uniform(0.0, 0.5))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) in ((128 + number, f"{LINE}\n"), (0, ""))
    assert not list(tmp_path.iterdir())
