"""The kernels of branched networks give the integers of the reference, and the reference follows its rules."""

from __future__ import annotations

import numpy as np
import pytest
from branched_networks import random_graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import Layers, random_layers, random_messages

from regionmask_ros.core.arithmetic import RULES
from regionmask_ros.engine.branched.engine import BranchedEngine, BranchedResult, PackedBranches
from regionmask_ros.engine.branched.operators import Add, ChannelRange, Concat, Enlarge, MaxPool, Wiring
from regionmask_ros.engine.branched.reference import ReferenceBranches
from regionmask_ros.engine.reference import ReferenceNetwork, correlate
from regionmask_ros.network.chain import ConvSpec
from regionmask_ros.network.graph import Graph, Node


def step(engine: BranchedEngine, message: np.ndarray) -> BranchedResult:
    """One frame of messages, int [h, w, c], through the engine."""
    index = np.flatnonzero(message).astype(np.int32)
    return engine.step(index, message.ravel()[index].astype(np.int32))


def assert_equal(engine: BranchedEngine, reference: ReferenceBranches) -> None:
    """Compares sigma and reference of all layers."""
    for name, layer in reference.layers.items():
        sigma, sent = engine.state(name)
        np.testing.assert_array_equal(sigma, layer.sigma)
        if sent is not None:
            np.testing.assert_array_equal(sent, layer.reference)


@settings(max_examples=200)
@given(random_graphs(), st.sampled_from(list(RULES)), st.sampled_from([0.02, 0.3, 1.0]), st.sampled_from([1, 997]))
def test_the_engine_equals_the_reference_in_every_integer(case, arithmetic, density, factor):
    graph, input_wh, rng = case
    engine = BranchedEngine(PackedBranches(graph), input_wh, arithmetic)
    reference = ReferenceBranches(graph, input_wh, arithmetic)
    assert_equal(engine, reference)
    for _ in range(3):
        message = random_messages(rng, (input_wh[1], input_wh[0], graph.channels), density, factor)
        expected, result = reference.step(message), step(engine, message)
        for head, wanted in zip(result.heads, expected, strict=True):
            np.testing.assert_array_equal(head, wanted)
        assert result.layer_events == tuple(reference.events.values())
        assert result.synops == tuple(reference.synops.values())
        assert_equal(engine, reference)


@settings(max_examples=60)
@given(random_graphs(), st.sampled_from(list(RULES)))
def test_no_neuron_fires_in_a_frame_without_events(case, arithmetic):
    """One step without input is enough for all that biases cause; later ones change nothing."""
    graph, input_wh, rng = case
    reference = ReferenceBranches(graph, input_wh, arithmetic)
    shape = input_wh[1], input_wh[0], graph.channels
    for message in (np.zeros(shape, np.int64), random_messages(rng, shape, 0.5), np.zeros(shape, np.int64)):
        reference.step(message)
        if not message.any():
            assert not any(reference.events.values())


@settings(max_examples=60)
@given(random_graphs())
def test_with_carry_every_layer_holds_exactly_what_was_sent_to_it(case):
    """Nothing drifts: sigma is what a computation from the values that were sent gives."""
    graph, input_wh, rng = case
    reference = ReferenceBranches(graph, input_wh, "carry")
    sent = np.zeros((input_wh[1], input_wh[0], graph.channels), np.int64)
    for _ in range(4):
        message = random_messages(rng, sent.shape, 0.3)
        sent += message
        reference.step(message)
    values = {graph.input: sent}
    for node in graph.nodes:
        inputs, spec = [values[name] for name in node.inputs], node.operator
        if isinstance(spec, Wiring):
            values[node.name] = spec.move(inputs)
            continue
        layer = reference.layers[node.name]
        if isinstance(spec, MaxPool):
            expected, exponent = inputs[0], 0
        else:
            expected = correlate(inputs[0], spec.weight, spec.stride, spec.padding, spec.groups)
            exponent = spec.exponent
        np.testing.assert_array_equal((layer.sigma - expected) % (1 << 24), 0)
        assert not (layer.reference % (1 << exponent)).any()
        values[node.name] = layer.reference >> exponent


def chain_graph(layers: Layers, channels: int) -> Graph:
    """The same layers as a graph."""
    names = ["image", *(spec.name for spec in layers.layers)]
    nodes = tuple(Node(spec.name, spec, (before,)) for spec, before in zip(layers.layers, names))
    return Graph("image", channels, nodes, (names[-1],))


