"""The kernel set for AMX: which operators it takes, what it leaves of the processor's state, and when it is offered.

Its results are those of every kernel set, see ``test_kernels.py`` and ``test_engine.py``; here its instructions are
emulated on every processor, to see what one of the hardware would refuse.
"""

from __future__ import annotations

import ctypes
import functools

import made_graphs
import numpy as np
import pytest
from emulated_library import open_emulated
from hypothesis import given, settings
from hypothesis import strategies as st
from native_kernels import AMX, EMULATED_AMX, KernelSet, Parameters, address, aligned, find_in, library_with

from regionmask_ros.commands import bench
from regionmask_ros.engine.engine import KERNEL_SET_VARIABLE
from regionmask_ros.tiles.compiled import list_kernel_sets, open_library
from regionmask_ros.tiles.engine import KERNELS_KEY, TileEngine, bind_library, choose_kernel_set
from regionmask_ros.tiles.plan import Plan
from regionmask_ros.tiles.reference import TileReference
from regionmask_ros.tiles.structures import OPERATIONS, NodeRecord

VNNI = "avx512_vnni"
SIZE = (96, 80)
PRODUCT = OPERATIONS.index("product")


@pytest.fixture(scope="module")
def library():
    return open_emulated()


@given(st.integers(1, 100), st.integers(1, 300), st.integers(1, 70))
@settings(max_examples=60)
def test_the_tiles_are_used_as_a_processor_demands_and_released(library, n, k, channels):
    kernels, parameters = find_in(library, AMX), Parameters(*np.ones((4, channels)))
    panel, packed = aligned(kernels.panel_bytes(n, k)), aligned(kernels.packed_weight_bytes(channels, k))
    out = np.zeros(n * 80 + 64, np.uint8)
    kernels.multiply(address(panel), n, k, address(packed), channels, parameters.at, address(out), 80)
    assert library.find_violation() == b""
    assert library.are_tiles_released()


@given(st.integers(1, 100), st.integers(1, 300), st.integers(1, 70))
@settings(max_examples=60)
def test_packed_weights_take_the_bytes_that_are_said(library, n, k, channels):
    kernels, size = find_in(library, AMX), find_in(library, AMX).packed_weight_bytes(channels, k)
    packed = aligned(size + 64, fill=99)
    weights, offset = np.zeros((channels, k), np.int8), np.zeros(channels, np.int32)
    kernels.pack_weights(address(weights), address(offset), channels, k, address(packed))
    assert not packed[:size].any() and (packed[size:] == 99).all()
    assert kernels.panel_bytes(n, k) >= n * k


def test_what_multiplies_otherwise_is_found(library):
    amx, vnni = find_in(library, AMX), find_in(library, VNNI)
    assert library.do_multiply_alike(ctypes.addressof(amx), ctypes.addressof(vnni))
    wrong = KernelSet.from_buffer_copy(vnni)
    # The weights of the second 16 channels lie elsewhere.
    wrong.pack_weights = amx.pack_weights
    assert not library.do_multiply_alike(ctypes.addressof(wrong), ctypes.addressof(vnni))


@pytest.mark.parametrize(("k", "channels", "pixels", "is_for_tiles"), [
    (64, 64, 2000, True), (576, 128, 400, True), (2304, 256, 20, True), (256, 1000, 1, False), (1152, 256, 4, True),
    (27, 32, 50000, False), (16, 96, 2000, False), (9, 16, 2000, False), (64, 1, 2000, False), (64, 64, 4, False)])
def test_small_products_are_left_to_vectors(library, k, channels, pixels, is_for_tiles):
    assert find_in(library, AMX).supports(PRODUCT, k, channels, pixels) == is_for_tiles
    assert find_in(library, VNNI).supports(PRODUCT, k, channels, pixels)


def test_all_but_products_is_left_to_vectors(library):
    for operation in set(range(len(OPERATIONS))) - {PRODUCT}:
        assert not find_in(library, AMX).supports(operation, 1000, 1000, 1000)


@functools.cache
def make_network(seed):
    """A random graph with products that are for tiles, and such that are not."""
    return made_graphs.make_network(seed, SIZE, nodes=16, width=8)


def choose_sets(seed, first=0):
    """Of each node of a random graph: what the plan asks `supports` for, and the name of the set that it chose.

    The plan has the kernel sets of the library from the number `first` on.
    """
    network = make_network(seed)
    with library_with(EMULATED_AMX):
        sets = {ctypes.addressof(find_in(open_library().handle, name)): name for name in list_kernel_sets()}
        plan = Plan(bind_library(), list(sets)[first:], network, SIZE)
    made = []
    for node, record in zip(network.graph.nodes, (NodeRecord * plan.record.node_count).from_address(plan.record.nodes)):
        rows, cols, channels = network.graph.shapes(SIZE)[node.name]
        outputs = record.group_outputs if record.operation == PRODUCT else channels
        made.append(((record.operation, record.k, outputs, rows * cols), sets[record.kernels]))
    return made


@pytest.mark.parametrize("seed", range(12))
def test_a_plan_has_the_first_set_that_supports_a_node(library, seed):
    for asked, name in choose_sets(seed):
        assert name == (AMX if find_in(library, AMX).supports(*asked) else VNNI)
    assert {name for _, name in choose_sets(seed, 1)} == {VNNI}


@pytest.mark.parametrize("seed", range(12))
def test_nodes_of_both_sets_together_are_the_reference(seed):
    with library_with(AMX if AMX in list_kernel_sets() else EMULATED_AMX) as name:
        engine, reference = TileEngine(make_network(seed), SIZE, name), TileReference(make_network(seed), SIZE)
    random = np.random.default_rng(seed)
    for image in made_graphs.make_video(seed, SIZE, 4):
        attended = random.random((5, 6)) < random.choice([0.5, 1.0])
        found, expected = (each.step(image, attended, 0.5, 2.0) for each in (engine, reference))
        np.testing.assert_array_equal(found.counts, expected.counts)
        for node in make_network(seed).graph.nodes:
            np.testing.assert_array_equal(engine.held(node.name), reference.held(node.name), node.name)


def test_both_sets_multiply_in_these_graphs():
    chosen = [name for seed in range(12) for (operation, *_), name in choose_sets(seed) if operation == PRODUCT]
    assert min(chosen.count(AMX), chosen.count(VNNI)) > 20


def test_the_environment_and_bench_can_leave_amx_out(monkeypatch, library):
    monkeypatch.setenv(KERNEL_SET_VARIABLE, "portable")  # of the event engine: bench does not change it
    with library_with(EMULATED_AMX):
        assert list_kernel_sets() == [AMX, VNNI]
        monkeypatch.setenv(KERNELS_KEY, VNNI)
        assert choose_kernel_set() == VNNI
        monkeypatch.delenv(KERNELS_KEY)
        assert choose_kernel_set() == AMX
        bench.limit_own_kernels()
        assert choose_kernel_set() == VNNI
