"""A detector process that ends while another backend opens or runs leaves no process and no file behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from leftovers import processes_of, wait_for_leader, wait_until_clean
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder():
    """The folder of all the process's temporary files; its name is short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="rm_", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def detector(session, wait_for, trained_file, lava_python, folder):
    """A running detector with the trained network that is opening the simulator."""
    process = subprocess.Popen(
        [sys.executable, "-m", "regionmask_ros", "detector", "--ros-args", "-p", "input_size:=96x64",
         "-p", f"lava_python:={lava_python}", "-r", "__ns:=/swapped"],
        cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    peer = session.add(lambda **given: Node("peer", **given))
    client = peer.create_client(SetParameters, "/swapped/detector/set_parameters")
    session.spin()
    assert client.wait_for_service(60.0)
    wanted = Parameter("backend", value="lava_sim").to_parameter_msg()
    wait_for(lambda: "active" in process.stderr.readline())
    future = client.call_async(SetParameters.Request(parameters=[wanted]))
    wait_for(future.done)
    assert future.result().results[0].successful
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    "open_already, number", [(False, signal.SIGINT), (True, signal.SIGKILL)], ids=["opening", "open"])
def test_nothing_stays_behind(detector, wait_for, folder, open_already, number):
    if open_already:
        leader = wait_for_leader(folder)
        while "in use from now on" not in detector.stderr.readline():
            assert detector.poll() is None
    else:
        leader = min(wait_for(lambda: processes_of(folder)))
    detector.send_signal(number)
    _, log = detector.communicate(timeout=120.0)
    assert detector.returncode == (0 if number is signal.SIGINT else -number) and "Traceback" not in log
    assert wait_until_clean(folder, leader) == []
