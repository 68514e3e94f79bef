"""OpenVINO on the processor."""

from __future__ import annotations

import numpy as np
import openvino

from .dense_peer import DenseBaseline


class OpenVinoBaseline(DenseBaseline):
    """Compiles an ONNX model, one with quantise nodes to integer kernels, AMX included where the processor has it."""

    def __init__(self, engine: str, model: bytes, threads: int, calibration: str = "") -> None:
        version = openvino.__version__.partition("-")[0]
        super().__init__(engine, f"openvino {version}", threads, calibration)
        core = openvino.Core()
        # Pinning would tie down the thread that the other contestants run in, too.
        compiled = core.compile_model(core.read_model(model, b""), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        })
        self._request, self._output = compiled.create_infer_request(), compiled.output(0)

    def step(self, image: np.ndarray) -> np.ndarray:
        """A view of the runtime's own memory, valid until the next step."""
        self._request.infer([image], share_inputs=True, share_outputs=True)
        return self._request.results[self._output]
