"""Compares lowered networks with ONNX Runtime. Needs the packages onnx and onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from regionmask_ros.backends.runtimes import run_once
from regionmask_ros.importing.lowering.lowering import Lowered, lower_network
from regionmask_ros.importing.picture import draw_scene, to_input
from regionmask_ros.network.dense import DenseNetwork
from regionmask_ros.tiles.evaluation import evaluate_graph


def run_lowered(lowered: Lowered, image: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs for a uint8 RGB image."""
    wh = image.shape[1], image.shape[0]
    heads = evaluate_graph(lowered.graph, lowered.pixels.dequantize(image), kept=())
    return lowered.tail.prepare(lowered.graph.shapes(wh), wh).compute(heads)


def in_single_precision(model: bytes) -> bytes:
    """The model with the same weights, computed in float32."""
    loaded = onnx.load_from_string(model)
    for tensor in loaded.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for node in loaded.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    return loaded.SerializeToString()


def run_dense(network: DenseNetwork, image: np.ndarray) -> Mapping[str, np.ndarray]:
    """The outputs that ONNX Runtime gives for a uint8 RGB image."""
    model = in_single_precision(network.model)
    return run_once(model, network.input_name, to_input(image, network.preprocessing))


def assert_lowered_equals_dense(network: DenseNetwork, *sizes: tuple[int, int], tolerance: float = 1e-4) -> Lowered:
    """Both agree on a drawn scene but for rounding; tolerance is relative to the largest number of an output."""
    lowered = lower_network(network)
    for wh in sizes:
        image = draw_scene(wh)
        ours, theirs = run_lowered(lowered, image), run_dense(network, image)
        assert list(ours) == list(network.head.outputs)
        for name in network.head.outputs:
            assert ours[name].shape == theirs[name].shape and ours[name].dtype == np.float32, (name, wh)
            difference = np.abs(ours[name] - theirs[name]).max() / np.abs(theirs[name]).max()
            assert difference < tolerance, (name, wh, difference)
    return lowered
