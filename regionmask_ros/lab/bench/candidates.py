"""What takes its turn in a benchmark: the protocol of candidates, and our event engine with its fixed masks.

The event engine runs the stages of the node's pipeline: the mask is composed, and the encoder sends events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from ...core.arithmetic import CARRY, MESSAGE_EXP, USUAL_EXP, head_values
from ...core.detections import Detections
from ...core.events import Events
from ...core.frame import Frame
from ...core.grid import RegionGrid
from ...core.result import StepCounts
from ...detection.events import decode_head
from ...detection.yolo import decode
from ...encoder.encoder import Encoder
from ...engine.branched.engine import BranchedEngine, BranchedResult, PackedBranches
from ...engine.engine import EventEngine, PackedNetwork
from ...errors import UserError
from ...mask.composer import MaskComposer
from ...mask.static import StaticSource
from ...metrics.machine import array_bytes
from ...network.branched import BranchedNetwork, LevelsHead
from ...network.chain import Network, YoloHead
from ...pipeline.camera_state import CameraState, ResetReason
from ...pipeline.interpreter import InterpreterState
from ...pipeline.stages import compose_mask, encode_image, view_frame
from .clip import Clip

EVENT, TILES = "event", "tiles"
UNMASKED, MASKED60 = "unmasked", "masked60"
SETTINGS = (UNMASKED, MASKED60)
DENSE = "dense"
"""The setting of engines that compute everything in every frame."""

KEEP_SHARE = 0.4
SCORE_THRESHOLD, NMS_IOU = 0.4, 0.45
FIXED_POINT = 1 << 16
LARGEST = (1 << 23) - 1


def is_own(engine: str) -> bool:
    """Whether a name in a row is that of an engine of ours, with a kernel set or without."""
    return engine.partition(":")[0] in (EVENT, TILES)


class Candidate(Protocol):
    """An engine with a state of its own.

    Attributes:
        network: Name of the network that it computes.
        backend: What computes: ``cpu``, our engine, or a dense runtime.
        engine: Its name in the rows of the result.
        setting: Its mask, or ``DENSE``.
        path: Its kernel set, or library and version.
        threads: Number of threads that it computes with.
        calibration: Sequence that its integers were calibrated on; "" if nothing is calibrated.
        counting: Whether steps are counted; off while time is measured.
        mac_share: Share of the multiplications of the dense network that the last step did; None if it counts synaptic
            operations instead.
    """

    network: str
    backend: str
    engine: str
    setting: str
    path: str
    threads: int
    calibration: str
    counting: bool
    mac_share: float | None

    def step(self, image: np.ndarray) -> Any:
        """Computes one frame; this is the timed part.

        Args:
            image: uint8 [height, width, 3], RGB.

        Returns:
            The raw head in the engine's own layout.
        """

    def follow(self, raw: Any) -> None:
        """Makes ready for the next frame after one was computed, outside of the timed part.

        Args:
            raw: What `step` returned.
        """

    def reset(self, refresh_period: int = 0) -> None:
        """Returns to the state before the first frame.

        Args:
            refresh_period: From now on every frame of this period is processed without a mask; 0: the first frame
                only. It has no meaning for an engine without a state.
        """

    def counts(self) -> StepCounts | None:
        """Returns the counts of the last step, if counting was on; None if the engine never counts."""

    def detect(self, raw: Any, image_wh: tuple[int, int], lowest: float) -> Detections:
        """Decodes what `step` returned.

        Args:
            raw: The raw head.
            image_wh: Width and height of the image.
            lowest: Lowest score.

        Returns:
            The detections.
        """


class ExactCandidate(Candidate, Protocol):
    """A candidate whose head can be compared with the dense evaluation of the same network."""

    def real_head(self, raw: Any) -> np.ndarray:
        """Returns what `step` returned, as float64 [rows, cols, channels]."""


def decode_real(head: np.ndarray, network: Network, image_wh: tuple[int, int], lowest: float) -> Detections:
    """Decodes a head of real values.

    Args:
        head: float64 [rows, cols, channels].
        network: The network that it is from. One whose output holds no boxes is a ``UserError``.
        image_wh: Width and height of the image.
        lowest: Lowest score.

    Returns:
        The detections.
    """
    found = require_boxes(network)
    assert isinstance(found, YoloHead), "of a chain"
    layout = replace(found, exponent=USUAL_EXP)
    return decode(to_fixed_point(head), layout, image_wh, lowest, NMS_IOU)


def to_fixed_point(real: np.ndarray) -> np.ndarray:
    """Returns real values as the engine's sigma: int32 at 2**16, clipped to its 24 bits."""
    return np.rint(np.clip(real * FIXED_POINT, -LARGEST, LARGEST)).astype(np.int32)


