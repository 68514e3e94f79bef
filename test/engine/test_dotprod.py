"""The kernel set for ARM's dot product: its integers, computed here without the instruction, and its assembly."""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir
from small_networks import (
    ALL_DENSE,
    ALL_GATHERED,
    Layers,
    assert_equals_reference,
    force_crossover,
    head,
    random_messages,
)

from regionmask_ros.engine import engine as engine_module
from regionmask_ros.engine.engine import EventEngine, PackedNetwork, usable_kernel_sets
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.engine.simd.dot import WeightRows, emit_dense, emit_gathered
from regionmask_ros.jit.simd import I8, I32, I64, WIDTHS
from regionmask_ros.network.chain import ConvSpec

ARM = "aarch64-linux-gnu"
DOTPROD = "dotprod"


@pytest.fixture(autouse=True)
def offered(monkeypatch):
    """Processors without the instruction do not offer the kernel set; its kernels run there all the same, slowly."""
    monkeypatch.setattr(engine_module, "available_kernel_sets", lambda: (DOTPROD, "portable"))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]), st.sampled_from([0.05, 1.0]),
       st.sampled_from([1, 3, 997]), st.sampled_from(["carry", "lava", "snap"]),
       st.sampled_from([ALL_DENSE, ALL_GATHERED]))
def test_the_kernels_equal_the_reference(seed, size, stride, density, factor, arithmetic, crossover):
    """A factor of 3 takes messages around the limits of two bytes, 997 far beyond."""
    rng, shapes = np.random.default_rng(seed), ((3, 20), (20, 37), (37, 9))
    network = Layers(tuple(
        ConvSpec(f"c{n}", rng.integers(-128, 128, (o, i, size, size)).astype(np.int32),
                 None if n == 2 else rng.integers(-90, 90, o).astype(np.int32), stride if n == 1 else 1, size // 2, 6)
        for n, (i, o) in enumerate(shapes)))
    engine = EventEngine(PackedNetwork(network), (9, 7), arithmetic, DOTPROD)
    force_crossover(engine, crossover)
    assert_equals_reference(engine, ReferenceNetwork(network, (9, 7), arithmetic), (
        random_messages(rng, (7, 9, 3), density, factor) for _ in range(3)))


@pytest.mark.parametrize("message", [-32768, -32641, -129, -128, 127, 128, 32639, 32640, 32767])
def test_a_message_is_two_signed_bytes_or_is_split(message):
    network = head(np.array([-128, 127]).reshape(2, 1, 1, 1))
    engine = EventEngine(PackedNetwork(network), (1, 1), "carry", DOTPROD)
    result = engine.step(np.zeros(1, np.int32), np.full(1, message, np.int32))
    assert result.head.ravel().tolist() == [-128 * message, 127 * message]


def test_weights_beyond_a_byte_are_left_to_another_kernel_set():
    assert usable_kernel_sets(PackedNetwork(head(np.full((1, 1, 1, 1), 128)))) == ("portable",)


def arm_machine() -> llvm.TargetMachine:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(ARM)
    except RuntimeError as error:
        pytest.skip(f"this llvmlite cannot compile for ARM: {error}")
    return target.create_target_machine(features="+dotprod", opt=3)


def function(name: str, *kinds: ir.Type) -> tuple[ir.Module, ir.IRBuilder, tuple]:
    module = ir.Module(name)
    module.triple = ARM
    made = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    return module, ir.IRBuilder(made.append_basic_block("entry")), made.args


def assembly(module: ir.Module, builder: ir.IRBuilder) -> str:
    builder.ret_void()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    return arm_machine().emit_assembly(parsed)


def test_gathered_products_are_dot_products_on_arm():
    arm_machine()
    word, i32 = WIDTHS[4].word.as_pointer(), I32.as_pointer()
    module, builder, arguments = function("gathered", I8.as_pointer(), I64, i32, i32, I64, i32, i32, word, i32)
    weights, tap_rows, pixels, taps, number, counts, indices, pairs, totals = arguments
    emit_gathered(builder, WeightRows(builder, WIDTHS[4], 8, 8, 8), weights, tap_rows, (pixels, taps, number),
                  (counts, indices, pairs), totals)
    # Eight vectors, of which each has a sum of low and one of high bytes.
    assert assembly(module, builder).count("sdot") == 16


def test_dense_products_are_dot_products_on_arm():
    arm_machine()
    word, pixels = WIDTHS[4].word.as_pointer(), 4
    module, builder, arguments = function("dense", I8.as_pointer(), I64, I64, I64, I32.as_pointer(), *[word] * pixels)
    weights, pitch, run, size, totals, *windows = arguments
    emit_dense(builder, WeightRows(builder, WIDTHS[4], 8, 2, 8), weights, windows, (pitch, run, size), totals, 32)
    assert assembly(module, builder).count("sdot") == 2 * pixels * 2
