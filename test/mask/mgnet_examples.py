"""Mask networks with weights that NumPy draws, equal everywhere, and inputs for them."""

from __future__ import annotations

import numpy as np

from regionmask_ros.mask.mgnet.light import LightNetwork, token_grid
from regionmask_ros.mask.mgnet.paper import PaperNetwork
from regionmask_ros.mask.mgnet.weights import SHAPES

GRID = (5, 7)
"""Rows and columns of regions of the paper-shaped example."""


def random_weights(kind: str, seed: int = 7) -> dict[str, np.ndarray]:
    """Weights of a magnitude that trained networks have, by name."""
    # The old generator: its numbers are the same in every release.
    chance = np.random.RandomState(seed)
    weights = {}
    for name, shape in SHAPES[kind].items():
        drawn = chance.standard_normal(shape)
        if name.endswith(".scale"):
            drawn = 1.0 + 0.2 * drawn
        elif name.endswith(".weight"):
            drawn *= 1.5 / np.sqrt(shape[0])
        weights[name] = drawn.astype(np.float32)
    return weights


def example(kind: str) -> tuple[dict[str, np.ndarray], np.ndarray, LightNetwork | PaperNetwork]:
    """Weights, a prepared input, float32 [h, w, channels], and the network."""
    weights, chance = random_weights(kind), np.random.RandomState(8)
    network: LightNetwork | PaperNetwork
    if kind == "light":
        rows, cols = token_grid((640, 480))
        size, network = (8 * rows, 8 * cols, 4), LightNetwork(weights, (640, 480))
    else:
        size, network = (16 * GRID[0], 16 * GRID[1], 3), PaperNetwork(weights, GRID[::-1])
    return weights, chance.standard_normal(size).astype(np.float32), network
