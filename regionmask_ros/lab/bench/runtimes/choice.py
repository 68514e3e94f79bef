"""Peers by name, and what becomes of those that are not installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from ....network.graph import Network
from ..clip import Clip, calibration_clip, spread_images
from ..measure import Candidate

ORT_FP32, ORT_INT8, OPENVINO_INT8, TORCH_FP32 = "onnxruntime_fp32", "onnxruntime_int8", "openvino_int8", "torch_fp32"
BASELINES = (ORT_FP32, ORT_INT8, OPENVINO_INT8, TORCH_FP32)
CALIBRATION_FRAMES = 64
_BROUGHT, _LARGE = "run 'make bench-setup'", "it is large, so get it yourself: .venv/bin/python -m pip install torch"
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class BaselineModels:
    """The models of one clip's peers, each made when it is first needed."""

    def __init__(self, network: Network, clip: Clip, threads: int,
                 calibration_frames: int = CALIBRATION_FRAMES) -> None:
        """calibration_frames: of another clip, for integer peers. How fast they are does not depend on it."""
        self._network, self._clip, self._threads = network, clip, threads
        self._calibration_frames = calibration_frames
        self._calibration = calibration_clip(clip.path)
        self._int8: bytes | None = None

    def open(self, engine: str) -> Candidate | str:
        """The peer, or one line that says why there is none."""
        makers: dict[str, Callable[[], Candidate | str]] = {
            ORT_FP32: self._onnxruntime_fp32, ORT_INT8: self._onnxruntime_int8,
            OPENVINO_INT8: self._openvino_int8, TORCH_FP32: self._torch_fp32,
        }
        if engine in (ORT_INT8, OPENVINO_INT8) and not self._calibration:
            return f"{engine} is left out: there is no other video to calibrate it on; run 'make setup'"
        try:
            return makers[engine]()
        except ImportError as error:
            gone = isinstance(error, ModuleNotFoundError) and error.name
            why = f"no {error.name.partition('.')[0]} here" if gone else " ".join(str(error).split())
            return f"{engine} is left out: {why}; {_LARGE if engine == TORCH_FP32 else _BROUGHT}"

    def _onnxruntime_fp32(self) -> Candidate:
        from ..onnx_export import export_onnx
        from .onnxruntime_peer import OnnxRuntimeBaseline

        model = export_onnx(self._network, self._clip.input_wh).SerializeToString()
        return OnnxRuntimeBaseline(ORT_FP32, model, self._threads)

    def _onnxruntime_int8(self) -> Candidate:
        from .onnxruntime_peer import OnnxRuntimeBaseline

        return OnnxRuntimeBaseline(ORT_INT8, self._quantise_model(), self._threads, self._calibration)

    def _openvino_int8(self) -> Candidate:
        from .openvino_peer import OpenVinoBaseline

        return OpenVinoBaseline(OPENVINO_INT8, self._quantise_model(), self._threads, self._calibration)

    def _torch_fp32(self) -> Candidate:
        from .torch_peer import TorchBaseline

        return TorchBaseline(TORCH_FP32, self._network, self._threads)

    def _quantise_model(self) -> bytes:
        if self._int8 is None:
            from ..onnx_export import export_onnx, quantise

            images = spread_images(self._calibration, self._clip.input_wh, self._calibration_frames)
            self._int8 = quantise(export_onnx(self._network, self._clip.input_wh), images)
        return self._int8


def limit_threads(threads: int) -> None:
    """Tells libraries that are not loaded yet how many threads to use. What is loaded already is told by its peer."""
    for name in _THREAD_SETTINGS:
        os.environ[name] = str(threads)


def open_baselines(engines: Sequence[str], models: BaselineModels, tell: Callable[[str], None]) -> list[Candidate]:
    """Those of ``engines`` that are peers and can run here; ``tell`` gets a line for each one that cannot."""
    opened = [models.open(engine) for engine in engines if engine in BASELINES]
    for line in opened:
        if isinstance(line, str):
            tell(line)
    return [baseline for baseline in opened if not isinstance(baseline, str)]
