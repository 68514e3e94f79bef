"""The kernel set for matrix tiles. On a processor without tiles, their instructions are emulated."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cache

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir
from numba.core.codegen import get_host_cpu_features
from small_networks import assert_equals_reference, assert_results_equal, head, random_layers, random_messages

from regionmask_ros.core.events import stored_channels
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.engine import engine as engine_module
from regionmask_ros.engine.amx import kernels as amx_kernels
from regionmask_ros.engine.amx import neurons as amx_neurons
from regionmask_ros.engine.amx import packing as amx_packing
from regionmask_ros.engine.amx import stack as amx_stack
from regionmask_ros.engine.engine import (
    AMX,
    PORTABLE,
    EventEngine,
    KernelSetError,
    PackedNetwork,
    available_kernel_sets,
)
from regionmask_ros.engine.layer import CheckedConv
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.jit import cache as jit_cache
from regionmask_ros.jit.simd import I8, I64, call
from regionmask_ros.network.formats.lava_dl import input_table

HAS_BMI2 = platform.machine() == "x86_64" and "+bmi2" in get_host_cpu_features().split(",")
TILES = np.zeros((8, 16, 64), np.uint8)
SIZES = np.zeros((8, 2), np.int64)
"""Rows of each tile register, and bytes of its rows."""

COMPILED: list[object] = []


def one_weight(largest: int) -> PackedNetwork:
    weight = np.zeros((2, 1, 3, 3), np.int32)
    weight[0, 0, 1, 1] = largest
    return PackedNetwork(head(weight, padding=1))


@numba.njit
def registers(tiles, sizes):
    return numba.carray(tiles, (8, 16, 64)), numba.carray(sizes, (8, 2))


def load_configuration(tiles, sizes, settings):
    _, size = registers(tiles, sizes)
    for register in range(8):
        size[register, 0] = settings[48 + register]
        size[register, 1] = settings[16 + 2 * register] + 256 * settings[17 + 2 * register]


def clear(tiles, sizes, register):
    registers(tiles, sizes)[0][register] = 0


def load(tiles, sizes, register, memory, stride):
    tile, size = registers(tiles, sizes)
    tile[register] = 0
    for row in range(size[register, 0]):
        for byte in range(size[register, 1]):
            tile[register, row, byte] = memory[row * stride + byte]


def store(tiles, sizes, register, memory, stride):
    tile, size = registers(tiles, sizes)
    for row in range(size[register, 0]):
        for byte in range(size[register, 1]):
            memory[row * stride + byte] = tile[register, row, byte]


@numba.njit
def multiply(tiles, sizes, sums, messages, weights, is_signed):
    tile, size = registers(tiles, sizes)
    total = tile.view(np.int32)
    for row in range(size[sums, 0]):
        for k in range(size[messages, 1]):
            message = np.int32(np.int8(tile[messages, row, k])) if is_signed else np.int32(tile[messages, row, k])
            for column in range(size[sums, 1] // 4):
                weight = np.int32(np.int8(tile[weights, k // 4, 4 * column + k % 4]))
                total[sums, row, column] += message * weight


def multiply_signed(tiles, sizes, sums, messages, weights):
    multiply(tiles, sizes, sums, messages, weights, True)


def multiply_unsigned(tiles, sizes, sums, messages, weights):
    multiply(tiles, sizes, sums, messages, weights, False)


REGISTERS = "CPointer(uint8), CPointer(int64)"
EMULATED = {
    "ldtilecfg": (load_configuration, "CPointer(uint8)"), "tilezero": (clear, "uint8"),
    **dict.fromkeys(("tileloadd64", "tileloaddt164"), (load, "uint8, CPointer(uint8), int64")),
    "tilestored64": (store, "uint8, CPointer(uint8), int64"),
    "tdpbssd": (multiply_signed, "uint8, uint8, uint8"), "tdpbusd": (multiply_unsigned, "uint8, uint8, uint8"),
}


@cache
def emulated(name: str) -> str:
    """Compiles the function that does what the instruction does; returns its symbol."""
    function, arguments = EMULATED[name]
    compiled = numba.cfunc(f"void({REGISTERS}, {arguments})")(function)
    COMPILED.append(compiled)
    llvm.add_symbol(f"test.{name}", compiled.address)
    return f"test.{name}"


def emit_call(builder: ir.IRBuilder, name: str, *arguments) -> None:
    """In place of ``amx.neurons._emit``: calls the function that does what the instruction does."""
    if name == "tilerelease":
        return
    memory = [builder.inttoptr(ir.Constant(I64, array.ctypes.data), kind.as_pointer())
              for array, kind in ((TILES, I8), (SIZES, I64))]
    values = [ir.Constant(I8, value) if isinstance(value, int) else value for value in arguments]
    call(builder, emulated(name), ir.VoidType(), [*memory, *values])


@pytest.fixture(scope="module")
def with_tiles() -> Iterator[None]:
    """Offers the kernel set; where the processor has no tiles, with emulated instructions that are never stored."""
    if AMX in available_kernel_sets():
        yield
        return
    if not HAS_BMI2:
        pytest.skip("this processor lacks BMI2, which the kernels need beside tiles")
    factories = amx_kernels.plan_kernel, amx_kernels.amx_layer_kernel
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(amx_neurons, "_emit", emit_call)
        patch.setattr(jit_cache, "_FOLDER", None)
        patch.setattr(engine_module, "available_kernel_sets", lambda: (AMX, PORTABLE))
        for factory in factories:
            factory.cache_clear()
        yield
    for factory in factories:
        factory.cache_clear()


@pytest.mark.parametrize("limit, stride, arithmetic", [(100, 1, "carry"), (500, 4, "snap"), (500, 1, "lava")])
@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 1.0]), st.sampled_from([1, 997]))
def test_the_kernels_equal_the_reference(with_tiles, limit, stride, arithmetic, seed, density, factor):
    """Weights of one part and of two, near windows and others, one plane of messages and two."""
    network, rng = random_layers(seed, (3, 20, 70, 9), 3, stride, limit), np.random.default_rng(seed)
    engine = EventEngine(PackedNetwork(network), (37, 18), arithmetic, AMX)
    assert_equals_reference(engine, ReferenceNetwork(network, (37, 18), arithmetic), (
        random_messages(rng, (18, 37, 3), density, factor) for _ in range(3)))


def test_change_maps_and_lists_give_the_same(with_tiles):
    packed, encoder = PackedNetwork(random_layers(7, (3, 16, 32, 8), 3, 2)), Encoder(input_table(), 6, (64, 48))
    by_map, by_list = (EventEngine(packed, (64, 48), "carry", AMX) for _ in range(2))
    rng = np.random.default_rng(5)
    for _ in range(5):
        events = encoder.step(rng.integers(0, 256, (48, 64, 3)).astype(np.uint8), rng.random((3, 4)) < 0.6)
        assert_results_equal(by_map.step_changes(events.changes), by_list.step(events.index, events.message))


def test_a_system_that_refuses_tiles_gets_another_kernel_set(monkeypatch):
    monkeypatch.setattr(engine_module, "available_kernel_sets", available_kernel_sets)
    monkeypatch.setattr(amx_stack, "permitted", lambda: False)
    assert AMX not in available_kernel_sets()
    assert EventEngine(one_weight(1), (8, 8)).kernel_set != AMX


def test_weights_of_more_than_two_parts_take_another_kernel_set(with_tiles):
    assert EventEngine(one_weight(32_639), (8, 8)).kernel_set == AMX
    assert EventEngine(one_weight(32_640), (8, 8)).kernel_set != AMX
    with pytest.raises(KernelSetError, match="kernel set 'amx'"):
        EventEngine(one_weight(32_640), (8, 8), kernel_set=AMX)


@given(st.integers(1, 2000))
def test_stored_channels_hold_blocks_or_are_held_by_them(channels):
    stored = stored_channels(channels)
    assert channels <= stored and (64 % stored == 0 or stored % 64 == 0)
    assert stored < 2 * max(channels, 4) and stored % 4 == 0


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 16, 40, 70]), st.sampled_from([60, 500]))
def test_packed_weights_are_the_layer_s_weights(seed, channels, limit):
    rng = np.random.default_rng(seed)
    weight = rng.integers(-limit, limit + 1, (int(rng.integers(1, 50)), channels, 3, 3)).astype(np.int16)
    packed, = amx_packing.pack([CheckedConv(weight, None, 0, 1, 1, 6, 1)])
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
    configuration = amx_neurons.configuration(14, 48)
    assert configuration[0] == 1 and len(configuration) == 64
    assert configuration[16:32].view(np.uint16).tolist() == [64] * 4 + [48] * 2 + [64] * 2
    assert configuration[48:56].tolist() == [14] * 6 + [12] * 2
