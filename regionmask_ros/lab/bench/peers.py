"""Dense runtimes as baselines for an ONNX network, each as fast as it can be made: from a picture's bytes to the head.

OpenVINO's int8 version is our own, see ``lab.quantization.graph``: every convolution computes integers, and Swish and
quantization are steps of the convolutions. On a processor without VNNI, NNCF's was as fast within the noise; it left
depthwise convolutions in fp32 there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...backends.base import BackendError
from ...backends.openvino import make_picture_model, version
from ...backends.runtimes import ONNX_RUNTIME, OPENVINO, load_runtime
from ...core.detections import Detections
from ...core.frame import MAX_PIXELS
from ...core.look import Look, LookOutput
from ...detection.heads import decode_looks
from ...errors import UserError
from ...network.dense import DenseNetwork
from ...tiles.onnx_model import find_model
from ..quantization.quantize import quantize
from .baselines import OPENVINO_INT8, ORT_FP32
from .candidates import DENSE, NMS_IOU, Candidate
from .clip import Clip, calibration_clip

OPENVINO_FP32 = "openvino_fp32"
PEERS = (OPENVINO_INT8, OPENVINO_FP32, ORT_FP32)
_ORT_ERRORS_ONLY = 3

ISAS = {"avx512_vnni": "AVX512_CORE_VNNI"}
"""Instruction sets that kernels can be limited to, and what oneDNN, OpenVINO's library of kernels, calls them."""

_ISA_VARIABLE = "ONEDNN_MAX_CPU_ISA"


def limit_isa(isa: str) -> None:
    """Limits the kernels of OpenVINO, which must not be loaded yet.

    Args:
        isa: One of ``ISAS``.
    """
    os.environ[_ISA_VARIABLE] = ISAS[isa]


class Peer:
    """What the runtimes have in common: they compute the whole picture in every frame and have no state.

    A subclass defines `step`: from uint8 [height, width, 3], RGB, to the arrays of the network's outputs.

    Args:
        network: The network.
        engine: Its name in the rows of the result.
        path: Library and version.
        clip: The frames, for their sizes.
        threads: Number of threads that it computes with.
        calibration: Sequence that its integers were calibrated on.
    """

    setting = DENSE
    counting = True
    mac_share: float | None = 1.0

    def __init__(self, network: DenseNetwork, engine: str, path: str, clip: Clip, threads: int,
                 calibration: str = "") -> None:
        self.network, self._network, self.backend = network.name, network, engine.partition("_")[0]
        self.engine, self.path, self.threads, self.calibration = engine, path, threads, calibration
        self._look = Look((0.0, 0.0, float(clip.image_wh[0]), float(clip.image_wh[1])), clip.input_wh)

    def step(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Computes one frame. The arrays are memory of the runtime, valid until the next step."""
        raise NotImplementedError

    def follow(self, raw: tuple[np.ndarray, ...]) -> None:
        """Does nothing: no frame depends on another."""

    def reset(self, refresh_period: int = 0) -> None:
        """Does nothing: there is no state."""

    def counts(self) -> None:
        """Returns None: a dense network always does all of its operations."""

    def detect(self, raw: tuple[np.ndarray, ...], image_wh: tuple[int, int], lowest: float) -> Detections:
        """Decodes the outputs; see `Candidate`."""
        return decode_looks((LookOutput(self._look, raw),), self._network.head, image_wh, lowest, NMS_IOU).found


class OpenVinoPeer(Peer):
    """OpenVINO. Order and normalization of the picture are part of the compiled model."""

    def __init__(self, network: DenseNetwork, engine: str, clip: Clip, threads: int, calibration: str = "") -> None:
        openvino = load_runtime(OPENVINO)
        super().__init__(network, engine, f"{OPENVINO} {version(openvino)}", clip, threads, calibration)
        # Pinning would also bind the thread in which the other candidates run.
        compiled = openvino.Core().compile_model(make_picture_model(network, clip.input_wh), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False, "INFERENCE_PRECISION_HINT": "f32",
        })
        self.compiled, self._request = compiled, compiled.create_infer_request()
        self._count = len(compiled.outputs)

    def step(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Computes one frame; see `Peer`."""
        self._request.infer([image[None]], share_inputs=True, share_outputs=True)
        return tuple(self._request.get_output_tensor(index).data for index in range(self._count))


class OnnxRuntimePeer(Peer):
    """ONNX Runtime. Idle workers sleep: otherwise they would count as computing."""

    def __init__(self, network: DenseNetwork, engine: str, clip: Clip, threads: int) -> None:
        from ...backends.onnxruntime import PictureConverter

        runtime = load_runtime(ONNX_RUNTIME)
        super().__init__(network, engine, f"{ONNX_RUNTIME} {runtime.__version__}", clip, threads)
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = _ORT_ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = runtime.InferenceSession(find_model(network), options, providers=["CPUExecutionProvider"])
        self._convert = PictureConverter(network.preprocessing, clip.input_wh)

    def step(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """Computes one frame; see `Peer`."""
        found = self._session.run(list(self._network.head.outputs), {self._network.input_name: self._convert(image)})
        return tuple(found)


class PeerModels:
    """The peers of a network. Its int8 version is made when it is first needed, and once.

    Args:
        network: In fp32.
        threads: Number of threads of each peer.

    Attributes:
        network: As given.
    """

    def __init__(self, network: DenseNetwork, threads: int) -> None:
        self.network, self._threads = network, threads
        self._int8: dict[str, DenseNetwork] = {}

    def open(self, engine: str, clip: Clip) -> Candidate | str:
        """Opens a peer.

        Args:
            engine: One of ``PEERS``.
            clip: The frames; integers are calibrated on another sequence.

        Returns:
            The peer, or one line that says why it cannot run here.
        """
        try:
            if engine == ORT_FP32:
                return OnnxRuntimePeer(self.network, engine, clip, self._threads)
            if engine == OPENVINO_FP32:
                return OpenVinoPeer(self.network, engine, clip, self._threads)
            source = calibration_clip(*clip.inputs)
            if not source:
                return f"{engine} is left out: there is no other video to calibrate it on; run 'make setup'"
            return OpenVinoPeer(self._quantize(source), engine, clip, self._threads, source)
        except (BackendError, UserError) as error:
            return f"{engine} is left out: {error}"

    def _quantize(self, source: str) -> DenseNetwork:
        if source not in self._int8:
            found = quantize(self.network, self.network.name, source, (), MAX_PIXELS, _follow_quietly)
            self._int8[source] = replace(found.network, name=self.network.name)
        return self._int8[source]


def open_peers(engines: Sequence[str], models: PeerModels, clip: Clip, report: Callable[[str], None]
               ) -> list[Candidate]:
    """Opens those engines that are peers and can run here.

    Args:
        engines: Names; others than ``PEERS`` are ignored.
        models: The models of the network.
        clip: The frames.
        report: Called with a line for each peer that cannot run here.

    Returns:
        The peers, in the order of their names.
    """
    opened = [models.open(engine, clip) for engine in engines if engine in PEERS]
    for line in opened:
        if isinstance(line, str):
            report(line)
    return [peer for peer in opened if not isinstance(peer, str)]


def _follow_quietly(items: Iterable[Any], _count: int | None, _what: str) -> Iterable[Any]:
    return items
