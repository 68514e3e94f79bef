"""The network as an ONNX model in fp32: same weights, normalisation included.

The ONNX model with 8-bit convolutions, calibrated on real pictures.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from ...network.formats.lava_dl import INPUT_MEAN, INPUT_STD, input_table
from ...network.graph import Network

INPUT, OUTPUT = "image", "head"
UNIT = np.float32(64)
OPSET, IR_VERSION = 17, 8
"""Old enough for every runtime that the set-up brings."""


def export_onnx(network: Network, input_wh: tuple[int, int]) -> onnx.ModelProto:
    """uint8 [height, width, 3] RGB in, float32 [1, channels, rows, cols] out.

    The model itself normalises, ``(v / 255 - mean) / std``, so that a runtime can make that quick in its own way.
    Raises ValueError for a network with another normalisation.
    """
    if not np.array_equal(network.input_table, input_table()):
        raise ValueError("the network's input table is not the usual normalisation")
    width, height = input_wh
    constants, nodes = _normalisation(width, height)
    last = "normal"
    for layer in network.layers:
        output = OUTPUT if layer.is_head else layer.name
        constants.append(numpy_helper.from_array(layer.weight.astype(np.float32) / UNIT, f"{layer.name}.weight"))
        inputs = [last, f"{layer.name}.weight"]
        if not layer.is_head:
            constants.append(numpy_helper.from_array(layer.bias.astype(np.float32) / UNIT, f"{layer.name}.bias"))
            inputs.append(f"{layer.name}.bias")
        conv = output if layer.is_head else f"{layer.name}.conv"
        nodes.append(helper.make_node(
            "Conv", inputs, [conv], name=f"{layer.name}.conv", kernel_shape=[layer.kernel] * 2,
            strides=[layer.stride] * 2, pads=[layer.padding] * 4,
        ))
        if not layer.is_head:
            nodes.append(helper.make_node("Relu", [conv], [output], name=f"{layer.name}.relu"))
        last = output
    rows, cols, channels = network.output_size(input_wh)[-1]
    graph = helper.make_graph(
        nodes, network.name,
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [height, width, 3])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, channels, rows, cols])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _normalisation(width: int, height: int) -> tuple[list, list]:
    """Constants and nodes from the picture to ``normal``, float32 [1, 3, height, width].

    Lines of all channels are scaled as a whole: runtimes are several times slower over an inner axis of length 3.
    """
    mean, std = np.array(INPUT_MEAN, np.float64), np.array(INPUT_STD, np.float64)
    constants = [
        numpy_helper.from_array(np.tile(1 / (255 * std), width).astype(np.float32), "scale"),
        numpy_helper.from_array(np.tile(-mean / std, width).astype(np.float32), "offset"),
        numpy_helper.from_array(np.array([height, width * 3], np.int64), "as_lines"),
        numpy_helper.from_array(np.array([1, height, width, 3], np.int64), "as_picture"),
    ]
    nodes = [
        helper.make_node("Reshape", [INPUT, "as_lines"], ["lines"], name="lines"),
        helper.make_node("Cast", ["lines"], ["real"], name="real", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "scale"], ["scaled"], name="scaled"),
        helper.make_node("Add", ["scaled", "offset"], ["moved"], name="moved"),
        helper.make_node("Reshape", ["moved", "as_picture"], ["picture"], name="picture"),
        helper.make_node("Transpose", ["picture"], ["normal"], name="normal", perm=[0, 3, 1, 2]),
    ]
    return constants, nodes


def quantise(model: onnx.ModelProto, images: Sequence[np.ndarray]) -> bytes:
    """The model with quantise and dequantise nodes around its convolutions, which runtimes turn into integer kernels.

    Weights are int8 with a scale for each output channel, activations uint8 with the range seen over ``images``. The
    head's output stays real: rounded to 8 bits it would cost 2 points of mAP, and no runtime is faster for it.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)  # The quantiser changes what it is given.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        # The quantiser recommends a preparation that would change nothing here: shapes are known, nothing can be fused.
        logging.disable(logging.WARNING)
        try:
            quantize_static(
                copy, target, _Images(images), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, op_types_to_quantize=["Conv", "Relu"],
            )
        finally:
            logging.disable(logging.NOTSET)
        return _with_real_output(onnx.load(target)).SerializeToString()


def _with_real_output(model: onnx.ModelProto) -> onnx.ModelProto:
    """Changes the model: the last convolution gives the output itself, without the pair of nodes that rounds it."""
    maker = {output: node for node in model.graph.node for output in node.output}
    dequantise = maker[OUTPUT]
    quantise_node = maker[dequantise.input[0]]
    convolution = maker[quantise_node.input[0]]
    model.graph.node.remove(dequantise)
    model.graph.node.remove(quantise_node)
    convolution.output[0] = OUTPUT
    onnx.checker.check_model(model)
    return model


class _Images(CalibrationDataReader):
    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image}