@pytest.mark.parametrize("arithmetic", RULES)
def test_a_chain_without_biases_is_computed_as_by_the_chain_engine(arithmetic):
    """With biases, only the steps before the first frame differ."""
    layers = Layers(tuple(
        spec if spec.bias is None else ConvSpec(spec.name, spec.weight, 0 * spec.bias, spec.stride, spec.padding, 6)
        for spec in random_layers(4, (3, 8, 9, 4), 3, 2).layers))
    chain = ReferenceNetwork(layers, (16, 16), arithmetic)
    branches = ReferenceBranches(chain_graph(layers, 3), (16, 16), arithmetic)
    rng = np.random.default_rng(4)
    for _ in range(4):
        message = random_messages(rng, (16, 16, 3), 0.4)
        np.testing.assert_array_equal(branches.step(message)[0], chain.step(message))


def identity(name: str, channels: int) -> ConvSpec:
    """A head that passes its input on: weights of 1."""
    return ConvSpec(name, np.eye(channels, dtype=np.int32)[:, :, None, None], None, 1, 0, 0, 0)


def pool_graph(pool: MaxPool) -> Graph:
    """A pool of a gray image, and a head that shows it."""
    return Graph("image", 1, (Node("pool", pool, ("image",)), Node("head", identity("head", 1), ("pool",))), ("head",))


def heads_of(operator, inputs: int, shape: tuple[int, int, int], messages: list[np.ndarray]) -> np.ndarray:
    """What an operator makes of equal channels' messages, by a head with weights of 1."""
    image = (*shape[:2], shape[2] * inputs)
    ranges = [Node(f"part{n}", ChannelRange(n * shape[2], (n + 1) * shape[2]), ("image",)) for n in range(inputs)]
    node = Node("node", operator, tuple(one.name for one in ranges))
    channels = operator.output_shape([shape] * inputs, {})[2]
    graph = Graph("image", image[2], (*ranges, node, Node("head", identity("head", channels), ("node",))), ("head",))
    engine = BranchedEngine(PackedBranches(graph), (shape[1], shape[0]))
    for message in messages:
        head = step(engine, message).heads[0]
    return head


@pytest.mark.parametrize("operator, inputs, expected", [
    (Concat(), 2, lambda one, two: np.concatenate([one, two], 2)),
    (Add(), 2, lambda one, two: one + two),
    (Enlarge(2), 1, lambda one: np.kron(one, np.ones((2, 2, 1), np.int64))),
    (ChannelRange(1, 3), 1, lambda one: one[:, :, 1:3]),
    (MaxPool(2, 2, 0, 1), 1, lambda one: one.reshape(2, 2, 3, 2, 3).max((1, 3))),
])
def test_an_operator_does_with_changes_what_it_does_with_values(operator, inputs, expected):
    """Two frames of messages, each of at least a threshold of 1, which is 16 at 2**10."""
    rng = np.random.default_rng(7)
    messages = [16 * rng.integers(0, 9, (4, 6, 3 * inputs)) for _ in range(2)]
    parts = np.split(sum(messages), inputs, axis=2)
    np.testing.assert_array_equal(heads_of(operator, inputs, (4, 6, 3), messages), expected(*parts))


@pytest.mark.parametrize("change, events", [(95, 0), (96, 1), (-96, 1)])
def test_a_pool_fires_from_its_threshold_on(change, events):
    """A threshold of 6 is 96 at 2**10."""
    engine = BranchedEngine(PackedBranches(pool_graph(MaxPool(2, 2, 0, 6))), (2, 2))
    first = step(engine, np.full((2, 2, 1), 960))
    assert first.layer_events == (1,) and first.heads[0].item() == 960
    assert step(engine, np.full((2, 2, 1), change)).layer_events == (events,)
    # A pixel below the largest changes nothing, and costs no synaptic operation.
    below = np.zeros((2, 2, 1), int)
    below[1, 1] = -500
    assert step(engine, below).synops == (0,)


def test_cameras_share_weights_but_not_state_and_reset_forgets():
    packed = PackedBranches(pool_graph(MaxPool(3, 1, 1, 1)))
    one, other = BranchedEngine(packed, (5, 5)), BranchedEngine(packed, (5, 5))
    message = np.full((5, 5, 1), 160)
    expected = step(one, message).heads[0]
    assert expected.any() and not step(other, np.zeros((5, 5, 1), int)).heads[0].any()
    one.reset()
    np.testing.assert_array_equal(step(one, message).heads[0], expected)
