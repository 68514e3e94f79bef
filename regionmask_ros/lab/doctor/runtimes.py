"""Checks of the dense runtimes: versions, devices, telemetry."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from ...backends import onnxruntime, openvino
from ...backends.runtimes import MAKE_RUNTIMES, ONNX_RUNTIME, OPENVINO, load_runtime, one_line
from ...errors import UserError
from .installation import ABSENT, BROKEN, OK, Finding

_USE = "only networks in ONNX files need it"
_SUBJECTS = {OPENVINO: "OpenVINO", ONNX_RUNTIME: "ONNX Runtime"}
_PURPOSES = {OPENVINO: _USE, ONNX_RUNTIME: f"{_USE}, and OpenVINO is enough"}


def check_runtimes() -> Iterator[Finding]:
    """Checks OpenVINO and ONNX Runtime. Imports both."""
    for name in (OPENVINO, ONNX_RUNTIME):
        yield _check(name)


def _check(name: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding(_SUBJECTS[name], ABSENT, "not installed", f"{MAKE_RUNTIMES}; {_PURPOSES[name]}")
    try:
        module = load_runtime(name)
        fact = _describe_openvino(module) if name == OPENVINO else _describe_onnxruntime(module)
    except UserError as error:
        return Finding(_SUBJECTS[name], BROKEN, str(error), MAKE_RUNTIMES)
    except Exception as error:  # noqa: BLE001  a runtime raises whatever it likes
        return Finding(_SUBJECTS[name], BROKEN, f"installed, but does not work: {one_line(error)}", MAKE_RUNTIMES)
    return Finding(_SUBJECTS[name], OK, f"{fact}; telemetry is off")


def _describe_openvino(module: object) -> str:
    devices = ", ".join(f"{name} ({full})" for name, full in openvino.list_devices())
    return f"{openvino.version(module)}, devices: {devices or 'none'}"


def _describe_onnxruntime(module: object) -> str:
    return f"{getattr(module, '__version__', 'unknown')}, devices: {', '.join(onnxruntime.list_devices())}"
