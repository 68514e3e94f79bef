"""Which kernels are taken: the fastest, or those that the user names."""

from __future__ import annotations

import logging

import numba
import numpy as np
import pytest

from regionmask_ros.backends.cpu import CpuBackend
from regionmask_ros.engine.engine import (
    KERNEL_SET_VARIABLE,
    EventEngine,
    KernelSetError,
    PackedNetwork,
    available_kernel_sets,
    usable_kernel_sets,
)
from regionmask_ros.errors import UserError
from regionmask_ros.jit import cache as oldest_numba
from regionmask_ros.network.graph import ConvSpec


@pytest.fixture
def packed():
    head = ConvSpec("head", np.ones((2, 3, 1, 1), np.int32), None, 1, 0, 0)
    return PackedNetwork(type("Layers", (), {"layers": (head,)}))


def test_the_variable_forces_a_path_and_an_argument_is_stronger(packed, monkeypatch):
    monkeypatch.delenv(KERNEL_SET_VARIABLE, raising=False)
    assert EventEngine(packed, (16, 16)).kernel_set == usable_kernel_sets(packed)[0]
    for path in usable_kernel_sets(packed):
        monkeypatch.setenv(KERNEL_SET_VARIABLE, path)
        assert EventEngine(packed, (16, 16)).kernel_set == path
    assert EventEngine(packed, (16, 16), kernel_set="portable").kernel_set == "portable"


@pytest.mark.parametrize("name", ["avx1024", "PORTABLE"])
def test_an_unknown_path_is_one_clear_line(packed, monkeypatch, name, trained):
    monkeypatch.setenv(KERNEL_SET_VARIABLE, name)
    with pytest.raises(KernelSetError, match=f"{KERNEL_SET_VARIABLE} '{name}'.*portable"):
        EventEngine(packed, (16, 16))
    with pytest.raises(UserError) as error:
        CpuBackend(trained, (64, 64), "carry")
    assert name in str(error.value) and "\n" not in str(error.value)


def test_windows_beyond_the_vector_plan_are_left_to_the_portable_path():
    head = ConvSpec("head", np.ones((1, 1, 33, 33), np.int32), None, 1, 0, 0)
    packed = PackedNetwork(type("Layers", (), {"layers": (head,)}))
    assert not {"avx512", "avx2"} & set(usable_kernel_sets(packed))
    engine = EventEngine(packed, (33, 33), kernel_set="portable")
    result = engine.step(np.arange(2, dtype=np.int32), np.full(2, 16, np.int32))
    assert result.head.item() == 32


def test_an_old_numba_takes_the_portable_path_and_says_so_once(monkeypatch, caplog):
    oldest_numba.is_numba_supported.cache_clear()
    monkeypatch.setattr(numba, "__version__", "0.54.1")
    try:
        with caplog.at_level(logging.WARNING):
            assert available_kernel_sets() == available_kernel_sets() == ("portable",)
        assert len(caplog.records) == 1 and "0.54.1" in caplog.text and "portable" in caplog.text
    finally:
        oldest_numba.is_numba_supported.cache_clear()
