"""Kernels and their reference implementation give the same integers on random networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import (
    Layers,
    assert_equals_reference,
    head,
    one_neuron,
    random_layers,
    random_messages,
    spread_groups,
    step,
)

from regionmask_ros.core.arithmetic import RULES
from regionmask_ros.engine.engine import EventEngine, KernelSetError, PackedNetwork, available_kernel_sets
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.network.chain import ConvSpec

each_kernel_set = pytest.mark.parametrize("kernel_set", available_kernel_sets())


@st.composite
def random_networks(draw, in_groups=False):
    """(network, input width and height, rng): one to four layers of any shape, weights up to the 10-bit limit.

    in_groups: Layers have as many groups as the greatest divisor up to a drawn number.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 4))
    width, height = draw(st.integers(5, 17)), draw(st.integers(5, 17))
    channels = draw(st.one_of(st.integers(1, 5), st.sampled_from([17, 130])))
    shape, layers = (height, width, channels), []
    for number in range(count):
        size = draw(st.integers(1, min(5, *shape[:2])))
        stride, padding = draw(st.integers(1, 4)), draw(st.integers(0, size - 1))
        outputs = draw(st.one_of(st.integers(1, 19), st.sampled_from([33, 40, 48, 65, 129, 255, 257, 300])))
        limit = draw(st.sampled_from([4, 60, 510]))
        groups = draw(st.sampled_from([n for n in range(1, shape[2] + 1) if shape[2] % n == 0])) if in_groups else 1
        outputs = draw(st.integers(1, 4)) * groups if groups > 1 else outputs
        weight = rng.integers(-limit, limit + 1, (outputs, shape[2] // groups, size, size)).astype(np.int32)
        bias = rng.integers(-256, 255, outputs).astype(np.int32) if number < count - 1 else None
        layers.append(ConvSpec(f"c{number}", weight, bias, stride, padding, draw(st.sampled_from([1, 6, 40])),
                               draw(st.sampled_from([0, 5, 6, 6, 7])), groups))
        shape = (*((n + 2 * padding - size) // stride + 1 for n in shape[:2]), outputs)
        if min(shape[:2]) < 1:
            layers.pop()
            break
    if layers[-1].bias is not None:
        last = layers[-1]
        layers[-1] = replace(last, bias=None)
    return Layers(tuple(layers)), (width, height, channels), rng


@each_kernel_set
@settings(max_examples=120)
@given(random_networks(), st.sampled_from(list(RULES)), st.sampled_from([0.02, 0.3, 1.0]), st.sampled_from([1, 997]))
def test_the_engine_equals_the_reference_in_every_integer(kernel_set, case, arithmetic, density, factor):
    """A factor of 997 takes messages far beyond 16 bits, which no encoder sends but a layer could."""
    network, (width, height, channels), rng = case
    engine = EventEngine(PackedNetwork(network), (width, height), arithmetic, kernel_set)
    assert_equals_reference(engine, ReferenceNetwork(network, (width, height), arithmetic), (
        random_messages(rng, (height, width, channels), density, factor) for _ in range(4)))


@settings(max_examples=150)
@given(random_networks(in_groups=True), st.sampled_from(list(RULES)), st.sampled_from([0.02, 0.3, 1.0]))
def test_groups_equal_the_reference_in_every_integer(case, arithmetic, density):
    network, (width, height, channels), rng = case
    engine = EventEngine(PackedNetwork(network), (width, height), arithmetic)
    assert any(spec.groups > 1 for spec in network.layers) <= (engine.kernel_set == "portable")
    assert_equals_reference(engine, ReferenceNetwork(network, (width, height), arithmetic), (
        random_messages(rng, (height, width, channels), density) for _ in range(4)))


@settings(max_examples=60)
@given(random_networks(in_groups=True))
def test_a_layer_in_groups_is_one_in_which_other_weights_are_zero(case):
    network, (width, height, channels), rng = case
    spread = Layers(tuple(map(spread_groups, network.layers)))
    one, other = (ReferenceNetwork(which, (width, height), "carry") for which in (network, spread))
    for _ in range(3):
        message = random_messages(rng, (height, width, channels), 0.3)
        np.testing.assert_array_equal(one.step(message), other.step(message))


@pytest.mark.parametrize("kernel_set", [name for name in available_kernel_sets() if name != "portable"])
def test_kernel_sets_without_groups_say_so(kernel_set, groups_network):
    with pytest.raises(KernelSetError, match="offers portable for this network"):
        EventEngine(PackedNetwork(groups_network), (96, 64), "carry", kernel_set)


@pytest.mark.parametrize("kernel_set", [*available_kernel_sets(), ""])
@settings(max_examples=60)
@given(st.data())
def test_synops_count_the_outputs_that_events_reach(kernel_set, data):
    network, (width, height, channels), rng = data.draw(random_networks(in_groups=not kernel_set))
    engine = EventEngine(PackedNetwork(network), (width, height), "carry", kernel_set)
    message = random_messages(rng, (height, width, channels), 0.4)
    counted = step(engine, message).synops[0]
    spec = network.layers[0]
    size, stride, padding = spec.weight.shape[2], spec.stride, spec.padding
    by_hand = 0
    for y, x in np.argwhere(message.any(axis=2)):
        out_rows, out_cols = engine.state(0)[0].shape[:2]
        rows = [r for r in range(out_rows) if 0 <= y - (r * stride - padding) < size]
        cols = [c for c in range(out_cols) if 0 <= x - (c * stride - padding) < size]
        by_hand += np.count_nonzero(message[y, x]) * len(rows) * len(cols) * len(spec.weight) // spec.groups
    assert counted == by_hand


@each_kernel_set
@pytest.mark.parametrize("arithmetic", RULES)
def test_the_exponent_of_a_layer_changes_its_scale_and_nothing_else(kernel_set, arithmetic):
    """Twice the weights with one more exponent are the same numbers: events are equal, and sums twice as large."""
    rng, network = np.random.default_rng(4), random_layers(4, (3, 20, 9, 4), 3, 2, limit=8)
    finer = Layers(tuple(
        ConvSpec(spec.name, spec.weight * 2, spec.bias, spec.stride, spec.padding, spec.threshold, spec.exponent + 1)
        for spec in network.layers))
    one, other = (EventEngine(PackedNetwork(which), (16, 16), arithmetic, kernel_set) for which in (network, finer))
    for _ in range(4):
        message = random_messages(rng, (16, 16, 3), 0.4)
        coarse, fine = step(one, message), step(other, message)
        assert coarse.layer_events == fine.layer_events and coarse.synops == fine.synops
        np.testing.assert_array_equal(2 * coarse.head, fine.head)


@each_kernel_set
def test_a_change_equal_to_the_threshold_fires_and_one_below_does_not(kernel_set):
    # A message of 1 at weight 1 adds 1; the threshold of 6 is 6144 at 2**16.
    for change, events in ((6143, 0), (6144, 1)):
        engine = EventEngine(PackedNetwork(one_neuron()), (1, 1), "carry", kernel_set)
        result = engine.step(np.zeros(1, np.int32), np.full(1, change, np.int32))
        assert result.layer_events == (events,)


@each_kernel_set
@pytest.mark.parametrize("arithmetic, lost", [("carry", 0), ("lava", 9)])
def test_carry_loses_no_low_bits(kernel_set, arithmetic, lost):
    """Ten rises of 6463, which is 100 message units of 64 and 63 more: lava loses the 63 each time."""
    engine = EventEngine(PackedNetwork(one_neuron()), (1, 1), arithmetic, kernel_set)
    result = 0
    for _ in range(10):
        result = int(engine.step(np.zeros(1, np.int32), np.full(1, 6400 + 63, np.int32)).head[0, 0, 0])
    assert 10 * (6400 + 63) // 64 - result == lost


@each_kernel_set
@pytest.mark.parametrize("arithmetic, level, fires", [
    ("carry", 5000, False), ("snap", 5000, True), ("snap", 3000, False),
])
def test_snap_sends_what_is_left_of_an_inactive_neuron_s_reference(kernel_set, arithmetic, level, fires):
    """The input rises to 12000 and falls to a level: both fire, as the threshold is 6144. Then it falls to 0.

    What is left is below the threshold. snap sends it when it is at least half of it.
    """
    engine = EventEngine(PackedNetwork(one_neuron()), (1, 1), arithmetic, kernel_set)

    def events_of(change: int) -> int:
        return engine.step(np.zeros(1, np.int32), np.full(1, change, np.int32)).layer_events[0]

    assert (events_of(12000), events_of(level - 12000)) == (1, 1)
    assert events_of(-level) == fires
    assert (engine.state(0)[1].item() == 0) == fires


@each_kernel_set
def test_reset_returns_to_the_initial_state(kernel_set):
    rng = np.random.default_rng(3)
    engine = EventEngine(PackedNetwork(random_layers(3, (3, 6, 4), 3, 2)), (16, 16), "lava", kernel_set)
    frames = [random_messages(rng, (16, 16, 3), 0.5) for _ in range(3)]

    def play() -> list[np.ndarray]:
        return [step(engine, message).head for message in frames]

    first = play()
    assert not np.array_equal(first, play()), "without a reset the state must persist"
    engine.reset()
    np.testing.assert_array_equal(first, play())


@each_kernel_set
@pytest.mark.parametrize("failing_call", range(4))
def test_reset_also_repairs_an_interrupted_step(kernel_set, failing_call, monkeypatch):
    rng = np.random.default_rng(8)
    engine = EventEngine(PackedNetwork(random_layers(8, (3, 20, 4), 3, 2)), (16, 16), "carry", kernel_set)
    # Beyond 16 bits, so that all kernel sets use their overflow sums, too.
    index, message = np.arange(768, dtype=np.int32), rng.integers(-(1 << 20), 1 << 20, 768).astype(np.int32)
    expected = engine.step(index, message).head
    engine.reset()

    calls = iter(range(100))

    def failing(function):
        def call(*arguments):
            if next(calls) == failing_call:
                raise MemoryError
            return function(*arguments)
        return call

    stack = type(engine._stack)
    for name in ("_run", "_add_overflow", "_accumulate", "_fire"):
        if hasattr(stack, name):
            monkeypatch.setattr(stack, name, failing(getattr(stack, name)))
    with pytest.raises(MemoryError):
        engine.step(index, message)
    monkeypatch.undo()
    engine.reset()
    np.testing.assert_array_equal(engine.step(index, message).head, expected)


@each_kernel_set
def test_cameras_share_weights_but_not_state(kernel_set):
    rng = np.random.default_rng(5)
    packed = PackedNetwork(head(rng.integers(-9, 9, (2, 1, 3, 3)), padding=1))
    one, other = (EventEngine(packed, (8, 8), "carry", kernel_set) for _ in range(2))
    one.step(np.arange(64, dtype=np.int32), np.full(64, 160, np.int32))
    assert not other.step(np.zeros(0, np.int32), np.zeros(0, np.int32)).head.any()


@each_kernel_set
def test_sums_beyond_31_bits_wrap_as_lava_does(kernel_set):
    """Five taps of 510 times 2**20 leave 31 bits; only the low 24 count."""
    network = head(np.full((1, 1, 5, 5), 510))
    engine = EventEngine(PackedNetwork(network), (5, 5), "carry", kernel_set)
    message = np.full(25, 1 << 20, np.int32)
    result = engine.step(np.arange(25, dtype=np.int32), message).head.item()
    assert result == (25 * 510 * (1 << 20) + (1 << 23)) % (1 << 24) - (1 << 23)
    assert ReferenceNetwork(network, (5, 5), "carry").step(message.reshape(5, 5, 1)).item() == result
