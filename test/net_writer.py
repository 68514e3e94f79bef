"""Writes networks as lava-dl exports them: whole numbers as float32, types as bytes, one group a layer."""

from __future__ import annotations

import numpy as np

from regionmask_ros.network.chain import Network


def write_net(file, network: Network) -> None:
    """Fills an open, empty h5py.File."""
    layers = file.create_group("layer")
    first = layers.create_group("0")
    _type(first, "input")
    first["shape"] = np.array([network.in_channels, 448, 448])
    _neuron(first, network.encoder_threshold, head=False)
    for number, (layer, (rows, cols, channels)) in enumerate(
        zip(network.layers, network.output_size((448, 448))), start=1
    ):
        group = layers.create_group(str(number))
        _type(group, "conv")
        group["shape"] = np.array([channels, rows, cols])
        group["inChannels"], group["outChannels"], group["groups"] = layer.in_channels, channels, layer.groups
        for key, value in (("kernelSize", layer.kernel), ("stride", layer.stride), ("padding", layer.padding),
                           ("dilation", 1)):
            group[key] = np.array([value, value])
        weight = layer.weight.astype(np.float32)
        # lava-dl leaves the head's time axis on.
        group["weight"] = weight[..., None] if layer.is_head else weight
        if not layer.is_head:
            group["bias"] = layer.bias.astype(np.float32)
        _neuron(group, network.encoder_threshold if layer.is_head else layer.threshold, layer.is_head)


def _type(group, name: str) -> None:
    group.create_dataset("type", (1,), "S10", [name.encode()])


def _neuron(group, threshold: int, head: bool) -> None:
    neuron = group.create_group("neuron")
    neuron["type"], neuron["activation"], neuron["vThMant"] = "SDNN", "relu", threshold
    if head:
        neuron["sigma_output"] = True
