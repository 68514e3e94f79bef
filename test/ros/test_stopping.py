"""A request to end: from signals, from threads, and for whoever waits."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from regionmask_ros.ros.stopping import StopRequest

REPOSITORY = Path(__file__).resolve().parents[2]


def test_wait_ends_with_the_request_or_the_timeout():
    stop = StopRequest()
    assert not stop.wait(0.0) and not stop.wait(0.01) and not stop.is_set()
    waiters = [threading.Thread(target=stop.wait) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    stop.set()
    for waiter in waiters:
        waiter.join(5.0)
        assert not waiter.is_alive()
    assert stop.is_set() and stop.wait() and stop.wait(0.0)


HAIL = """
import os, signal, threading, time
import pytest

from regionmask_ros.ros.stopping import StopRequest

for index in range(1500):
    with StopRequest() as stop:
        hit = threading.Timer(index % 50 * 1e-5, os.kill, (os.getpid(), signal.SIGTERM))
        hit.start()
        while not stop.wait(1e-6):
            pass
        hit.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, "later ones are of no interest"
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
"""


def test_signal_at_any_point_of_a_wait_never_blocks_it():
    """A process of its own: a handler that took the waiter's lock would hang it."""
    subprocess.run([sys.executable, "-c", HAIL], cwd=REPOSITORY, check=True, timeout=60.0)


ELSEWHERE = """
import signal, threading, time

from regionmask_ros.ros.stopping import StopRequest

def hit():
    time.sleep(0.2)  # the main thread waits
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    threading.Event().wait()

with StopRequest() as stop:
    threading.Thread(target=hit, daemon=True).start()
    assert stop.wait()
"""


def test_signal_that_the_system_gives_to_another_thread_ends_a_wait():
    """Only the main thread runs handlers, and nothing wakes it then."""
    subprocess.run([sys.executable, "-c", ELSEWHERE], cwd=REPOSITORY, check=True, timeout=60.0)


def test_former_handlers_are_restored_without_a_signal():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert signal.getsignal(signal.SIGTERM) != before
        stop.set()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_session_without_callbacks_ends_its_thread():
    session = pytest.importorskip("regionmask_ros.ros.session")
    with session.RosSession() as opened:
        opened.spin()
    assert "executor" not in [thread.name for thread in threading.enumerate()]
