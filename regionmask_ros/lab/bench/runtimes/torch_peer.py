"""PyTorch on the processor, eager and in fp32."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from ....network.formats.lava_dl import INPUT_MEAN, INPUT_STD
from ....network.graph import Network
from .dense_peer import DenseBaseline

UNIT = np.float32(64)


class TorchBaseline(DenseBaseline):
    """The same convolutions by hand; normalisation is part of the timed step."""

    def __init__(self, engine: str, network: Network, threads: int) -> None:
        super().__init__(engine, f"torch {torch.__version__}", threads)
        torch.set_num_threads(threads)
        self._layers = [
            (
                torch.from_numpy(layer.weight.astype(np.float32) / UNIT).contiguous(memory_format=torch.channels_last),
                None if layer.is_head else torch.from_numpy(layer.bias.astype(np.float32) / UNIT),
                layer.stride,
                layer.padding,
            )
            for layer in network.layers
        ]
        mean, std = np.array(INPUT_MEAN, np.float64), np.array(INPUT_STD, np.float64)
        self._scale = torch.from_numpy((1 / (255 * std)).astype(np.float32))
        self._offset = torch.from_numpy((-mean / std).astype(np.float32))

    def step(self, image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            value = torch.from_numpy(image).float().mul_(self._scale).add_(self._offset)
            # A picture's own order is PyTorch's "channels last": nothing is moved.
            value = value.permute(2, 0, 1).unsqueeze(0)
            for weight, bias, stride, padding in self._layers:
                value = functional.conv2d(value, weight, bias, stride, padding)
                if bias is not None:
                    value = value.relu_()
            return value.numpy()
