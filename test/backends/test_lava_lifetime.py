"""Nothing stays behind: no process, no shared memory, no socket, no file, however the end comes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np
import pytest
from leftovers import left_behind, processes_of, wait_for_leader, wait_until_clean

from regionmask_ros.backends import BackendError, open_backend
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.lava_worker.processes import SEGMENTS, segment_prefix

REPOSITORY = Path(__file__).resolve().parents[2]

# Opens the simulator and works, until somebody ends it.
WORK = """
import sys, time
import numpy as np
from regionmask_ros.backends import open_backend
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.network.graph import ConvSpec, Network
weight = np.ones((2, 3, 3, 3), np.int32)
layers = (ConvSpec("c1", weight, np.ones(2, np.int32), 2, 1, 6), ConvSpec("head", weight[:, :2], None, 1, 1, 0))
table = np.repeat(np.arange(-128, 128, dtype=np.int32)[:, None], 3, axis=1)
encoder, image = Encoder(table, 6, (64, 64)), np.full((64, 64, 3), 128, np.uint8)
network = Network("small", layers, None, (), table, 6)
backend = open_backend("lava_sim", network, (64, 64))
number = 0
while True:
    image[0, number % 64] += 20
    backend.submit(encoder.step(image, np.ones((4, 4), bool)), number)
    backend.poll(0.0)
    number += 1
    time.sleep(0.01)
"""

IMAGE = np.full((64, 96, 3), 128, np.uint8)
IMAGE[0, 1] = 255
SOME = Encoder(np.repeat(np.arange(-128, 128)[:, None], 3, axis=1), 6, (96, 64)).step(IMAGE, np.ones((4, 6), bool))
"""A few events, those of one pixel."""


@pytest.fixture
def folder(monkeypatch, tmp_path_factory):
    """Where all temporary files of this test go; its name is short enough for sockets."""
    tmp_path_factory.getbasetemp()  # pytest's own folder is not to be among them
    made = Path(tempfile.mkdtemp(prefix="rm_", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield made
    monkeypatch.setattr(tempfile, "tempdir", None)
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def backend(lava_python, tiny_network, folder):
    opened = open_backend("lava_sim", tiny_network, (96, 64))
    opened.submit(SOME, 0)
    yield opened
    opened.close()


@pytest.fixture
def worker(lava_python, folder):
    """A pipeline's process of its own that works with Lava, and its leader over there."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-c", WORK], env=env, stderr=subprocess.PIPE, start_new_session=True)
    try:
        yield process, wait_for_leader(folder)
    finally:
        process.kill()
        process.communicate()


def submit_until_it_fails(backend) -> str:
    deadline = time.monotonic() + 60.0
    with pytest.raises(BackendError) as caught:
        while time.monotonic() < deadline:
            backend.submit(SOME, 1)
            time.sleep(0.02)
    return str(caught.value)


def test_after_closing(backend, folder):
    """And what belongs to others stays."""
    other = shared_memory.SharedMemory(create=True, size=8)
    try:
        leader = backend.pid
        assert len(processes_of(folder)) > 5 and any(SEGMENTS.glob(f"{segment_prefix(leader)}*"))
        start = time.monotonic()
        backend.close()
        assert left_behind(folder, leader) == [] and time.monotonic() - start < 20.0
        backend.close()
        assert (SEGMENTS / other.name.lstrip("/")).exists()
    finally:
        other.close()
        other.unlink()


def test_after_kill_9_of_the_process_that_leads(backend, folder):
    leader = backend.pid
    os.kill(leader, signal.SIGKILL)
    assert "Lava process" in submit_until_it_fails(backend)
    assert left_behind(folder, leader) == []


def test_after_kill_9_of_a_process_that_computes(backend, folder):
    leader = backend.pid
    below = [pid for pid in processes_of(folder) if pid != leader]
    os.kill(below[len(below) // 2], signal.SIGKILL)
    assert "one of Lava's processes has ended with -9" in submit_until_it_fails(backend)
    assert left_behind(folder, leader) == []


def test_after_sigterm_of_the_process_that_leads(backend, folder):
    leader = backend.pid
    os.kill(leader, signal.SIGTERM)
    submit_until_it_fails(backend)
    assert left_behind(folder, leader) == []


def test_after_it_stood_still(lava_python, tiny_network, folder):
    """Stopped processes answer nothing, and do not end by themselves either."""
    backend = open_backend("lava_sim", tiny_network, (96, 64), "", {"step_timeout": 0.5})
    leader = backend.pid
    os.killpg(leader, signal.SIGSTOP)
    start = time.monotonic()
    assert "hangs" in submit_until_it_fails(backend)
    assert time.monotonic() - start < 30.0 and left_behind(folder, leader) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_after_a_crash_of_the_pipelines_process(worker, folder, number):
    process, leader = worker
    process.send_signal(number)
    process.wait(60.0)
    assert wait_until_clean(folder, leader) == []


def test_after_a_crash_while_lava_starts(lava_python, folder):
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-c", WORK], env=env, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60.0
    while not processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    leader = min(processes_of(folder))
    process.kill()
    process.wait()
    assert wait_until_clean(folder, leader) == []


def interrupt(process: subprocess.Popen) -> str:
    """Ctrl-C, and what was said on stderr. Python swallows one that comes while LLVM calls it back: then once more."""
    for _ in range(5):
        os.killpg(process.pid, signal.SIGINT)
        try:
            return process.communicate(timeout=15.0)[1].decode()
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return process.communicate()[1].decode()


def test_after_ctrl_c_of_a_run(lava_python, folder, trained_file, make_clip):
    """As in a terminal: the signal goes to the whole process group, of which Lava is none.

    The clip outlasts a signal or two that Python swallows.
    """
    command = [sys.executable, "-m", "regionmask_ros", "run", make_clip(6000, 1), "--output", str(folder / "out"),
               "--backend", "lava_sim", "--network", str(trained_file)]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, env=env, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               start_new_session=True)
    leader = wait_for_leader(folder)
    time.sleep(0.3)
    told = interrupt(process)
    assert process.returncode == 130 and told.endswith("regionmask_ros: interrupted\n"), told
    assert left_behind(folder, leader) == []
