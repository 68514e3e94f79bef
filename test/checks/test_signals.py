from __future__ import annotations

import sys

import pytest

from checks.endings import room, trial
from checks.endings.programs import Program, make_programs
from checks.signals import format_outcomes, run_campaign

HANDLE = """
import os, signal, subprocess, sys
def end(number, frame):
    {body}
    os._exit({status})
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, end)
while True:
    signal.pause()
"""
FAULTS = {
    "": ("pass", "128 + number"),
    "status": ("pass", "7"),
    "traceback": ("raise KeyError", "0"),
    "hang": ("return", "0"),
    "process": ("subprocess.Popen(['sleep', '60'], start_new_session=True)", "128 + number"),
    "memory": ("pass", "128 + number"),
    "file": ("open(os.environ['HOME'] + '/.left', 'w').close()", "128 + number"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_campaign_finds_every_fault_of_a_program(fault, monkeypatch, capsys):
    monkeypatch.setattr(room, "SETTLE_S", 0.2)
    monkeypatch.setattr(trial, "END_S", 0.5)
    body, status = FAULTS[fault]
    code = HANDLE.format(body=body, status=status)
    if fault == "memory":
        code = ("import mmap, os\nfile = os.open(f'/dev/shm/regionmask_test_{os.getpid()}', os.O_CREAT | os.O_RDWR)\n"
                "os.truncate(file, 4096)\nkept = mmap.mmap(file, 4096)\n" + code)
    program = Program("faulty", 1, lambda _: [sys.executable, "-I", "-S", "-c", code], 0.3)
    (outcome,) = run_campaign([program], [0], 1, 1)
    # A traceback has a wrong status, too.
    assert {kind for kind, _ in outcome.problems} - {"status"} == {fault} - {"", "status"}, outcome
    assert bool(outcome.problems) == bool(fault)
    assert "all" in format_outcomes(["faulty"], [outcome]) and ("alone:" in capsys.readouterr().out) == bool(fault)
    if fault == "memory":
        (room.SEGMENTS / dict(outcome.problems)["memory"]).unlink()


def test_programs_end_as_they_must_at_a_few_moments(tmp_path, trained_file, real_video):
    pytest.importorskip("rclpy", reason="rclpy is missing: `make setup` brings it")
    real_video("bikes.mp4")
    wanted = ("node, not configured", "run, bag", "record")
    programs = [program for program in make_programs(tmp_path) if program.name in wanted]
    outcomes = run_campaign(programs, range(3), 3, 2)
    assert [outcome.problems for outcome in outcomes] == [()] * 3, outcomes
