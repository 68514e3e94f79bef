"""However a worker process ends, it leaves no process, shared memory, socket or file."""

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
from leftovers import left_behind, processes_of, wait_for_exit, wait_for_leader, wait_until_clean

from regionmask_ros.backends import BackendError, open_backend
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.lava_worker.processes import SEGMENTS, segment_prefix

REPOSITORY = Path(__file__).resolve().parents[2]

# Opens the simulator, prints the worker's id, and computes until it is ended.
WORK = """
import numpy as np
from regionmask_ros.backends import open_backend
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.network.chain import ConvSpec, Network
weight = np.ones((2, 3, 3, 3), np.int32)
layers = (ConvSpec("c1", weight, np.ones(2, np.int32), 2, 1, 6), ConvSpec("head", weight[:, :2], None, 1, 1, 0))
table = np.repeat(np.arange(-128, 128, dtype=np.int32)[:, None], 3, axis=1)
encoder, image = Encoder(table, 6, (64, 64)), np.full((64, 64, 3), 128, np.uint8)
network = Network("small", layers, None, (), table, 6)
backend = open_backend("lava_sim", network, (64, 64))
print(backend.pid, flush=True)
number = 0
while True:
    image[0, number % 64] += 20
    backend.submit(encoder.step(image, np.ones((4, 4), bool)), number)
    backend.poll(0.01)
    number += 1
"""

IMAGE = np.full((64, 96, 3), 128, np.uint8)
IMAGE[0, 1] = 255
EVENTS = Encoder(np.repeat(np.arange(-128, 128)[:, None], 3, axis=1), 6, (96, 64)).step(IMAGE, np.ones((4, 6), bool))
"""The events of one changed pixel."""


@pytest.fixture
def folder(monkeypatch, tmp_path_factory):
    """The folder of all temporary files of this test; its path is short enough for sockets."""
    tmp_path_factory.getbasetemp()  # so that pytest's own folder is elsewhere
    made = Path(tempfile.mkdtemp(prefix="rm_", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield made
    monkeypatch.setattr(tempfile, "tempdir", None)
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def backend(lava_python, tiny_network, folder):
    opened = open_backend("lava_sim", tiny_network, (96, 64))
    opened.submit(EVENTS, 0)
    yield opened
    opened.close()


@pytest.fixture
def worker(lava_python, folder):
    """A separate process with a pipeline that uses Lava, and the id of its worker."""
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-c", WORK], env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def submit_until_it_fails(backend) -> str:
    with pytest.raises(BackendError) as caught:
        for number in range(1, 10):
            backend.submit(EVENTS, number)
    return str(caught.value)


def test_nothing_remains_after_closing(backend, folder):
    """Shared memory of other programs stays."""
    other = shared_memory.SharedMemory(create=True, size=8)
    try:
        leader = backend.pid
        assert len(processes_of(folder)) > 5 and any(SEGMENTS.glob(f"{segment_prefix(leader)}*"))
        backend.close()
        assert left_behind(folder, leader) == []
        backend.close()
        assert (SEGMENTS / other.name.lstrip("/")).exists()
    finally:
        other.close()
        other.unlink()


def test_nothing_remains_after_sigkill_of_the_worker(backend, folder):
    leader = backend.pid
    os.kill(leader, signal.SIGKILL)
    wait_for_exit(leader)
    assert "Lava process" in submit_until_it_fails(backend)
    assert wait_until_clean(folder, leader) == []


def test_nothing_remains_after_sigkill_of_a_process_that_computes(backend, folder):
    leader = backend.pid
    below = [pid for pid in processes_of(folder) if pid != leader]
    os.kill(below[len(below) // 2], signal.SIGKILL)
    wait_for_exit(leader)
    assert "one of Lava's processes has ended with -9" in submit_until_it_fails(backend)
    assert wait_until_clean(folder, leader) == []


def test_nothing_remains_after_sigterm_of_the_worker(backend, folder):
    leader = backend.pid
    os.kill(leader, signal.SIGTERM)
    wait_for_exit(leader)
    submit_until_it_fails(backend)
    assert left_behind(folder, leader) == []


def test_nothing_remains_after_sigstop(lava_python, tiny_network, folder):
    """Stopped processes do not respond, and do not end by themselves."""
    backend = open_backend("lava_sim", tiny_network, (96, 64), "", {"step_timeout": 0.5})
    leader = wait_for_leader(folder)
    os.killpg(leader, signal.SIGSTOP)
    assert "hangs" in submit_until_it_fails(backend)
    assert left_behind(folder, leader) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_nothing_remains_after_a_crash_of_the_pipelines_process(worker, folder, number):
    process, leader = worker
    process.send_signal(number)
    process.wait(60.0)
    assert wait_until_clean(folder, leader) == []


def test_nothing_remains_after_a_crash_while_lava_starts(lava_python, folder):
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
    """Ctrl-C; returns stderr. Repeated, because Python loses a signal that arrives in a callback from LLVM."""
    for _ in range(5):
        os.killpg(process.pid, signal.SIGINT)
        try:
            return process.communicate(timeout=15.0)[1].decode()
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    return process.communicate()[1].decode()


def test_nothing_remains_after_ctrl_c_of_a_run(lava_python, folder, trained_file, make_clip):
    """As in a terminal: the signal goes to the whole process group, to which the worker does not belong.

    The clip is long enough for a repeated signal.
    """
    command = [sys.executable, "-m", "regionmask_ros", "run", make_clip(6000, 1), "--output", str(folder / "out"),
               "--backend", "lava_sim", "--network", str(trained_file)]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, env=env, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               start_new_session=True)
    leader = wait_for_leader(folder)
    errors = interrupt(process)
    assert process.returncode == 130 and errors.endswith("regionmask_ros: interrupted\n"), errors
    assert left_behind(folder, leader) == []
