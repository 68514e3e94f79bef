"""Arrays for kernels: aligned, 0, apart from each other, and in huge pages only where there are any."""

from __future__ import annotations

import mmap
import multiprocessing

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.jit import memory
from regionmask_ros.jit.memory import aligned


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=20))
def test_arrays_are_aligned_zero_and_apart(sizes):
    arrays = [aligned(size, np.int16) for size in [*sizes, 5_000_000]]
    for number, array in enumerate(arrays, start=1):
        assert array.ctypes.data % 64 == 0 and not array.any()
        array[:] = number
    for number, array in enumerate(arrays, start=1):
        assert (array == number).all()


def test_a_system_without_huge_pages_gets_ordinary_ones(monkeypatch):
    class Refusing(mmap.mmap):
        def madvise(self, *arguments):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Refusing)
    monkeypatch.setattr(memory, "_POOL", memory._Pool())
    assert not aligned(3000, np.int32).any() and not aligned(5_000_000, np.int32).any()


def take_memory() -> None:
    assert not aligned(100, np.int32).any()


def test_a_forked_child_has_a_lock_and_memory_of_its_own():
    child = multiprocessing.get_context("fork").Process(target=take_memory, daemon=True)
    with memory._POOL.lock:
        child.start()
    # A child that waits for its parent's lock never ends; the limit only ends the test then.
    child.join(60)
    child.kill()
    assert child.exitcode == 0
