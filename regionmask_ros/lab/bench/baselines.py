"""Dense runtimes as baselines of the benchmark: ONNX Runtime, OpenVINO and PyTorch on the processor.

A runtime is loaded when it is opened. One that is not installed is left out with one line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from ...core.arithmetic import UNIT
from ...core.detections import Detections
from ...network.chain import Network
from ...network.formats.lava_dl import INPUT_MEAN, INPUT_STD, find_real_weights
from .candidates import DENSE, ExactCandidate, decode_real
from .clip import Clip, calibration_clip, spread_images

ORT_FP32, ORT_INT8, OPENVINO_INT8, TORCH_FP32 = "onnxruntime_fp32", "onnxruntime_int8", "openvino_int8", "torch_fp32"
BASELINES = (ORT_FP32, ORT_INT8, OPENVINO_INT8, TORCH_FP32)
CALIBRATION_FRAMES = 64
_RUNTIMES_SETUP = "run 'make runtimes'"
_TORCH_SETUP = "it is large and not part of the set-up: .venv/bin/python -m pip install torch"
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_ORT_ERRORS_ONLY = 3


class DenseBaseline:
    """What candidates have in common that compute everything in every frame and have no state.

    A subclass defines `step`: from uint8 [height, width, 3], RGB, to float32 [1, channels, rows, cols].

    Args:
        network: The network.
        engine: Its name in the rows of the result.
        path: Library and version.
        threads: Number of threads that it computes with.
        calibration: Sequence that its integers were calibrated on.
    """

    setting = DENSE
    counting = True
    mac_share: float | None = 1.0

    def __init__(self, network: Network, engine: str, path: str, threads: int, calibration: str = "") -> None:
        self.network, self._network, self.backend = network.name, network, engine.partition("_")[0]
        self.engine, self.path, self.threads, self.calibration = engine, path, threads, calibration

    def follow(self, raw: np.ndarray) -> None:
        """Does nothing: no frame depends on another."""

    def reset(self, refresh_period: int = 0) -> None:
        """Does nothing: there is no state."""

    def counts(self) -> None:
        """Returns None: a dense network always does all of its operations."""

    def real_head(self, raw: np.ndarray) -> np.ndarray:
        """Returns what `step` returned, as float64 [rows, cols, channels]."""
        return raw[0].transpose(1, 2, 0).astype(np.float64)

    def detect(self, raw: np.ndarray, image_wh: tuple[int, int], lowest: float) -> Detections:
        """Decodes the head; see `Candidate`."""
        return decode_real(self.real_head(raw), self._network, image_wh, lowest)


class OnnxRuntimeBaseline(DenseBaseline):
    """ONNX Runtime. Idle workers sleep: otherwise they would count as computing."""

    def __init__(self, network: Network, engine: str, model: bytes, threads: int, calibration: str = "") -> None:
        import onnxruntime

        from .onnx_export import INPUT, OUTPUT

        super().__init__(network, engine, f"onnxruntime {onnxruntime.__version__}", threads, calibration)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = _ORT_ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input, self._outputs = INPUT, [OUTPUT]

    def step(self, image: np.ndarray) -> np.ndarray:
        """Computes one frame; see `DenseBaseline`."""
        return self._session.run(self._outputs, {self._input: image})[0]


class OpenVinoBaseline(DenseBaseline):
    """OpenVINO. It compiles quantized models to integer kernels, AMX included if the processor has it."""

    def __init__(self, network: Network, engine: str, model: bytes, threads: int, calibration: str = "") -> None:
        import openvino

        super().__init__(
            network, engine, f"openvino {openvino.__version__.partition('-')[0]}", threads, calibration)
        core = openvino.Core()
        # Pinning would also bind the thread in which the other candidates run.
        compiled = core.compile_model(core.read_model(model, b""), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        })
        self._request, self._output = compiled.create_infer_request(), compiled.output(0)

    def step(self, image: np.ndarray) -> np.ndarray:
        """Computes one frame; see `DenseBaseline`. The result is memory of the runtime, valid until the next step."""
        self._request.infer([image], share_inputs=True, share_outputs=True)
        return self._request.results[self._output]


class TorchBaseline(DenseBaseline):
    """PyTorch, eager and in fp32; normalization is part of the timed step."""

    def __init__(self, network: Network, engine: str, threads: int) -> None:
        import torch

        super().__init__(network, engine, f"torch {torch.__version__}", threads)
        torch.set_num_threads(threads)
        self._torch = torch
        self._layers = [
            (
                torch.from_numpy(weight.astype(np.float32)).contiguous(memory_format=torch.channels_last),
                None if layer.bias is None else torch.from_numpy((layer.bias / UNIT).astype(np.float32)),
                layer.stride,
                layer.padding,
            )
            for layer, weight in zip(network.layers, find_real_weights(network))]
        mean, std = np.array(INPUT_MEAN, np.float64), np.array(INPUT_STD, np.float64)
        self._scale = torch.from_numpy((1 / (255 * std)).astype(np.float32))
        self._offset = torch.from_numpy((-mean / std).astype(np.float32))

    def step(self, image: np.ndarray) -> np.ndarray:
        """Computes one frame; see `DenseBaseline`."""
        torch = self._torch
        with torch.inference_mode():
            value = torch.from_numpy(image).float().mul_(self._scale).add_(self._offset)
            # The order of an image is PyTorch's "channels last": nothing is moved.
            value = value.permute(2, 0, 1).unsqueeze(0)
            for weight, bias, stride, padding in self._layers:
                value = torch.nn.functional.conv2d(value, weight, bias, stride, padding)
                if bias is not None:
                    value = value.relu_()
            return value.numpy()


class BaselineModels:
    """The models of the baselines of one clip, each made when it is first needed.

    Args:
        network: The network.
        clip: The clip, for its size, and so that integers are calibrated on another one.
        threads: Number of threads for each baseline.
        calibration_frames: Frames to calibrate integers on; how fast they are does not depend on it.
    """

    def __init__(self, network: Network, clip: Clip, threads: int,
                 calibration_frames: int = CALIBRATION_FRAMES) -> None:
        self._network, self._clip, self._threads = network, clip, threads
        self._calibration_frames = calibration_frames
        self._calibration = calibration_clip(*clip.inputs)
        self._int8: bytes | None = None

    def open(self, engine: str) -> ExactCandidate | str:
        """Opens a baseline.

        Args:
            engine: One of ``BASELINES``.

        Returns:
            The candidate, or one line that says why it cannot run here.
        """
        if engine in (ORT_INT8, OPENVINO_INT8) and not self._calibration:
            return f"{engine} is left out: there is no other video to calibrate it on; run 'make setup'"
        try:
            if engine == ORT_FP32:
                return OnnxRuntimeBaseline(self._network, engine, self._export().SerializeToString(), self._threads)
            if engine == TORCH_FP32:
                return TorchBaseline(self._network, engine, self._threads)
            adapter = OnnxRuntimeBaseline if engine == ORT_INT8 else OpenVinoBaseline
            return adapter(self._network, engine, self._quantize(), self._threads, self._calibration)
        except ImportError as error:
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            reason = f"no {missing.partition('.')[0]} here" if missing else " ".join(str(error).split())
            return f"{engine} is left out: {reason}; {_TORCH_SETUP if engine == TORCH_FP32 else _RUNTIMES_SETUP}"

    def _export(self):
        from .onnx_export import export_onnx

        return export_onnx(self._network, self._clip.input_wh)

    def _quantize(self) -> bytes:
        if self._int8 is None:
            from .onnx_export import quantize

            images = spread_images(self._calibration, self._clip.input_wh, self._calibration_frames)
            self._int8 = quantize(self._export(), images)
        return self._int8


def limit_threads(threads: int) -> None:
    """Limits the threads of libraries that are not loaded yet; loaded ones are limited by their baseline.

    Args:
        threads: Number of threads.
    """
    for name in _THREAD_SETTINGS:
        os.environ[name] = str(threads)


def open_baselines(engines: Sequence[str], models: BaselineModels, report: Callable[[str], None]
                   ) -> list[ExactCandidate]:
    """Opens those engines that are baselines and can run here.

    Args:
        engines: Names; others than ``BASELINES`` are ignored.
        models: The models of the clip.
        report: Called with a line for each baseline that cannot run here.

    Returns:
        The candidates, in the order of their names.
    """
    opened = [models.open(engine) for engine in engines if engine in BASELINES]
    for line in opened:
        if isinstance(line, str):
            report(line)
    return [baseline for baseline in opened if not isinstance(baseline, str)]
