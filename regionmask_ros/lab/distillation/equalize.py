"""Spreads the ranges of weights over the channels of a network with rectifiers. Needs torch.

A channel's values may be scaled by any positive factor, if what makes it is scaled by that factor and what reads it by
its inverse: the function stays the same. So the largest weights of all channels of a layer are brought near each other,
and one step of the grid serves the whole layer (Nagel et al. 2019, "Data-free quantization through weight equalization
and bias correction", section 4.1). Channels that are added share one factor; those of the picture and of outputs have
none; concatenation, maxima and enlargement pass factors on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .graph_model import GraphModel

ROUNDS = 40
LARGEST_FACTOR, SMALLEST_RANGE = 8.0, 1e-6
FIXED = -1


@dataclass(frozen=True)
class _Layer:
    """A convolution with the numbers of the factors of its channels."""

    name: str
    inputs: np.ndarray
    outputs: np.ndarray
    is_grouped: bool


def equalize(model: GraphModel, one_step: bool = False) -> None:
    """Equalizes all convolutions of a model without normalizations, in place.

    Args:
        model: The model; its groups are 1 or one for each channel.
        one_step: Whether all layers have the same step, so that their ranges are brought near each other, too.
    """
    layers, count = _number_channels(model)
    weights = {layer.name: model.weight(layer.name).detach().double().numpy().copy() for layer in layers}
    total = np.ones(count + 1)
    for _ in range(ROUNDS):
        made, used = np.zeros(count + 1), np.zeros(count + 1)
        for layer in layers:
            largest = np.abs(weights[layer.name]).max(axis=(2, 3))
            whole = 1.0 if one_step else max(float(largest.max()), SMALLEST_RANGE)
            np.maximum.at(made, layer.outputs, largest.max(axis=1) / whole)
            np.maximum.at(used, layer.inputs, (largest[:, 0] if layer.is_grouped else largest.max(axis=0)) / whole)
        factor = np.sqrt(np.maximum(made, SMALLEST_RANGE) / np.maximum(used, SMALLEST_RANGE))
        factor = np.clip(factor, 1 / LARGEST_FACTOR, LARGEST_FACTOR)
        factor[(made == 0) | (used == 0)] = 1.0
        factor[FIXED] = 1.0
        for layer in layers:
            by_input = factor[layer.inputs][:, None, None, None] if layer.is_grouped else factor[layer.inputs][
                None, :, None, None]
            weights[layer.name] *= by_input / factor[layer.outputs][:, None, None, None]
        total *= factor
    with torch.no_grad():
        for layer in layers:
            model.weight(layer.name).copy_(torch.from_numpy(weights[layer.name]))
            bias = model.bias(layer.name)
            if bias is not None:
                bias.div_(torch.from_numpy(total[layer.outputs]).float())


class _Factors:
    """Numbers of the factors of channels; those that must be equal are joined."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._fixed: set[int] = set()

    def __len__(self) -> int:
        return len(self._parents)

    def add(self, count: int) -> list[int]:
        """Numbers for so many further channels."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return list(range(first, first + count))

    def find(self, number: int) -> int:
        """The number that stands for all that this one is joined with."""
        while number != FIXED and self._parents[number] != number:
            number = self._parents[number]
        return number

    def join(self, first: int, second: int) -> None:
        """Makes two factors one; with `FIXED`, the other one becomes fixed, too."""
        first, second = self.find(first), self.find(second)
        if FIXED in (first, second):
            self._fixed.update({first, second} - {FIXED})
        elif first != second:
            self._parents[first] = second

    def finish(self, numbers: list[int]) -> np.ndarray:
        """The joined numbers of some channels."""
        fixed = {self.find(number) for number in self._fixed}
        found = [self.find(number) for number in numbers]
        return np.array([FIXED if number in fixed else number for number in found])


def _number_channels(model: GraphModel) -> tuple[list[_Layer], int]:
    """The convolutions with the numbers of their channels' factors, and how many factors there are."""
    factors = _Factors()
    numbers: dict[str, list[int]] = {}
    for step in model.steps:
        sources = [numbers[name] for name in step.inputs if name in numbers]
        if step.operator == "Conv":
            channels = len(model.weight(step.name))
            numbers[step.name] = factors.add(channels) if step.name in model.rectified else [FIXED] * channels
        elif step.operator == "Concat":
            numbers[step.name] = [number for source in sources for number in source]
        elif sources:
            for one, other in zip(sources[0], sources[-1]):
                factors.join(one, other)
            numbers[step.name] = sources[0]
    layers = []
    for step in model.convolutions:
        channels = model.weight(step.name).shape[1] * step.numbers["group"]
        source = numbers.get(step.inputs[0], [FIXED] * channels)
        layers.append(_Layer(step.name, factors.finish(source), factors.finish(numbers[step.name]),
                             step.numbers["group"] > 1))
    return layers, len(factors)
