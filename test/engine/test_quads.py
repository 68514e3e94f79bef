"""The path for ARM's dot product: its integers, computed here without the instruction, and its assembly."""

from __future__ import annotations

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import ir

from regionmask_ros.engine import engine as event_engine
from regionmask_ros.engine.engine import EventEngine, PackedNetwork, usable_kernel_sets
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.engine.simd.crossover import ALL_DENSE, ALL_GATHERED
from regionmask_ros.engine.simd.dot import WeightRows, emit_dense, emit_gathered
from regionmask_ros.jit.simd import I8, I32, I64, WIDTHS
from regionmask_ros.network.graph import ConvSpec

ARM = "aarch64-linux-gnu"
PATH = "dotprod"


class Layers:
    def __init__(self, *layers: ConvSpec) -> None:
        self.layers = layers


@pytest.fixture(autouse=True)
def offered(monkeypatch):
    """Processors without the instruction do not offer the path; its kernels run there all the same, only slowly."""
    monkeypatch.setattr(event_engine, "available_kernel_sets", lambda: (PATH, "portable"))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]), st.sampled_from([0.05, 1.0]),
       st.sampled_from([1, 3, 997]), st.sampled_from(["carry", "lava", "snap"]),
       st.sampled_from([ALL_DENSE, ALL_GATHERED]))
def test_quads_equal_the_twin(equals_reference, seed, size, stride, density, factor, arithmetic, crossover):
    """factor: 3 takes messages around the limits of two bytes, 997 far beyond."""
    rng, shapes = np.random.default_rng(seed), ((3, 20), (20, 37), (37, 9))
    small = Layers(*(
        ConvSpec(f"c{n}", rng.integers(-128, 128, (o, i, size, size)).astype(np.int32),
                 None if n == 2 else rng.integers(-90, 90, o).astype(np.int32), stride if n == 1 else 1, size // 2, 6)
        for n, (i, o) in enumerate(shapes)))
    reference_network, engine = ReferenceNetwork(small, (9, 7), arithmetic), EventEngine(PackedNetwork(small), (9, 7), arithmetic, PATH)
    for before, layer in zip(engine._layers.layers, engine._layers.layers[1:]):
        layer.crossover, before.list_changes = crossover, not crossover.always_dense
    equals_reference(engine, reference_network, (
        np.where(rng.random((7, 9, 3)) < density, rng.integers(-128, 128, (7, 9, 3)) << 4, 0) * factor
        for _ in range(3)))


@pytest.mark.parametrize("message", [-32768, -32641, -129, -128, 127, 128, 32639, 32640, 32767])
def test_a_message_is_two_signed_bytes_or_leaves_a_rest(message):
    head = Layers(ConvSpec("head", np.array([-128, 127], np.int32).reshape(2, 1, 1, 1), None, 1, 0, 0))
    engine = EventEngine(PackedNetwork(head), (1, 1), "carry", PATH)
    result = engine.step(np.zeros(1, np.int32), np.full(1, message, np.int32))
    assert result.head.ravel().tolist() == [-128 * message, 127 * message]


def test_weights_beyond_a_byte_are_left_to_another_path():
    wide = PackedNetwork(Layers(ConvSpec("head", np.full((1, 1, 1, 1), 128, np.int32), None, 1, 0, 0)))
    assert usable_kernel_sets(wide) == ("portable",)


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
    module, builder, arguments = function(
        "gathered", I8.as_pointer(), I64, I64, i32, i32, i32, I64, i32, word, i32)
    emit_gathered(builder, WeightRows(builder, WIDTHS[4], 8, 8, 8), *arguments)
    # Eight vectors, of which each has a sum of low and one of high bytes.
    assert assembly(module, builder).count("sdot") == 16


def test_dense_products_are_dot_products_on_arm():
    arm_machine()
    word, pixels = WIDTHS[4].word.as_pointer(), 4
    module, builder, arguments = function(
        "dense", I8.as_pointer(), I64, I64, I64, I32.as_pointer(), *[word] * pixels)
    weights, pitch, run, size, totals, *windows = arguments
    emit_dense(builder, WeightRows(builder, WIDTHS[4], 8, 2, 8), weights, windows, pitch, run, size, totals, 32)
    assert assembly(module, builder).count("sdot") == 2 * pixels * 2
