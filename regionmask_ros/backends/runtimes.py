"""The dense runtimes: which are installed, how they are loaded, and one run of a model on whichever is there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import BackendError

OPENVINO, ONNX_RUNTIME = "openvino", "onnxruntime"
RUNTIMES = (OPENVINO, ONNX_RUNTIME)
"""Names of the packages, the preferred one first."""
MAKE_RUNTIMES = "run 'make runtimes'"
_ERRORS_ONLY = 3


def load_runtime(name: str) -> Any:
    """Imports a runtime and turns its telemetry off.

    Args:
        name: One of ``RUNTIMES``.

    Returns:
        Its module.

    Raises:
        BackendError: It is not installed, or cannot be imported.
    """
    if name == OPENVINO:
        _silence_openvino()
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == name:
            raise BackendError(f"{name} is not installed; {MAKE_RUNTIMES}") from error
        raise BackendError(f"{name} lacks the package {error.name}; {MAKE_RUNTIMES}") from error
    except ImportError as error:
        raise BackendError(f"{name} cannot be imported: {one_line(error)}; {MAKE_RUNTIMES}") from error
    if name == ONNX_RUNTIME:
        module.disable_telemetry_events()
        module.set_default_logger_severity(_ERRORS_ONLY)
    return module


def find_runtime(preferred: Sequence[str] = RUNTIMES) -> str:
    """The name of an installed runtime.

    Args:
        preferred: Names of runtimes, the preferred one first.

    Returns:
        The first one that is installed.

    Raises:
        BackendError: None is installed.
    """
    for name in preferred:
        try:
            load_runtime(name)
        except BackendError:
            continue
        return name
    raise BackendError(f"neither {' nor '.join(RUNTIMES)} is installed; {MAKE_RUNTIMES}")


def run_once(model: bytes, input_name: str, image: np.ndarray) -> dict[str, np.ndarray]:
    """Runs a model on the processor, with one thread, on whichever runtime is installed.

    ONNX Runtime is preferred: to run once, it is ready sooner.

    Args:
        model: An ONNX model without external data. Its input is float, or half precision.
        input_name: Name of the input.
        image: float [1, channels, height, width].

    Returns:
        All outputs by name; those in half precision as float32, all others as they are.

    Raises:
        BackendError: No runtime is installed, or the runtime refuses the model or the image.
    """
    runtime = find_runtime((ONNX_RUNTIME, OPENVINO))
    try:
        found = (_run_openvino if runtime == OPENVINO else _run_onnxruntime)(model, input_name, image)
    except BackendError:
        raise
    except Exception as error:  # A runtime raises whatever it likes.
        raise BackendError(f"{runtime} cannot run the network: {one_line(error)}") from error
    return {name: value.astype(np.float32) if value.dtype == np.float16 else value for name, value in found.items()}


def one_line(error: BaseException, longest: int = 300) -> str:
    """The message of an error that a runtime raised, on one line and cut to a length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= longest else f"{text[:longest]}..."


def _run_openvino(model: bytes, input_name: str, image: np.ndarray) -> dict[str, np.ndarray]:
    openvino = load_runtime(OPENVINO)
    core = openvino.Core()
    graph = core.read_model(model, b"")
    graph.reshape({input_name: list(image.shape)})
    # A port can have further names, of nodes that do nothing: those of the file are asked for.
    names = [output.name for output in importlib.import_module("onnx").load_from_string(model).graph.output]
    compiled = core.compile_model(graph, "CPU", {
        "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False, "INFERENCE_PRECISION_HINT": "f32"})
    dtype = compiled.input(input_name).get_element_type().to_dtype()
    results = compiled.create_infer_request().infer({input_name: image.astype(dtype)})
    return {name: np.array(results[name]) for name in names}


def _run_onnxruntime(model: bytes, input_name: str, image: np.ndarray) -> dict[str, np.ndarray]:
    onnxruntime = load_runtime(ONNX_RUNTIME)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    kinds = {node.name: node.type for node in session.get_inputs()}
    dtype = np.float16 if kinds.get(input_name) == "tensor(float16)" else np.float32
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, {input_name: image.astype(dtype)})))


def _silence_openvino() -> None:
    """OpenVINO's converter reports its use through a package that it loads only if it is there: here it is not."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
