"""Small networks in the form of the tile engine. Needs the package onnx."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from dense_networks import block_network

from regionmask_ros.importing.lowering.lowering import lower_network
from regionmask_ros.network.dense import DenseNetwork
from regionmask_ros.tiles.quantization.calibration import quantize_network
from regionmask_ros.tiles.quantization.files import StoredTiles, pack_tiles
from regionmask_ros.tiles.quantization.ranges import measure_statistics


def with_tiles(network: DenseNetwork, images: Iterable[np.ndarray]) -> DenseNetwork:
    """The network with its quantized form.

    Args:
        network: In an ONNX file only.
        images: uint8 [rows, cols, 3], RGB, on which ranges are measured.

    Returns:
        The network; all its thresholds are 0.
    """
    lowered = lower_network(network)
    measured = measure_statistics(lowered.graph, [lowered.pixels.dequantize(image) for image in images])
    quantized = quantize_network(lowered.graph, lowered.pixels, measured)
    return replace(network, tiles=pack_tiles(StoredTiles(quantized, lowered.tail)))


def tiled_block_network() -> DenseNetwork:
    """The detector of bright blocks, see ``dense_networks.block_network``."""
    image = np.random.default_rng(0).integers(0, 120, (128, 192, 3)).astype(np.uint8)
    image[40:80, 48:88] = 250
    return with_tiles(block_network(), [image])
