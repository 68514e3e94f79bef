"""What the set-up remembers, and how a second run, a broken run and a moved clone are distinguished."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bootstrap import interpreter, sourced_ros
from bootstrap.environment import make_venv_environment
from bootstrap.plan import KERNEL_ROOMS, Plan
from bootstrap.state import State, compute_digest, lock_exclusively
from bootstrap.unwritable import describe_fallbacks
from regionmask_ros.jit import cache

ROOT = Path(__file__).resolve().parents[2]


def plan_for(root: Path) -> Plan:
    """The plan of the Python below .venv: over a sourced ROS it sees less than .venv, which has our additions."""
    below = interpreter.find_base_python() or sys.executable
    return Plan(root, interpreter.describe_running(), sourced_ros.find(os.environ, (below,)), os.environ)


@pytest.fixture
def present():
    """The plan and state of this clone's own .venv."""
    plan = plan_for(ROOT)
    state = State(plan.place.state)
    if not plan.is_done(state):
        pytest.skip("this clone has no complete .venv for the Python that runs the tests (make setup)")
    return plan, state


# Runs a module as `python -m` does and writes what it does to files, processes and the network to stderr, one a line.
WATCHED = """
import os, runpy, sys
CHANGES = {"os.exec", "os.fork", "os.link", "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir",
           "os.symlink", "os.system", "os.truncate", "socket.connect", "subprocess.Popen"}
def watch(event, args):
    if event in CHANGES or event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        print(event, args[0], file=sys.stderr)
sys.addaudithook(watch)
sys.argv = ["bootstrap", "setup"]
runpy.run_module("bootstrap", run_name="__main__", alter_sys=True)
"""


def test_a_second_set_up_starts_no_program_and_writes_nothing(present):
    plan, _ = present
    env = make_venv_environment(plan.ros is not None)
    done = subprocess.run([plan.base.executable, "-B", "-c", WATCHED], cwd=ROOT, env=env, capture_output=True,
                          text=True)
    # A sourced ROS is asked whether this Python can use it.
    asked = f"subprocess.Popen {plan.base.executable}\n" if plan.ros else ""
    assert (done.returncode, done.stdout, done.stderr) == (0, ".venv is ready: nothing to do\n", asked)


def test_an_edited_kernel_is_noticed():
    """The set-up imports the standard library only, so the list of folders stands in two places."""
    assert KERNEL_ROOMS == cache.KERNEL_ROOMS


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
    with pytest.raises(RuntimeError), state.writing("packages"):
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
    seen = {compute_digest(folder), compute_digest(folder, "text"),
            compute_digest(folder, tmp_path / "missing", "more")}
    (folder / "a").write_text("2")
    seen.add(compute_digest(folder))
    (folder / "a").rename(folder / "b")
    seen.add(compute_digest(folder))
    assert len(seen) == 5
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("compiled")
    assert compute_digest(folder) in seen


def test_two_set_ups_take_turns(tmp_path):
    path = tmp_path / "lock"
    path.write_text("unchanged")
    order, waits = [], threading.Event()

    def second() -> None:
        with lock_exclusively(path, waits.set):
            order.append("second")

    with lock_exclusively(path, lambda: order.append("nobody else is here")):
        other = threading.Thread(target=second)
        other.start()
        assert waits.wait(10)
        order.append("first")
    other.join(10)
    assert order == ["first", "second"] and path.read_text() == "unchanged"


def test_folders_that_cannot_be_written_are_said(tmp_path):
    venv, home = tmp_path / "venv", tmp_path / "home"
    venv.mkdir()
    home.touch()  # nothing can be made in it, for root, too
    cache, log = describe_fallbacks({"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}, venv, has_ros=True)
    assert str(venv / "cache" / "regionmask_ros") in cache and str(home / "cache" / "regionmask_ros") in cache
    assert str(venv / "cache" / "regionmask_ros" / "log") in log
    assert describe_fallbacks({"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}, venv, has_ros=True) == []
