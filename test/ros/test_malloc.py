"""The limit of malloc's arenas, in a process of its own: it holds for the whole process."""

from __future__ import annotations

import os

import pytest
from python_process import run_python

from regionmask_ros.ros.malloc import ARENA_MAX, limit_arenas

THREADS = """
import ctypes, os, sys, tempfile, threading
from regionmask_ros.ros.malloc import limit_arenas
assert limit_arenas({})
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
barrier = threading.Barrier(6)
def work():
    barrier.wait()
    libc.malloc(1000)
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(open(file.name).read().count("<heap nr="))
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="the C library is not glibc")
def test_threads_share_two_arenas():
    done = run_python("-c", THREADS)
    assert done.returncode == 0, done.stderr
    assert 1 <= int(done.stdout) <= ARENA_MAX


def test_the_users_own_limit_is_left_alone():
    assert not limit_arenas({"MALLOC_ARENA_MAX": "8"})
