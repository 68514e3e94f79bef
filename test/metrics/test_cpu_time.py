"""Processor time of all threads, and of nothing that other work has left behind."""

from __future__ import annotations

import gc
import hashlib
import threading

import pytest

from regionmask_ros.metrics.cpu_time import measure_cpu, paused_garbage_collection, wait_for_other_threads


def compute(rounds: int = 60_000) -> None:
    """Some tens of milliseconds in one call that does not hold Python's lock, as a runtime computes."""
    hashlib.pbkdf2_hmac("sha256", b"word", b"salt", rounds)


def in_another_thread() -> threading.Thread:
    thread = threading.Thread(target=compute)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def alone_s() -> float:
    return measure_cpu(compute)[1]


def test_the_time_of_other_threads_counts(alone_s):
    _, others = measure_cpu(lambda: in_another_thread().join())
    assert 0.5 * alone_s < others < 2 * alone_s


def test_work_that_continues_after_the_call_counts(alone_s):
    thread, spent_s = measure_cpu(in_another_thread)
    thread.join()
    assert 0.5 * alone_s < spent_s < 2 * alone_s


def test_work_from_before_the_call_does_not_count(alone_s):
    thread = in_another_thread()
    result, spent_s = measure_cpu(lambda: "result")
    thread.join()
    assert result == "result" and spent_s < 0.3 * alone_s


def test_a_thread_that_never_rests_is_not_waited_for_for_ever():
    end = threading.Event()

    def spin() -> None:
        while not end.is_set():
            compute(1000)

    thread = threading.Thread(target=spin)
    thread.start()
    wait_for_other_threads(0.01)
    assert thread.is_alive()
    end.set()
    thread.join()


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_collected_between_measurements_only(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with paused_garbage_collection() as collect:
            assert not gc.isenabled()
            count = gc.get_stats()[1]["collections"]
            collect()
            assert gc.get_stats()[1]["collections"] == count + 1
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
