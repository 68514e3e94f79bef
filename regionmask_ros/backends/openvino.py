"""The backend that runs dense networks on OpenVINO: processors, and Intel's graphics and neural processors."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..errors import UserError
from ..files.model_cache import find_model_cache
from ..network.dense import DenseNetwork
from ..tiles.onnx_model import find_model
from .dense import CPU, DenseBackend, DenseOptions, Runner, Shape, SharedModels, check_device
from .runtimes import OPENVINO, load_runtime

AUTO = "AUTO"
DEVICES = (CPU, "GPU", "NPU", AUTO)
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_NAMES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "float": "fp32", "bfloat16": "bf16", "half": "fp16"}
_NUMBER_TYPES = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}


class OpenVinoBackend(DenseBackend):
    """OpenVINO. Conversion, order and normalization of the picture are part of the compiled model."""

    runtime = OPENVINO

    @staticmethod
    def check(options: DenseOptions) -> None:
        """Raises UserError if OpenVINO is missing, or if the device or the precision is not to be had."""
        core = _core()
        found = [*dict.fromkeys(name.partition(".")[0] for name in core.available_devices), AUTO]
        check_device(OPENVINO, options, DEVICES, found, "its driver may be missing, see docs/INSTALL.md")
        if options.precision != "auto" and options.device != AUTO:
            able = core.get_property(options.device, "OPTIMIZATION_CAPABILITIES")
            if _NUMBER_TYPES[options.precision] not in able:
                has = [name for name, kind in _NUMBER_TYPES.items() if kind in able]
                raise UserError(f"precision {options.precision}: {options.device} has {', '.join(has)}")
        find_model_cache(options.cache)

    def _open(self, input_wh: Shape) -> Runner:
        network, options = self._network, self._options

        def make() -> _SharedModel:
            return _SharedModel(lambda streams: _compile(network, input_wh, options, streams), options)

        runner = _Camera(_SHARED.find(network, (options, input_wh), make))
        self.kernels = runner.describe(network)
        return runner


class _SharedModel:
    """A compiled model that grows with the number of its cameras, so that they share weights and do not wait.

    A stream computes one picture at a time and has memory for it. A model cannot get further ones, so it is compiled
    again for more cameras; each goes over to the new model before its next picture.
    """

    def __init__(self, compile_for: Callable[[int], Any], options: DenseOptions) -> None:
        self._compile_for, self._options = compile_for, options
        self._lock = threading.Lock()
        self._cameras: weakref.WeakSet[_Camera] = weakref.WeakSet()
        self._streams = 0
        self.compiled: Any = None

    def join(self, camera: _Camera) -> None:
        """Counts a camera, and compiles the model if it has too few streams."""
        with self._lock:
            self._cameras.add(camera)
            streams = _count_streams(len(self._cameras), self._options)
            if streams > self._streams:
                self.compiled, self._streams = self._compile_for(streams), streams


class _Camera:
    """One camera's request to a shared model."""

    def __init__(self, shared: _SharedModel) -> None:
        shared.join(self)
        self._shared, self._compiled, self._request = shared, None, None

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Computes a picture, see ``Runner``."""
        if self._compiled is not self._shared.compiled:
            self._compiled = self._shared.compiled
            self._request = self._compiled.create_infer_request()  # type: ignore[attr-defined]
        request: Any = self._request
        request.infer([image[None]], share_inputs=True, share_outputs=True)
        # The request's own memory is used again for the next picture.
        return tuple(np.array(request.get_output_tensor(index).data) for index in range(len(request.output_tensors)))

    def describe(self, network: DenseNetwork) -> str:
        """Runtime, device and precision."""
        compiled = self._shared.compiled
        devices = ", ".join(compiled.get_property("EXECUTION_DEVICES")) or "unknown device"
        precision = network.precision if network.precision == "int8" else _read_precision(compiled)
        return f"openvino {version(load_runtime(OPENVINO))}, {devices}, {precision}"


_SHARED: SharedModels[_SharedModel] = SharedModels()


def version(openvino: Any) -> str:
    """The release of OpenVINO, such as 2026.4.1."""
    return str(openvino.__version__).partition("-")[0]


def list_devices() -> list[tuple[str, str]]:
    """Finds the devices of this machine.

    Returns:
        Their names, and what they are.

    Raises:
        BackendError: OpenVINO is not installed.
    """
    core = _core()
    return [(name, str(core.get_property(name, "FULL_DEVICE_NAME"))) for name in core.available_devices]


@cache
def _core() -> Any:
    return load_runtime(OPENVINO).Core()


def _count_streams(cameras: int, options: DenseOptions) -> int:
    """A power of two, as many as cores at most. Devices other than the processor have streams of their own."""
    if options.device != CPU:
        return 1
    most = max(1, len(os.sched_getaffinity(0)) // options.threads)
    return min(1 << (cameras - 1).bit_length(), most)


def _compile(network: DenseNetwork, input_wh: Shape, options: DenseOptions, streams: int) -> Any:
    core, folder = _core(), find_model_cache(options.cache)
    model = make_picture_model(network, input_wh)
    settings = _make_settings(options, streams)
    if folder:
        try:
            return core.compile_model(model, options.device, {**settings, "CACHE_DIR": str(folder)})
        except RuntimeError:
            # A damaged or a full cache: if the model itself is at fault, the next line says so.
            pass
    return core.compile_model(model, options.device, settings)


def _make_settings(options: DenseOptions, streams: int) -> dict[str, Any]:
    hint = _HINTS.get(options.precision)
    of_processor: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": options.threads * streams, "NUM_STREAMS": streams,
        # Pinning would also bind the threads of the rest of the process.
        "ENABLE_CPU_PINNING": False,
        # Its own choice is bf16 where the processor has it: other detections on other processors.
        "INFERENCE_PRECISION_HINT": hint or _HINTS["fp32"],
    }
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if options.device == CPU:
        return {**settings, **of_processor}
    if hint:
        settings["INFERENCE_PRECISION_HINT"] = hint
    return {**settings, "DEVICE_PROPERTIES": {CPU: of_processor}} if options.device == AUTO else settings


def make_picture_model(network: DenseNetwork, input_wh: Shape) -> Any:
    """Makes the graph from a picture to the head's outputs.

    Args:
        network: The network.
        input_wh: Width and height of its input.

    Returns:
        OpenVINO's model from uint8 [1, height, width, 3], RGB, to float32 outputs, for the runtime to compile.
    """
    openvino = load_runtime(OPENVINO)
    preprocess, types, layout = openvino.preprocess, openvino.Type, openvino.Layout
    width, height = input_wh
    whole = _core().read_model(find_model(network), b"")
    whole.reshape({network.input_name: [1, 3, height, width]})
    # Without the outputs that nobody decodes.
    model = openvino.Model([whole.output(name) for name in network.head.outputs], whole.get_parameters(), network.name)
    prepare = preprocess.PrePostProcessor(model)
    entry = prepare.input(network.input_name)
    entry.tensor().set_element_type(types.u8).set_layout(layout("NHWC"))
    entry.model().set_layout(layout("NCHW"))
    steps = entry.preprocess().convert_element_type(types.f32)
    wanted = network.preprocessing
    if wanted.order == "bgr":
        steps.reverse_channels()
    if any(wanted.mean):
        steps.mean(list(wanted.mean))
    if any(value != 1.0 for value in wanted.deviation):
        steps.scale(list(wanted.deviation))
    for index in range(len(network.head.outputs)):
        prepare.output(index).tensor().set_element_type(types.f32)
    return prepare.build()


def _read_precision(compiled: Any) -> str:
    try:
        kind = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    except RuntimeError:
        return "its own precision"
    return _NAMES.get(kind, str(kind))
