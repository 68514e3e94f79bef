"""Which kernel set is chosen: the fastest, or the one that the user names."""

from __future__ import annotations

import logging

import numba
import numpy as np
import pytest
from small_networks import head

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
from regionmask_ros.jit import cache


@pytest.fixture
def packed():
    return PackedNetwork(head(np.ones((2, 3, 1, 1))))


def test_the_variable_selects_a_kernel_set_and_an_argument_overrides_it(packed, monkeypatch):
    monkeypatch.delenv(KERNEL_SET_VARIABLE, raising=False)
    assert EventEngine(packed, (16, 16)).kernel_set == usable_kernel_sets(packed)[0]
    for name in usable_kernel_sets(packed):
        monkeypatch.setenv(KERNEL_SET_VARIABLE, name)
        assert EventEngine(packed, (16, 16)).kernel_set == name
    assert EventEngine(packed, (16, 16), kernel_set="portable").kernel_set == "portable"


@pytest.mark.parametrize("name", ["avx1024", "PORTABLE"])
def test_an_unknown_kernel_set_is_reported_in_one_line(packed, monkeypatch, name, trained):
    monkeypatch.setenv(KERNEL_SET_VARIABLE, name)
    with pytest.raises(KernelSetError, match=f"{KERNEL_SET_VARIABLE} '{name}'.*portable"):
        EventEngine(packed, (16, 16))
    with pytest.raises(UserError) as error:
        CpuBackend(trained, (64, 64), "carry")
    assert name in str(error.value) and "\n" not in str(error.value)


def test_windows_too_large_for_the_simd_plan_are_left_to_the_portable_kernels():
    packed = PackedNetwork(head(np.ones((1, 1, 33, 33))))
    assert not {"avx512", "avx2"} & set(usable_kernel_sets(packed))
    engine = EventEngine(packed, (33, 33), kernel_set="portable")
    result = engine.step(np.arange(2, dtype=np.int32), np.full(2, 16, np.int32))
    assert result.head.item() == 32


def test_an_old_numba_gets_the_portable_kernels_and_one_warning(monkeypatch, caplog):
    cache.is_numba_supported.cache_clear()
    monkeypatch.setattr(numba, "__version__", "0.54.1")
    try:
        with caplog.at_level(logging.WARNING):
            assert available_kernel_sets() == available_kernel_sets() == ("portable",)
        assert len(caplog.records) == 1 and "0.54.1" in caplog.text and "portable" in caplog.text
    finally:
        cache.is_numba_supported.cache_clear()
