"""Units in worker processes: the results of the serial run, whatever their number, their order and their deaths."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dying import Dying, add_pixels, work_and_die

from regionmask_ros.errors import UserError
from regionmask_ros.fleet.calls import Outcome, Shared, UnitResult, perform
from regionmask_ros.fleet.places import assign_names, expand
from regionmask_ros.fleet.processes import WorkerProcesses
from regionmask_ros.fleet.progress import UnitProgress
from regionmask_ros.fleet.scheduler import Failure, run_units
from regionmask_ros.fleet.units import Unit, make_units


@pytest.fixture(scope="module")
def units(day) -> list[Unit]:
    places = expand([str(day)])
    return make_units(places, assign_names([place.path for place in places], {}))


def comparable(result: UnitResult) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """All but times."""
    return result.facts, result.files


@pytest.fixture(scope="module")
def serial(units) -> dict[str, Any]:
    return {unit.key: comparable(add_pixels(None, unit)) for unit in units}


def do(executor: Any, work: Any, units: list[Unit], strict: bool = False) -> tuple[dict[str, Any], list[Failure]]:
    found: dict[str, Any] = {}
    try:
        with UnitProgress(len(units)) as progress:
            failures = run_units(
                executor, work, units, lambda unit, result: found.update({unit.key: comparable(result)}), progress,
                strict)
    finally:
        executor.close()
    return found, failures


def test_results_are_the_serial_ones_although_workers_die_and_the_order_is_another(
        units, serial, tmp_path, importable):
    shuffled = [units[at] for at in (2, 0, 1)]
    dying = Dying(add_pixels, None, str(tmp_path), {units[0].key: 1, units[2].key: 2})
    found, failures = do(WorkerProcesses(2, dying), work_and_die, shuffled)
    assert found == serial and not failures
    tries = {unit.key: len((tmp_path / unit.key).read_text().split()) for unit in units}
    assert tries == {units[0].key: 2, units[1].key: 1, units[2].key: 3}


def test_a_unit_whose_worker_dies_each_time_fails_and_the_others_go_on(units, serial, tmp_path, importable):
    dying = Dying(add_pixels, None, str(tmp_path), {units[1].key: 99})
    found, (failure,) = do(WorkerProcesses(1, dying), work_and_die, units[:3])
    assert found == {unit.key: serial[unit.key] for unit in (units[0], units[2])}
    assert failure.unit == units[1]
    assert failure.why == ("the worker was ended by SIGKILL; often the system's answer to full memory; tried 3 times")


class Refusing:
    """An executor that refuses every unit, without workers."""

    capacity, place = 2, "nowhere"

    def __init__(self) -> None:
        self.submitted: list[int] = []
        self.is_closed = False

    def submit(self, ticket: int, work: Any, item: Any) -> None:
        self.submitted.append(ticket)

    def wait(self, timeout_s: float) -> list[Outcome]:
        return [perform_refusal(ticket) for ticket in self.submitted[-1:]]

    def close(self) -> None:
        self.is_closed = True


def perform_refusal(ticket: int) -> Outcome:
    return Outcome(ticket, refusal=f"unit {ticket} is damaged")


def test_strict_ends_the_work_at_the_first_unit_that_fails(units):
    executor = Refusing()
    with pytest.raises(UserError, match=r"unit 1 is damaged \(--strict: the work ends here"):
        do(executor, add_pixels, units, strict=True)
    assert executor.submitted == [0, 1] and executor.is_closed


def raise_a_bug(job: Any, item: Any) -> UnitResult:
    raise ZeroDivisionError("nobody thought of it")


def test_an_error_that_nobody_thought_of_is_told_and_ends_only_its_unit():
    outcome = perform(Shared(None), 7, raise_a_bug, None)
    assert outcome.ticket == 7 and outcome.result is None and not outcome.death
    assert outcome.refusal.startswith("ZeroDivisionError: nobody thought of it (raise_a_bug, line ")
    assert "version" in perform(Shared(None, "0.0.1"), 7, raise_a_bug, None).refusal


COMMAND = """
import sys
from dying import add_pixels_when_allowed
from regionmask_ros.fleet.places import Place
from regionmask_ros.fleet.processes import WorkerProcesses
from regionmask_ros.fleet.units import Unit
workers = WorkerProcesses(1, sys.argv[1])
workers.submit(0, add_pixels_when_allowed, Unit("unit", Place(sys.argv[2])))
workers.wait(600)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition) -> None:
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def test_workers_end_with_the_command_that_is_killed(units, tmp_path, importable):
    command = subprocess.Popen([sys.executable, "-c", COMMAND, str(tmp_path), units[0].place.path])
    wait_for(lambda: list(tmp_path.iterdir()))
    (begun,) = tmp_path.iterdir()
    pid = int(begun.name.rpartition("-")[2])
    assert is_alive(pid)
    command.kill()
    command.wait()
    wait_for(lambda: not is_alive(pid))


def test_progress_is_a_line_a_minute_where_there_is_no_terminal(monkeypatch, capfd):
    now_s = 0.0
    monkeypatch.setattr("regionmask_ros.fleet.progress.time", SimpleNamespace(monotonic=lambda: now_s))
    with UnitProgress(10, 2) as progress:
        while now_s < 130.0:
            now_s += 1.0
            if now_s % 20 == 0:
                progress.add(UnitResult({"frames": 200}))
            progress.tick()
        progress.fail()
    assert capfd.readouterr().err.splitlines() == [
        "5 of 10 units (50%), after 01:00, 10 frames/s, about 01:40 left",
        "8 of 10 units (80%), after 02:00, 10 frames/s, about 00:40 left",
        "9 of 10 units (90%), after 02:10, 9 frames/s, 1 failed, about 00:18 left"]
