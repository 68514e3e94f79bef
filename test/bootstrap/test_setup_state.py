"""What the set-up remembers, and how a second run, a broken run and a moved clone are told apart."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bootstrap import interpreter, sourced_ros
from bootstrap.environment import venv_environment
from bootstrap.plan import Plan
from bootstrap.state import State, digest, only_one

ROOT = Path(__file__).resolve().parents[2]


def plan_for(root: Path) -> Plan:
    """The plan of the Python below .venv: over a sourced ROS it sees less than .venv, which has our additions."""
    below = interpreter.base_interpreter() or sys.executable
    return Plan(root, interpreter.running(), sourced_ros.find(os.environ, (below,)), os.environ)


@pytest.fixture
def present():
    """The plan and state of this clone's own .venv."""
    plan = plan_for(ROOT)
    state = State(plan.place.state)
    if not plan.is_done(state):
        pytest.skip("this clone has no complete .venv for the Python that runs the tests (make setup)")
    return plan, state


def test_a_second_set_up_takes_under_two_seconds(present):
    over_ros = present[0].ros is not None
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "bootstrap", "setup"], cwd=ROOT, env=venv_environment(over_ros),
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, ".venv is ready: nothing to do\n", "")
    assert time.monotonic() - start < 2.0


def test_a_moved_clone_is_noticed(present, tmp_path):
    plan, state = present
    moved = plan_for(tmp_path)
    assert not state.has("venv", moved.venv_key) and state.has("venv", plan.venv_key)


def test_an_interrupted_step_is_noticed(present):
    plan, state = present
    state.unfinished = "packages"  # in memory only
    assert not plan.is_done(state)


def test_a_step_that_fails_leaves_its_mark_on_disk(tmp_path):
    path = tmp_path / "state.json"
    state = State(path)
    state.set("packages", "old")
    with pytest.raises(RuntimeError):
        with state.writing("packages"):
            assert State(path).unfinished == "packages"
            raise RuntimeError
    assert State(path).unfinished == "packages" and not State(path).has("packages", "old")
    with state.writing("packages"):
        pass
    assert State(path).unfinished == ""
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 0, "keys": {"a": "b"}}', "null"])
def test_an_unreadable_state_counts_as_nothing_done(tmp_path, content):
    path = tmp_path / "state.json"
    path.write_text(content)
    assert (State(path).keys, State(path).unfinished) == ({}, "")


def test_a_digest_sees_names_content_and_missing_files(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("1")
    seen = {digest(folder), digest(folder, "text"), digest(folder, tmp_path / "missing", "more")}
    (folder / "a").write_text("2")
    seen.add(digest(folder))
    (folder / "a").rename(folder / "b")
    seen.add(digest(folder))
    assert len(seen) == 5
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("compiled")
    assert digest(folder) in seen


def test_two_set_ups_take_turns(tmp_path):
    path = tmp_path / "lock"
    path.write_text("unchanged")
    order, waits = [], threading.Event()

    def second() -> None:
        with only_one(path, waits.set):
            order.append("second")

    with only_one(path, lambda: order.append("nobody else is here")):
        other = threading.Thread(target=second)
        other.start()
        assert waits.wait(10)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"] and path.read_text() == "unchanged"