def open_camera(network: Network, input_wh: tuple[int, int], keep: np.ndarray) -> CameraState:
    """Makes the state of a camera with a fixed mask, whose images have the size of the network's input.

    Args:
        network: The network.
        input_wh: Width and height of its input.
        keep: bool [rows, cols], the mask of all frames but the first.

    Returns:
        The state before the first frame.
    """
    sources = [] if keep.all() else [StaticSource(keep)]
    encoder = Encoder(network.input_table, network.encoder_threshold, input_wh)
    composer = MaskComposer(RegionGrid.of_input(input_wh), input_wh, sources)
    return CameraState(input_wh, input_wh, composer, InterpreterState(), encoder)


def encode_frame(camera: CameraState, image: np.ndarray) -> Events:
    """Runs the stages of the pipeline before the backend, without resizing.

    Args:
        camera: The state of the camera.
        image: uint8 [height, width, 3], RGB, of the size of the network's input.

    Returns:
        The events, valid until the next frame.
    """
    mask = compose_mask(camera, view_frame(camera, Frame(image, "rgb", 0, "camera")))
    return encode_image(camera, image, mask)


class EventCandidate:
    """One camera: mask, encoder and event engine. Its first frame is never masked.

    Args:
        network: The network.
        input_wh: Width and height of the network's input.
        setting: Name of the mask.
        keep: bool [rows, cols], the mask of all other frames.
        kernel_set: Name of the kernels; "" for the default.
        packed: Weights to share with other cameras. Without them the camera has its own, so that no camera warms the
            caches for another.
    """

    backend = "cpu"
    threads = 1
    calibration = ""
    counting = True
    mac_share: float | None = None

    def __init__(self, network: Network, input_wh: tuple[int, int], setting: str, keep: np.ndarray,
                 kernel_set: str = "", packed: PackedNetwork | None = None) -> None:
        self.network, self._network = network.name, network
        self._camera = open_camera(network, input_wh, keep)
        self._engine: EventEngine | BranchedEngine
        if isinstance(network, BranchedNetwork):
            self._engine = BranchedEngine(PackedBranches(network.graph), input_wh, CARRY)
        else:
            self._engine = EventEngine(packed or PackedNetwork(network), input_wh, CARRY, kernel_set)
        self._profile_hook: Callable[[str], None] | None = None
        self.setting, self.path = setting, self._engine.kernel_set
        self.engine = f"{EVENT}:{kernel_set}" if kernel_set else EVENT
        self._last_counts: StepCounts | None = None

    def step(self, image: np.ndarray) -> Any:
        """Encodes a frame and computes its events.

        Args:
            image: uint8 [height, width, 3], RGB.

        Returns:
            What a backend gives, see ``detection.events.decode_head``.
        """
        return self.process(self.encode(image))

    def encode(self, image: np.ndarray) -> Events:
        """Returns the events of the next frame, uint8 [height, width, 3], RGB."""
        events = encode_frame(self._camera, image)
        if self._profile_hook:
            self._profile_hook("encoder")
        return events

    def process(self, events: Events) -> Any:
        """Returns the head after the events, as `step` does."""
        self._engine.counting = self.counting
        result = self._engine.step_changes(events.changes)
        self._last_counts = StepCounts(len(events), result.layer_events, result.synops)
        return result.heads if isinstance(result, BranchedResult) else result.head

    def follow(self, raw: Any) -> None:
        """Does nothing: the mask is fixed."""

    def reset(self, refresh_period: int = 0) -> None:
        """Returns to the state before the first frame; see `Candidate`."""
        self._camera.reset(ResetReason.REQUESTED)
        self._camera.composer.refresh_period = refresh_period
        self._engine.reset()

    def watch(self, profile_hook: Callable[[str], None] | None) -> None:
        """Reports the progress of every step.

        Args:
            profile_hook: Called with ``"encoder"`` after the encoder, then as ``EventEngine.profile_hook`` says; None:
                no longer.
        """
        self._profile_hook = self._engine.profile_hook = profile_hook

    def counts(self) -> StepCounts | None:
        """Returns the counts of the last step."""
        return self._last_counts

    def real_head(self, raw: Any) -> np.ndarray:
        """Returns the head's sigma as real values, float64; all heads of a branched network in one row."""
        if isinstance(self._network, BranchedNetwork):
            exponents = {layer.name: layer.exponent for layer in self._network.layers}
            return np.concatenate([sigma.ravel() / float(1 << (MESSAGE_EXP + exponents[name]))
                                   for sigma, name in zip(raw, self._network.graph.outputs)])
        return head_values(raw, self._network.layers[-1].exponent)

    def detect(self, raw: Any, image_wh: tuple[int, int], lowest: float) -> Detections:
        """Decodes the head; see `Candidate`."""
        if isinstance(self._network.head, LevelsHead):
            return decode_head(raw, self._network.head, image_wh, lowest, NMS_IOU)
        return decode_real(self.real_head(raw), self._network, image_wh, lowest)

    def state_bytes(self) -> int:
        """Returns the size of the arrays of encoder and engine, without shared weights."""
        return array_bytes([self._camera.encoder, self._engine], shared=[self._engine.packed])


