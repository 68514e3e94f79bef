"""The tile path beyond what every path is tested for."""

from __future__ import annotations

import mmap
import os
import signal
import time
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.core.events import stored_channels
from regionmask_ros.engine.amx import layers as tile_path
from regionmask_ros.engine.amx import neurons as tile_ir
from regionmask_ros.engine.amx import packing as tile_packing
from regionmask_ros.engine.engine import AMX, EventEngine, PackedNetwork, available_kernel_sets
from regionmask_ros.engine.layer import Convolution
from regionmask_ros.jit import memory
from regionmask_ros.jit.memory import aligned
from regionmask_ros.network.graph import ConvSpec


@dataclass(frozen=True)
class Layers:
    layers: tuple[ConvSpec, ...]


def one_layer(largest: int) -> PackedNetwork:
    weight = np.zeros((2, 1, 3, 3), np.int32)
    weight[0, 0, 1, 1] = largest
    return PackedNetwork(Layers((ConvSpec("head", weight, None, 1, 1, 0),)))


def test_a_system_that_refuses_tiles_gets_another_path(monkeypatch):
    monkeypatch.setattr(tile_path, "permitted", lambda: False)
    assert AMX not in available_kernel_sets()
    assert EventEngine(one_layer(1), (8, 8)).kernel_set != AMX


@pytest.mark.skipif(AMX not in available_kernel_sets(), reason="this processor has no matrix tiles")
def test_weights_of_more_than_two_parts_take_another_path():
    assert EventEngine(one_layer(32_639), (8, 8)).kernel_set == AMX
    assert EventEngine(one_layer(32_640), (8, 8)).kernel_set != AMX
    with pytest.raises(ValueError, match="kernel set 'amx'"):
        EventEngine(one_layer(32_640), (8, 8), kernel_set=AMX)


@given(st.integers(1, 2000))
def test_stored_channels_hold_blocks_or_are_held_by_them(channels):
    stored = stored_channels(channels)
    assert channels <= stored and (64 % stored == 0 or stored % 64 == 0)
    assert stored < 2 * max(channels, 4) and stored % 4 == 0


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 16, 40, 70]), st.sampled_from([60, 500]))
def test_packed_weights_are_the_layer_s_weights(seed, channels, limit):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-limit, limit + 1, (int(rng.integers(1, 50)), channels, 3, 3)).astype(np.int16)
    packed, = tile_packing.pack([Convolution(weight, None, 0, 1, 1)])
    shape = (packed.passes, 3, packed.groups, -(-3 // packed.per_block), packed.tiles * packed.parts, 16, 16, 4)
    parts = packed.weight.reshape(shape).astype(np.int64)
    if packed.parts == 2:
        parts = parts[:, :, :, :, :1] + 256 * parts[:, :, :, :, 1:]
    stored = stored_channels(channels)
    by_line = parts.transpose(0, 4, 6, 1, 3, 2, 5, 7).reshape(packed.padded, 3, -1)[:, :, :3 * stored]
    found = by_line.reshape(packed.padded, 3, 3, stored)[:len(weight), :, :, :channels]
    np.testing.assert_array_equal(found, weight.transpose(0, 2, 3, 1))
    assert np.abs(parts).sum() == np.abs(weight.astype(np.int64)).sum()


def test_a_configuration_fits_what_the_kernels_load():
    settings = tile_ir.configuration(14, 48)
    assert settings[0] == 1 and len(settings) == 64
    assert settings[16:32].view(np.uint16).tolist() == [64] * 4 + [48] * 2 + [64] * 2
    assert settings[48:56].tolist() == [14] * 6 + [12] * 2


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=20))
def test_arrays_are_aligned_empty_and_apart(sizes):
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

    monkeypatch.setattr(memory.mmap, "mmap", Refusing)
    monkeypatch.setattr(memory, "_chunk", np.empty(0, np.uint8))
    assert not aligned(3000, np.int32).any() and not aligned(5_000_000, np.int32).any()


def test_a_child_has_a_lock_and_memory_of_its_own():
    with memory._lock:
        child = os.fork()
        if not child:
            os._exit(0 if not aligned(100, np.int32).any() else 1)
    for _ in range(200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
    assert done and status == 0
