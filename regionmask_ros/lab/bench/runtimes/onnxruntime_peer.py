"""ONNX Runtime on the processor."""

from __future__ import annotations

import numpy as np
import onnxruntime

from ..onnx_export import INPUT, OUTPUT
from .dense_peer import DenseBaseline

ERRORS_ONLY = 3


class OnnxRuntimeBaseline(DenseBaseline):
    """Runs an ONNX model with the processor's kernels; idle workers sleep, or they would count as computing."""

    def __init__(self, engine: str, model: bytes, threads: int, calibration: str = "") -> None:
        super().__init__(engine, f"onnxruntime {onnxruntime.__version__}", threads, calibration)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def step(self, image: np.ndarray) -> np.ndarray:
        return self._session.run([OUTPUT], {INPUT: image})[0]