def keep_mask(setting: str, network: Network, clip: Clip) -> np.ndarray:
    """Chooses the mask of a setting before time is measured.

    ``masked60`` keeps the 40 % of regions in which the unmasked detector finds most over the clip: those that most
    boxes cover, summed over all frames; among equals, those that send more events.

    Args:
        setting: ``UNMASKED`` or ``MASKED60``.
        network: The network.
        clip: The frames.

    Returns:
        bool [rows, cols], for every frame but the first, which is never masked.
    """
    grid = RegionGrid.of_input(clip.input_wh)
    if setting == UNMASKED:
        return grid.full(True)
    layout = require_boxes(network)
    candidate = EventCandidate(network, clip.input_wh, UNMASKED, grid.full(True))
    heat, sent = np.zeros(grid.shape, np.int64), np.zeros(grid.shape, np.int64)
    for image in clip.images:
        events = candidate.encode(image)
        for box in decode_head(candidate.process(events), layout, clip.image_wh, SCORE_THRESHOLD, NMS_IOU).boxes:
            heat += grid.cover(box, clip.image_wh)
        y, x, _ = np.unravel_index(events.index, events.shape)
        region = y // grid.region_px * grid.cols + x // grid.region_px
        sent += np.bincount(region, minlength=sent.size).reshape(sent.shape)
    return busiest_regions(heat, sent, KEEP_SHARE)


def require_boxes(network: Network) -> YoloHead | LevelsHead:
    """Returns how the output of a network is decoded.

    Args:
        network: The network.

    Returns:
        The layout of its head.

    Raises:
        UserError: The output holds no boxes.
    """
    if network.head is None:
        raise UserError(f"network {network.name}: its output holds no boxes, so detections cannot be measured")
    return network.head


def busiest_regions(heat: np.ndarray, events: np.ndarray, share: float) -> np.ndarray:
    """Chooses a share of the regions: those of the most heat; among equals by events, then by position.

    Args:
        heat: int [rows, cols].
        events: int [rows, cols].
        share: From 0 to 1.

    Returns:
        bool [rows, cols].
    """
    ranked = np.lexsort((-events.ravel(), -heat.ravel()))
    keep = np.zeros(heat.size, bool)
    keep[ranked[:round(share * heat.size)]] = True
    return keep.reshape(heat.shape)
