"""The tile engine equals its reference, bit for bit, on graphs of all operators."""

import made_graphs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_kernels import kernel_sets, library_with

from regionmask_ros.errors import UserError
from regionmask_ros.tiles.compiled import list_kernel_sets
from regionmask_ros.tiles.engine import TileEngine, choose_kernel_set
from regionmask_ros.tiles.network import is_compared
from regionmask_ros.tiles.operators.quantized import operator_of
from regionmask_ros.tiles.reference import TileReference

SIZES = st.tuples(st.integers(8, 70), st.integers(8, 70))


def regions_of(input_wh):
    return -(-input_wh[1] // 16), -(-input_wh[0] // 16)


def run_dense(network, image):
    """Every tensor of the graph, node by node."""
    found = {network.graph.input: image}
    for node in network.graph.nodes:
        found[node.name] = operator_of(node).step([found[name] for name in node.inputs], node.parameters)
    return found


def draw_frame(random, input_wh):
    """A mask and thresholds."""
    attended = random.random(regions_of(input_wh)) < random.choice([0.0, 0.5, 1.0])
    return (None if random.random() < 0.3 else attended, float(random.choice([0.0, 1.0, 4.0])),
            float(random.choice([0.0, 2.0, 30.0])))


def assert_same_tensors(found, expected, network):
    for name in [network.graph.input, *(node.name for node in network.graph.nodes)]:
        np.testing.assert_array_equal(found(name), expected(name), name)


@pytest.mark.parametrize("kernel_set", kernel_sets())
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), input_wh=SIZES)
def test_the_engine_is_the_reference_on_any_graph_with_any_masks_and_thresholds(kernel_set, seed, input_wh):
    network = made_graphs.make_network(seed, input_wh)
    with library_with(kernel_set) as name:
        engine, reference = TileEngine(network, input_wh, name), TileReference(network, input_wh)
    random = np.random.default_rng(seed)
    for frame, image in enumerate(made_graphs.make_video(seed, input_wh, 6)):
        attended, level, input_threshold = draw_frame(random, input_wh)
        if frame == 4:
            engine.reset(), reference.reset()
        found = engine.step(image, attended, level, input_threshold)
        expected = reference.step(image, attended, level, input_threshold)
        assert_same_tensors(engine.held, reference.held, network)
        np.testing.assert_array_equal(found.counts, expected.counts)
        np.testing.assert_array_equal(found.input_change, expected.input_change)
        assert (found.quiet_square, found.has_changed) == (expected.quiet_square, expected.has_changed)
        for name in network.graph.outputs:
            np.testing.assert_array_equal(found.heads[name], expected.heads[name])
        assert (found.rows is None) == (expected.rows is None)
        if found.rows is not None:
            np.testing.assert_array_equal(found.rows, expected.rows)


@pytest.mark.parametrize("kernel_set", [*list_kernel_sets(), "reference"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), input_wh=SIZES)
def test_without_thresholds_and_masks_every_tensor_is_dense_after_any_history(kernel_set, seed, input_wh):
    network = made_graphs.make_network(seed, input_wh)
    engine = TileEngine(network, input_wh, kernel_set)
    random = np.random.default_rng(seed)
    for image in made_graphs.make_video(seed, input_wh, 4):
        engine.step(image, *draw_frame(random, input_wh))
        engine.step(image)
        expected = run_dense(network, image)
        assert_same_tensors(engine.held, expected.__getitem__, network)


@pytest.mark.parametrize("kernel_set", [*list_kernel_sets(), "reference"])
def test_dense_computes_everything_whatever_the_rule(kernel_set):
    network, input_wh = made_graphs.make_network(3, (50, 40)), (50, 40)
    engine = TileEngine(network, input_wh, kernel_set)
    first, second = made_graphs.make_video(3, input_wh, 2)
    nothing = np.zeros(regions_of(input_wh), bool)
    engine.step(first)
    counts = engine.step(second, nothing, 9.0, 9.0, is_dense=True).counts
    assert_same_tensors(engine.held, run_dense(network, second).__getitem__, network)
    assert np.array_equal(counts[:, 0], counts[:, 2])
    assert np.array_equal(counts[:, 1], [np.prod(engine.held(name).shape[:2]) for name in
                                         [network.graph.input, *(node.name for node in network.graph.nodes)]])
    assert not engine.step(second).counts[1:].any()


