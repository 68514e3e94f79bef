"""The mask networks in torch, to be trained. Their weights have the names and layouts that inference reads."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ...mask.mgnet import light as light
from ...mask.mgnet import paper as paper
from ...mask.mgnet.kernels import NORM_EPSILON


class MaskModel(nn.Module):
    """Parameters named as ``shapes`` names them, and what both networks compute with them."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], seed: int) -> None:
        super().__init__()
        self.shapes = shapes
        generator = torch.Generator().manual_seed(seed)
        self.values = nn.ParameterDict({
            _attribute(name): nn.Parameter(_start(name, shape, generator)) for name, shape in shapes.items()})

    def of(self, name: str) -> torch.Tensor:
        return self.values[_attribute(name)]

    def weights(self) -> dict[str, np.ndarray]:
        """float32 arrays by name."""
        return {name: self.of(name).detach().cpu().numpy().astype(np.float32) for name in self.shapes}

    def set_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        with torch.no_grad():
            for name in self.shapes:
                self.of(name).copy_(torch.from_numpy(np.array(weights[name], np.float32)))

    def linear(self, name: str, value: torch.Tensor) -> torch.Tensor:
        return value @ self.of(f"{name}.weight") + self.of(f"{name}.bias")

    def norm(self, name: str, value: torch.Tensor) -> torch.Tensor:
        width = (value.shape[-1],)
        return functional.layer_norm(value, width, self.of(f"{name}.scale"), self.of(f"{name}.shift"),
                                     float(NORM_EPSILON))

    def convolution(self, name: str, value: torch.Tensor, stride: int) -> torch.Tensor:
        """value: [batch, channels, h, w]."""
        weight = self.of(f"{name}.weight")
        kernel = weight.reshape(3, 3, value.shape[1], -1).permute(3, 2, 0, 1)
        return functional.relu(functional.conv2d(value, kernel, self.of(f"{name}.bias"), stride, 1))

    def attention(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int) -> torch.Tensor:
        """[batch, tokens, width] each."""
        parts = [x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (query, key, value)]
        return functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

    def feed_forward(self, value: torch.Tensor) -> torch.Tensor:
        return self.linear("down", functional.relu(self.linear("up", value)))


class LightModel(MaskModel):
    """See ``mask.mgnet_light``."""

    def __init__(self, seed: int) -> None:
        super().__init__(light.SHAPES, seed)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """values: [batch, 4, 8 * rows, 8 * cols]. Returns logits [batch, 2 * rows, 2 * cols]."""
        first = self.convolution("stem1", values, 2)
        second = self.convolution("stem2", first, 2)
        third = self.convolution("stem3", second, 2)
        rows, cols = third.shape[2:]
        place = torch.from_numpy(light.token_positions(rows, cols)) @ self.of("place.weight")
        stream = third.flatten(2).transpose(1, 2) + place
        normal = self.norm("norm1", stream)
        pool = functional.avg_pool2d(_as_map(normal, rows), 2).flatten(2).transpose(1, 2)
        attended = self.attention(self.linear("query", normal), self.linear("key", pool), self.linear("value", pool),
                                  light.HEADS)
        stream = stream + self.linear("join", attended)
        stream = stream + self.feed_forward(self.norm("norm2", stream))
        mixed = _as_map(stream, rows)
        mixed = mixed + self.convolution("mix", mixed, 1)
        coarse = self.linear("score", mixed.permute(0, 2, 3, 1))
        fine = self.linear("fine", second.permute(0, 2, 3, 1))[..., 0]
        return fine + coarse.unflatten(3, (2, 2)).permute(0, 1, 3, 2, 4).reshape(fine.shape)


class PaperModel(MaskModel):
    """See ``mask.mgnet_paper``."""

    def __init__(self, seed: int) -> None:
        super().__init__(paper.SHAPES, seed)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """values: [batch, 3, 16 * rows, 16 * cols]. Returns logits [batch, rows, cols]."""
        kernel = self.of("patch.weight").reshape(paper.PATCH_PX, paper.PATCH_PX, 3, -1).permute(3, 2, 0, 1)
        patches = functional.conv2d(values, kernel, self.of("patch.bias"), paper.PATCH_PX)
        rows, cols = patches.shape[2:]
        place = self.of("place.weight").reshape(1, paper.PLACE_SIDE, paper.PLACE_SIDE, -1).permute(0, 3, 1, 2)
        patches = patches + functional.interpolate(place, (rows, cols), mode="bilinear")
        tokens = patches.flatten(2).transpose(1, 2)
        stream = torch.cat([self.of("class.token").expand(len(tokens), 1, -1), tokens], dim=1)
        normal = self.norm("norm1", stream)
        attended = self.attention(*(self.linear(name, normal) for name in ("query", "key", "value")), paper.HEADS)
        stream = stream + self.linear("join", attended)
        stream = stream + self.feed_forward(self.norm("norm2", stream))
        normal = self.norm("norm3", stream)
        query = self.linear("class_query", normal[:, :1]).unflatten(2, (paper.HEADS, -1))
        key = self.linear("class_key", normal[:, 1:]).unflatten(2, (paper.HEADS, -1))
        scores = (query * key).sum(dim=3) / math.sqrt(paper.WIDTH // paper.HEADS)
        return self.linear("score", scores)[..., 0].unflatten(1, (rows, cols))


MODELS = {"light": LightModel, "paper": PaperModel}


def _attribute(name: str) -> str:
    return name.replace(".", "_")


def _as_map(tokens: torch.Tensor, rows: int) -> torch.Tensor:
    """[batch, tokens, width] as [batch, width, rows, cols]."""
    return tokens.transpose(1, 2).unflatten(2, (rows, -1))


def _start(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    kind = name.rpartition(".")[2]
    if kind == "scale":
        return torch.ones(shape)
    if kind in ("shift", "bias"):
        return torch.zeros(shape)
    if name in ("place.weight", "class.token"):
        return 0.02 * torch.randn(shape, generator=generator)
    gain = 2.0 if name.startswith(("stem", "mix", "up")) else 1.0
    return torch.randn(shape, generator=generator) * math.sqrt(gain / shape[0])
