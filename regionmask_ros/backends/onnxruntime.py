"""The backend that runs dense networks on ONNX Runtime: processors, and Nvidia's graphics processors."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..errors import UserError
from ..files.model_cache import find_model_cache
from ..network.dense import DenseNetwork, Preprocessing
from ..tiles.onnx_model import find_model
from .base import BackendError
from .dense import CPU, DenseBackend, DenseOptions, Runner, Shape, SharedModels, check_device
from .runtimes import ONNX_RUNTIME, load_runtime

CUDA, TENSORRT = "CUDA", "TENSORRT"
PROVIDERS = {CPU: "CPUExecutionProvider", CUDA: "CUDAExecutionProvider", TENSORRT: "TensorrtExecutionProvider"}
DEVICES = tuple(PROVIDERS)
_PRECISIONS = {CPU: ("auto", "fp32"), CUDA: ("auto", "fp32"), TENSORRT: ("auto", "fp32", "bf16", "fp16")}
_FALLBACKS = {CPU: (), CUDA: (CPU,), TENSORRT: (CUDA, CPU)}
_ERRORS_ONLY = 3


class OnnxRuntimeBackend(DenseBackend):
    """ONNX Runtime. All cameras run one session, whatever the shape of their inputs."""

    runtime = ONNX_RUNTIME

    @staticmethod
    def check(options: DenseOptions) -> None:
        """Raises UserError if ONNX Runtime is missing, or if the device or the precision is not to be had."""
        check_device(ONNX_RUNTIME, options, DEVICES, list_devices(),
                     "install onnxruntime-gpu instead of onnxruntime for CUDA and TENSORRT")
        if options.precision not in _PRECISIONS[options.device]:
            raise UserError(f"precision {options.precision}: {ONNX_RUNTIME} on {options.device} has "
                            f"{', '.join(_PRECISIONS[options.device])}")
        find_model_cache(options.cache)

    def _open(self, input_wh: Shape) -> Runner:
        network, options = self._network, self._options
        shared = _SHARED.find(network, options, lambda: _Session(network, options))
        precision = network.precision if options.precision == "auto" else options.precision
        self.kernels = f"{ONNX_RUNTIME} {load_runtime(ONNX_RUNTIME).__version__}, {options.device}, {precision}"
        return _Camera(shared, network, input_wh)


class _Session:
    """A session with the network's weights. It can run in several threads at once."""

    def __init__(self, network: DenseNetwork, options: DenseOptions) -> None:
        onnxruntime = load_runtime(ONNX_RUNTIME)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = options.threads, 1
        settings.log_severity_level = _ERRORS_ONLY
        for kind in ("intra", "inter"):
            # Threads that wait sleep.
            settings.add_session_config_entry(f"session.{kind}_op.allow_spinning", "0")
        self.session: Any = onnxruntime.InferenceSession(
            find_model(network), settings, providers=make_providers(options, network.precision))
        if self.session.get_providers()[0] != PROVIDERS[options.device]:
            raise BackendError(f"{ONNX_RUNTIME} cannot start {options.device} here: a library of Nvidia is missing; "
                               "see docs/INSTALL.md")
        kinds = {node.name: node.type for node in self.session.get_inputs()}
        self.input_type = np.float16 if kinds[network.input_name] == "tensor(float16)" else np.float32


class _Camera:
    """One camera's memory for the network's input, of one shape."""

    def __init__(self, shared: _Session, network: DenseNetwork, input_wh: Shape) -> None:
        self._shared, self._names = shared, list(network.head.outputs)
        self._convert = PictureConverter(network.preprocessing, input_wh)
        self._input_name = network.input_name

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Computes a picture, see ``Runner``."""
        values = self._convert(image).astype(self._shared.input_type, copy=False)
        found = self._shared.session.run(self._names, {self._input_name: values})
        return tuple(value.astype(np.float32, copy=False) for value in found)


class PictureConverter:
    """From a picture to the values of a network's input, with a table of the 256 values of each channel.

    Args:
        wanted: What the input expects.
        input_wh: Width and height.
    """

    def __init__(self, wanted: Preprocessing, input_wh: Shape) -> None:
        width, height = input_wh
        values = np.arange(256, dtype=np.float64)
        self._tables = [((values - mean) / deviation).astype(np.float32)
                        for mean, deviation in zip(wanted.mean, wanted.deviation)]
        self._sources = (2, 1, 0) if wanted.order == "bgr" else (0, 1, 2)
        self._plane = np.empty((height, width), np.uint8)
        self._values = np.empty((1, 3, height, width), np.float32)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Converts.

        Args:
            image: uint8 [height, width, 3], RGB.

        Returns:
            float32 [1, 3, height, width]; it is the same memory in each call.
        """
        for channel, (source, table) in enumerate(zip(self._sources, self._tables)):
            cv2.extractChannel(image, source, self._plane)
            cv2.LUT(self._plane, table, self._values[0, channel])
        return self._values


_SHARED: SharedModels[_Session] = SharedModels()


def list_devices() -> list[str]:
    """Finds the devices that the installed ONNX Runtime is built for.

    Returns:
        Their names.

    Raises:
        BackendError: ONNX Runtime is not installed.
    """
    built = load_runtime(ONNX_RUNTIME).get_available_providers()
    return [device for device, provider in PROVIDERS.items() if provider in built]


def make_providers(options: DenseOptions, precision: str) -> list[tuple[str, dict[str, str]]]:
    """What ONNX Runtime is asked to compute with, the device first; it computes what the device cannot with the others.

    Args:
        options: Device, precision and cache.
        precision: Of the network's weights.

    Returns:
        Names and settings of execution providers.
    """
    settings: dict[str, str] = {}
    if options.device == TENSORRT:
        folder = find_model_cache(options.cache)
        if folder:
            settings |= {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(folder),
                         "trt_timing_cache_enable": "True", "trt_timing_cache_path": str(folder)}
        for name in {precision, options.precision} & {"fp16", "bf16", "int8"}:
            settings[f"trt_{name}_enable"] = "True"
    return [(PROVIDERS[options.device], settings),
            *((PROVIDERS[device], {}) for device in _FALLBACKS[options.device])]
