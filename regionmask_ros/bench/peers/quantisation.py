"""The ONNX model with 8-bit convolutions, calibrated on real pictures."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Sequence

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from .onnx_export import INPUT

CALIBRATION_FRAMES = 64


def quantise(model: onnx.ModelProto, images: Sequence[np.ndarray]) -> bytes:
    """The model with quantise and dequantise nodes around its convolutions, which runtimes turn into integer kernels.

    Weights are int8 with a scale for each output channel, activations uint8 with the range seen over ``images``.
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
        return target.read_bytes()


class _Images(CalibrationDataReader):
    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image}
