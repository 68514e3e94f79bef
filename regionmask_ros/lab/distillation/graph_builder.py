"""Builds ONNX graphs of students."""

from __future__ import annotations

import numpy as np

from ...core.arithmetic import UNIT
from ...network.chain import Network
from ...network.onnx.building import GraphBuilder


class StudentBuilder(GraphBuilder):
    """A graph of convolutions whose weights are given, or drawn.

    Args:
        seed: Of random weights.

    Attributes:
        rng: Draws them.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def conv(self, source: str, name: str, shape: tuple[int, int, int], stride: int = 1,
             given: tuple[np.ndarray, np.ndarray] | None = None, rectified: bool = True) -> str:
        """A convolution of (inputs, outputs, kernel)."""
        inputs, outputs, kernel = shape
        if given is None:
            spread = np.sqrt(2.0 / (inputs * kernel * kernel))
            given = (self.rng.normal(0.0, spread, (outputs, inputs, kernel, kernel)), np.zeros(outputs))
        names = [source, *(self.constant(f"{name}.{part}", value.astype(np.float32))
                           for part, value in zip(("weight", "bias"), given))]
        pad = kernel // 2
        made = self.add("Conv", names, f"{name}.sum" if rectified else name, kernel_shape=[kernel, kernel],
                        strides=[stride, stride], pads=[pad, pad, pad, pad])
        return self.add("Relu", [made], name) if rectified else made


def take_layer(base: Network | None, number: int, shape: tuple[int, int, int], stride: int
               ) -> tuple[np.ndarray, np.ndarray] | None:
    """Takes a layer of YOLO-KP.

    Args:
        base: YOLO-KP; None: there is none.
        number: Of the layer, from 0.
        shape: Its inputs, outputs and kernel.
        stride: Its stride.

    Returns:
        Weight and bias, real; None without ``base``.

    Raises:
        ValueError: The layer has another shape.
    """
    if base is None:
        return None
    layer, (inputs, outputs, kernel) = base.layers[number], shape
    if layer.weight.shape != (outputs, inputs, kernel, kernel) or layer.stride != stride or layer.bias is None:
        raise ValueError(f"layer {number} of {base.name} has another shape")
    return layer.real_weight, layer.bias / UNIT
