"""Networks with weights that NumPy makes anew everywhere, and what they look at."""

from __future__ import annotations

import numpy as np

from regionmask_ros.mask.mgnet import light as mgnet_light
from regionmask_ros.mask.mgnet import paper as mgnet_paper
from regionmask_ros.mask.mgnet.light import LightNetwork, token_grid
from regionmask_ros.mask.mgnet.paper import PaperNetwork

GRID = (5, 7)
"""Rows and columns of regions of the paper-shaped example."""


def random_weights(kind: str, seed: int = 7) -> dict[str, np.ndarray]:
    """Of the size that a trained network's have."""
    shapes = {"light": mgnet_light, "paper": mgnet_paper}[kind].SHAPES
    # The old generator: its numbers are the same in every release.
    chance = np.random.RandomState(seed)
    weights = {}
    for name, shape in shapes.items():
        drawn = chance.standard_normal(shape)
        if name.endswith(".scale"):
            drawn = 1.0 + 0.2 * drawn
        elif name.endswith(".weight"):
            drawn *= 1.5 / np.sqrt(shape[0])
        weights[name] = drawn.astype(np.float32)
    return weights


def example(kind: str):
    """(weights, prepared input float32 [h, w, channels], network)"""
    weights, chance = random_weights(kind), np.random.RandomState(8)
    if kind == "light":
        rows, cols = token_grid((640, 480))
        size, network = (8 * rows, 8 * cols, 4), LightNetwork(weights, (640, 480))
    else:
        size, network = (16 * GRID[0], 16 * GRID[1], 3), PaperNetwork(weights, GRID[::-1])
    return weights, chance.standard_normal(size).astype(np.float32), network