@pytest.mark.parametrize("kernel_set", [*list_kernel_sets(), "reference"])
@pytest.mark.parametrize("changed, is_dense", [(5, True), (4, True), (3, False)])
def test_a_frame_in_which_most_of_the_image_changed_is_dense_if_all_of_it_is_attended(kernel_set, changed, is_dense):
    input_wh = (80, 16)
    network = made_graphs.make_network(3, input_wh)
    engine = TileEngine(network, input_wh, kernel_set)
    image = np.full((16, 80, 3), 90, np.uint8)
    engine.step(image)
    image[:, :16 * changed] += 40
    masked = engine.step(image, np.array([[True] * 4 + [False]]), 1e6).counts
    assert masked[0, 2] == min(4, changed) and not masked[1:, 2].all()
    engine.step(image, is_dense=True)
    image[:, :16 * changed] += 40
    counts = engine.step(image, None, 1e6).counts
    assert (counts[0, 2], bool(counts[1:, 2].all())) == (changed, is_dense)
    assert not is_dense or np.array_equal(counts[1:, 0], counts[1:, 2])


@pytest.mark.parametrize("kernel_set", [*list_kernel_sets(), "reference"])
def test_what_no_convolution_or_pool_computes_is_replaced_without_a_comparison(kernel_set):
    input_wh = (64, 48)
    kept = 0
    for seed in range(8):
        network = made_graphs.make_network(seed, input_wh)
        compared = np.array([is_compared(node.operator) for node in network.graph.nodes])
        engine, random = TileEngine(network, input_wh, kernel_set), np.random.default_rng(seed)
        for image in made_graphs.make_video(seed, input_wh, 4):
            computed, _, replaced, _ = engine.step(image, *draw_frame(random, input_wh)).counts[1:].T
            np.testing.assert_array_equal(replaced[~compared], computed[~compared])
            kept += (computed - replaced)[compared].sum()
    assert kept


@pytest.mark.parametrize("kernel_set", kernel_sets())
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rows_that_are_longer_than_a_block_are_dense_too(kernel_set, seed):
    input_wh = (330, 20)
    network = made_graphs.make_network(seed, input_wh)
    with library_with(kernel_set) as name:
        engine = TileEngine(network, input_wh, name)
    for image in made_graphs.make_video(seed, input_wh, 2):
        engine.step(image, is_dense=True)
        assert_same_tensors(engine.held, run_dense(network, image).__getitem__, network)


@pytest.mark.parametrize("kernel_set", [*list_kernel_sets(), "reference"])
def test_a_tensor_that_the_caller_changes_changes_what_follows(kernel_set):
    network, input_wh = made_graphs.make_network(5, (48, 32)), (48, 32)
    engine = TileEngine(network, input_wh, kernel_set)
    (image,) = made_graphs.make_video(5, input_wh, 1)
    engine.step(image)
    changed = next(node for node in network.graph.nodes if node.name in network.factors)
    held = engine.held(changed.name)
    before = held.copy()
    held[:] = 255 - held
    engine.touch(changed.name)
    engine.step(None)
    expected = {network.graph.input: image}
    for node in network.graph.nodes:
        computed = operator_of(node).step([expected[name] for name in node.inputs], node.parameters)
        expected[node.name] = 255 - before if node.name == changed.name else computed
    assert_same_tensors(engine.held, expected.__getitem__, network)
    held[:] = before
    engine.touch(changed.name)
    engine.step(None)
    assert_same_tensors(engine.held, run_dense(network, image).__getitem__, network)


def test_a_second_camera_of_a_network_has_its_own_state():
    network, input_wh = made_graphs.make_network(7, (40, 40)), (40, 40)
    first, second = (TileEngine(network, input_wh) for _ in range(2))
    images = made_graphs.make_video(7, input_wh, 2)
    first.step(images[0])
    second.step(images[1])
    assert_same_tensors(first.held, run_dense(network, images[0]).__getitem__, network)


def test_unknown_kernels_are_a_mistake_that_names_the_known_ones():
    with pytest.raises(UserError, match="no kernels named abacus here: choose one of .*reference"):
        choose_kernel_set("abacus")


def test_an_image_of_another_size_is_refused():
    network = made_graphs.make_network(7, (40, 40))
    with pytest.raises(ValueError, match="not of uint8"):
        TileEngine(network, (40, 40), list_kernel_sets()[0]).step(np.zeros((40, 41, 3), np.uint8))
