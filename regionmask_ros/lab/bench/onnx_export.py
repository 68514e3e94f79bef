"""The network as an ONNX model: in fp32 with the same weights, and with 8-bit convolutions calibrated on images."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from ...core.arithmetic import UNIT
from ...metrics.machine import adds_products_exactly
from ...network.chain import Network
from ...network.formats.lava_dl import INPUT_MEAN, INPUT_STD, find_real_weights

INPUT, OUTPUT = "image", "head"
OPSET, IR_VERSION = 17, 8
"""Old enough for every runtime that the set-up installs."""


def export_onnx(network: Network, input_wh: tuple[int, int]) -> onnx.ModelProto:
    """Exports a network in fp32.

    Normalization, ``(v / 255 - mean) / std``, is part of the model, so that a runtime can optimize it in its own way.

    Args:
        network: The network.
        input_wh: Width and height of its input.

    Returns:
        A model from uint8 [height, width, 3], RGB, to float32 [1, channels, rows, cols].

    Raises:
        ValueError: The network has another normalization.
    """
    weights = find_real_weights(network)
    width, height = input_wh
    constants, nodes = _normalisation(width, height)
    last = "normal"
    for layer, weight in zip(network.layers, weights):
        output = OUTPUT if layer.is_head else layer.name
        constants.append(numpy_helper.from_array(weight.astype(np.float32), f"{layer.name}.weight"))
        inputs = [last, f"{layer.name}.weight"]
        if layer.bias is not None:
            constants.append(numpy_helper.from_array((layer.bias / UNIT).astype(np.float32), f"{layer.name}.bias"))
            inputs.append(f"{layer.name}.bias")
        conv = output if layer.is_head else f"{layer.name}.conv"
        nodes.append(helper.make_node(
            "Conv", inputs, [conv], name=f"{layer.name}.conv", kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2, pads=[layer.padding] * 4, group=layer.groups))
        if not layer.is_head:
            nodes.append(helper.make_node("Relu", [conv], [output], name=f"{layer.name}.relu"))
        last = output
    rows, cols, channels = network.output_size(input_wh)[-1]
    graph = helper.make_graph(nodes, network.name,
                              [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [height, width, 3])],
                              [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, channels, rows, cols])],
                              constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _normalisation(width: int, height: int) -> tuple[list, list]:
    """Returns constants and nodes from the image to ``normal``, float32 [1, 3, height, width].

    Lines of all channels are scaled as a whole: runtimes are several times slower over an inner axis of length 3.
    """
    mean, std = np.array(INPUT_MEAN, np.float64), np.array(INPUT_STD, np.float64)
    constants = [
        numpy_helper.from_array(np.tile(1 / (255 * std), width).astype(np.float32), "scale"),
        numpy_helper.from_array(np.tile(-mean / std, width).astype(np.float32), "offset"),
        numpy_helper.from_array(np.array([height, width * 3], np.int64), "as_lines"),
        numpy_helper.from_array(np.array([1, height, width, 3], np.int64), "as_image"),
    ]
    nodes = [
        helper.make_node("Reshape", [INPUT, "as_lines"], ["lines"], name="lines"),
        helper.make_node("Cast", ["lines"], ["real"], name="real", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "scale"], ["scaled"], name="scaled"),
        helper.make_node("Add", ["scaled", "offset"], ["moved"], name="moved"),
        helper.make_node("Reshape", ["moved", "as_image"], ["image_order"], name="image_order"),
        helper.make_node("Transpose", ["image_order"], ["normal"], name="normal", perm=[0, 3, 1, 2]),
    ]
    return constants, nodes


def quantize(model: onnx.ModelProto, images: Sequence[np.ndarray]) -> bytes:
    """Puts quantize and dequantize nodes around the convolutions, which runtimes turn into integer kernels.

    Weights are int8 with a scale for each output channel, activations uint8 with the range over the images. The output
    of the head stays real: rounded to 8 bits it would cost 2 points of mAP, and no runtime is faster for it.

    Args:
        model: What `export_onnx` returned; it is not changed.
        images: uint8 [height, width, 3], RGB, to calibrate ranges on.

    Returns:
        The quantized model as the content of a file.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)  # The quantizer changes its argument.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        # The quantizer recommends to prepare the model, which changes nothing here: shapes are known, nothing fuses.
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                copy, target, _Images(images), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv", "Relu"],
                # Without them, runtimes add pairs of products in 16 bits, which overflow with 8-bit weights.
                reduce_range=not adds_products_exactly())
        finally:
            logging.disable(logging.NOTSET)
        return _with_real_output(onnx.load(target)).SerializeToString()


def _with_real_output(model: onnx.ModelProto) -> onnx.ModelProto:
    """Changes the model: its last convolution gives the output, without the pair of nodes that rounds it."""
    maker = {output: node for node in model.graph.node for output in node.output}
    dequantize = maker[OUTPUT]
    quantize_node = maker[dequantize.input[0]]
    convolution = maker[quantize_node.input[0]]
    model.graph.node.remove(dequantize)
    model.graph.node.remove(quantize_node)
    convolution.output[0] = OUTPUT
    onnx.checker.check_model(model)
    return model


class _Images(CalibrationDataReader):
    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image}
