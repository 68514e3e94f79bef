"""Small networks for tests of the engine, and what is compared on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from regionmask_ros.engine.engine import EngineResult, EventEngine
from regionmask_ros.engine.reference import ReferenceNetwork
from regionmask_ros.engine.simd.crossover import NEVER, Crossover
from regionmask_ros.engine.simd.stack import SimdStack
from regionmask_ros.network.chain import ConvSpec

ALL_GATHERED = Crossover(NEVER, 0.0, 0.0, False)
ALL_DENSE = Crossover(1, 0.0, 0.0, True)


@dataclass(frozen=True)
class Layers:
    """A network as the engine sees it."""

    layers: tuple[ConvSpec, ...]


def head(weight, stride: int = 1, padding: int = 0) -> Layers:
    """A network of one layer without neurons that fire."""
    return Layers((ConvSpec("head", np.asarray(weight, np.int32), None, stride, padding, 0),))


def one_neuron() -> Layers:
    """One neuron with weight 1 and threshold 6, read by a head with weight 1."""
    one = np.ones((1, 1, 1, 1), np.int32)
    return Layers((ConvSpec("c", one, np.zeros(1, np.int32), 1, 0, 6), ConvSpec("head", one, None, 1, 0, 0)))


def random_layers(seed: int, channels: tuple[int, ...], size: int, stride: int, limit: int = 60) -> Layers:
    """A network with weights up to ``limit``; its second layer has that stride."""
    rng, specs = np.random.default_rng(seed), []
    for number, (inputs, outputs) in enumerate(pairwise(channels)):
        weight = rng.integers(-limit, limit + 1, (outputs, inputs, size, size)).astype(np.int32)
        bias = None if number == len(channels) - 2 else rng.integers(-90, 90, outputs).astype(np.int32)
        specs.append(ConvSpec(f"c{number}", weight, bias, stride if number == 1 else 1, size // 2, 6))
    return Layers(tuple(specs))


def spread_groups(spec: ConvSpec) -> ConvSpec:
    """The same layer without groups: weights between channels of different groups are 0."""
    weight = np.zeros((spec.out_channels, spec.in_channels, spec.kernel, spec.kernel), np.int32)
    for parts in zip(*(np.array_split(np.arange(count), spec.groups) for count in weight.shape[:2])):
        weight[np.ix_(*parts)] = spec.weight[parts[0]]
    return replace(spec, weight=weight, groups=1)


def random_messages(rng: np.random.Generator, shape: tuple[int, ...], density: float, factor: int = 1) -> np.ndarray:
    """Encoder messages int64 [h, w, c]: multiples of 16 within 8 bits, most of them 0; times a factor."""
    return np.where(rng.random(shape) < density, rng.integers(-128, 128, shape) << 4, 0) * factor


def force_crossover(engine: EventEngine, crossover: Crossover) -> None:
    """Makes all layers of a simd kernel set but the first compute their outputs in that way."""
    stack = engine._stack
    assert isinstance(stack, SimdStack)
    for number in range(1, len(stack.layers)):
        stack.set_crossover(number, crossover)


def step(engine: EventEngine, message: np.ndarray) -> EngineResult:
    """One frame of messages, int [h, w, c], through the engine."""
    index = np.flatnonzero(message).astype(np.int32)
    return engine.step(index, message.ravel()[index].astype(np.int32))


def assert_results_equal(one: EngineResult, other: EngineResult) -> None:
    """Compares heads, event counts and synops."""
    np.testing.assert_array_equal(one.head, other.head)
    assert (one.layer_events, one.synops) == (other.layer_events, other.synops)


def assert_equals_reference(engine: EventEngine, reference: ReferenceNetwork, messages: Iterable[np.ndarray]) -> None:
    """Compares heads, event counts and states of both, frame by frame."""
    for message in messages:
        expected, result = reference.step(message), step(engine, message)
        np.testing.assert_array_equal(result.head, expected)
        assert list(result.layer_events) == [np.count_nonzero(sent) for sent in reference.messages[1:]]
        for number, layer in enumerate(reference.layers):
            sigma, engine_reference = engine.state(number)
            np.testing.assert_array_equal(sigma, layer.sigma)
            if engine_reference is not None:
                np.testing.assert_array_equal(engine_reference, layer.reference)
