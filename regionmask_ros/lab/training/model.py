"""The mask networks in torch, and how each is trained. Weights have the names and layouts of ``mask.mgnet``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...mask.mgnet import light, paper
from ...mask.mgnet.kernels import NORM_EPSILON


class MaskModel(nn.Module):
    """Parameters and operations of both networks.

    Args:
        shapes: Shape of each parameter by its name.
        seed: Of the initial values.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], seed: int) -> None:
        super().__init__()
        self.shapes = shapes
        generator = torch.Generator().manual_seed(seed)
        self.values = nn.ParameterDict({
            _attribute(name): nn.Parameter(_initial_value(name, shape, generator)) for name, shape in shapes.items()})

    def parameter(self, name: str) -> torch.Tensor:
        """The parameter of that name."""
        return self.values[_attribute(name)]

    def weights(self) -> dict[str, np.ndarray]:
        """Copies of all parameters: float32 arrays by name."""
        return {name: self.parameter(name).detach().cpu().numpy().astype(np.float32) for name in self.shapes}

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Sets all parameters, from float32 arrays by name."""
        with torch.no_grad():
            for name in self.shapes:
                self.parameter(name).copy_(torch.from_numpy(np.array(weights[name], np.float32)))

    def linear(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """Computes value @ weight + bias with the weight and bias of that name."""
        return value @ self.parameter(f"{name}.weight") + self.parameter(f"{name}.bias")

    def norm(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """Layer normalization with the scale and shift of that name."""
        width = (value.shape[-1],)
        return functional.layer_norm(value, width, self.parameter(f"{name}.scale"), self.parameter(f"{name}.shift"),
                                     float(NORM_EPSILON))

    def convolution(self, name: str, value: torch.Tensor, stride: int) -> torch.Tensor:
        """3x3 convolution of [batch, channels, h, w] with a rectifier."""
        weight = self.parameter(f"{name}.weight")
        kernel = weight.reshape(3, 3, value.shape[1], -1).permute(3, 2, 0, 1)
        return functional.relu(functional.conv2d(value, kernel, self.parameter(f"{name}.bias"), stride, 1))

    def attention(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int) -> torch.Tensor:
        """Attention of several heads; all [batch, tokens, width]."""
        parts = [x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (query, key, value)]
        return functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

    def block(self, stream: torch.Tensor, heads: int,
              pool: Callable[[torch.Tensor], torch.Tensor] = lambda tokens: tokens) -> torch.Tensor:
        """Transformer block on [batch, tokens, width]. ``pool`` makes the tokens of keys and values."""
        normal = self.norm("norm1", stream)
        source = pool(normal)
        attended = self.attention(self.linear("query", normal), self.linear("key", source),
                                  self.linear("value", source), heads)
        stream = stream + self.linear("join", attended)
        return stream + self.linear("down", functional.relu(self.linear("up", self.norm("norm2", stream))))


class LightModel(MaskModel):
    """The network of ``mask.mgnet.light``."""

    def __init__(self, seed: int) -> None:
        super().__init__(light.SHAPES, seed)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Logits of cells, [batch, 2 * rows, 2 * cols], from [batch, 4, 8 * rows, 8 * cols]."""
        first = self.convolution("stem1", values, 2)
        second = self.convolution("stem2", first, 2)
        third = self.convolution("stem3", second, 2)
        rows, cols = third.shape[2:]
        place = torch.from_numpy(light.token_positions(rows, cols)) @ self.parameter("place.weight")
        stream = third.flatten(2).transpose(1, 2) + place
        stream = self.block(stream, light.HEADS, lambda tokens: functional.avg_pool2d(
            _as_map(tokens, rows), 2).flatten(2).transpose(1, 2))
        mixed = _as_map(stream, rows)
        mixed = mixed + self.convolution("mix", mixed, 1)
        corners = self.linear("score", mixed.permute(0, 2, 3, 1))
        fine = self.linear("fine", second.permute(0, 2, 3, 1))[..., 0]
        return fine + corners.unflatten(3, (2, 2)).permute(0, 1, 3, 2, 4).reshape(fine.shape)


class PaperModel(MaskModel):
    """The network of ``mask.mgnet.paper``."""

    def __init__(self, seed: int) -> None:
        super().__init__(paper.SHAPES, seed)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Logits of regions, [batch, rows, cols], from [batch, 3, 16 * rows, 16 * cols]."""
        kernel = self.parameter("patch.weight").reshape(paper.PATCH_PX, paper.PATCH_PX, 3, -1).permute(3, 2, 0, 1)
        patches = functional.conv2d(values, kernel, self.parameter("patch.bias"), paper.PATCH_PX)
        rows, cols = patches.shape[2:]
        place = self.parameter("place.weight").reshape(1, paper.PLACE_SIDE, paper.PLACE_SIDE, -1).permute(0, 3, 1, 2)
        patches = patches + functional.interpolate(place, (rows, cols), mode="bilinear")
        tokens = patches.flatten(2).transpose(1, 2)
        stream = torch.cat([self.parameter("class.token").expand(len(tokens), 1, -1), tokens], dim=1)
        normal = self.norm("norm3", self.block(stream, paper.HEADS))
        query = self.linear("class_query", normal[:, :1]).unflatten(2, (paper.HEADS, -1))
        key = self.linear("class_key", normal[:, 1:]).unflatten(2, (paper.HEADS, -1))
        scores = (query * key).sum(dim=3) / math.sqrt(paper.WIDTH // paper.HEADS)
        return self.linear("score", scores)[..., 0].unflatten(1, (rows, cols))


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes:
        model: Makes the network, given a seed.
        cell_px: Side of a scored cell in pixels of the network's input.
        channels: Of the input: 4 with the change, 3 without.
        grids: Rows and columns of cells of the inputs to train with; each batch gets one of them by chance.
        image_width: Largest width of the frames in memory, in pixels.
        batch: Samples of a step.
        rate: Highest learning rate.
    """

    model: Callable[[int], MaskModel]
    cell_px: int
    channels: int
    grids: tuple[tuple[int, int], ...]
    image_width: int
    batch: int
    rate: float

    def size_hw(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the input for that grid of cells."""
        return grid[0] * self.cell_px, grid[1] * self.cell_px


RECIPES: Mapping[str, Recipe] = {
    "light": Recipe(LightModel, 4, 4, ((24, 32), (20, 36), (16, 48), (28, 28)), 320, 16, 3e-3),
    "paper": Recipe(PaperModel, 16, 3, ((28, 28), (24, 32), (20, 36), (16, 48)), 480, 4, 6e-4),
}


def _attribute(name: str) -> str:
    return name.replace(".", "_")


def _as_map(tokens: torch.Tensor, rows: int) -> torch.Tensor:
    """[batch, tokens, width] as [batch, width, rows, cols]."""
    return tokens.transpose(1, 2).unflatten(2, (rows, -1))


def _initial_value(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """He's initialization in front of a rectifier, LeCun's elsewhere; ones, zeros or small numbers for the rest."""
    kind = name.rpartition(".")[2]
    if kind == "scale":
        return torch.ones(shape)
    if kind in ("shift", "bias"):
        return torch.zeros(shape)
    if name in ("place.weight", "class.token"):
        return 0.02 * torch.randn(shape, generator=generator)
    gain = 2.0 if name.startswith(("stem", "mix", "up")) else 1.0
    return torch.randn(shape, generator=generator) * math.sqrt(gain / shape[0])
