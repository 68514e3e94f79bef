"""A request to end: from signals, from threads, and for whoever waits."""

from __future__ import annotations

import os
import signal
import threading
import time

from regionmask_ros.ros.stopping import StopRequest


def test_a_wait_ends_with_the_request_or_the_time():
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


def test_signals_that_hit_a_busy_waiter_never_block_it():
    """Thousands of short waits under a hail of signals: a handler that took the waiter's lock would hang here."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        for _ in range(20):
            with StopRequest() as stop:
                hail = threading.Thread(target=lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(20)])
                hail.start()
                deadline = time.monotonic() + 5.0
                while not stop.wait(0.00001):
                    assert time.monotonic() < deadline
                hail.join()
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, "later ones are of no interest"
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_without_a_signal_the_old_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert signal.getsignal(signal.SIGTERM) != before
        stop.set()
    assert signal.getsignal(signal.SIGTERM) is before
