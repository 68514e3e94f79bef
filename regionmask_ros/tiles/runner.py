"""A quantized network from the image to the arrays of its ONNX file, for one camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .engine import TileEngine
from .frame import StepOutput
from .network import TileNetwork
from .noise import NoiseEstimate
from .tail import Tail
from .work import WorkMeter


@dataclass(frozen=True, eq=False)
class RunOutput:
    """What a frame gave.

    Attributes:
        outputs: float32 arrays in the order of ``Tail.outputs``, with a batch axis of length 1; valid until the next
            frame.
        step: What the engine gave.
        has_changed: Whether any head differs from the frame before.
    """

    outputs: tuple[np.ndarray, ...]
    step: StepOutput
    has_changed: bool


class TileRunner:
    """The tile engine of one camera, and the network's tail.

    Args:
        network: The quantized network.
        tail: What is behind its heads.
        input_wh: Width and height of the images.
        kernel_set: As for ``TileEngine``.

    Attributes:
        engine: The engine.
        meter: Makes exact counts of what the engine has counted.

    Raises:
        ValueError: The images do not fit the network.
        UserError: There is no such kernel set.
    """

    def __init__(self, network: TileNetwork, tail: Tail, input_wh: tuple[int, int], kernel_set: str = "") -> None:
        self.engine, self.meter = TileEngine(network, input_wh, kernel_set), WorkMeter(network, input_wh)
        graph = network.graph
        self._noise, self._order = NoiseEstimate(), tail.outputs
        layouts = [[head for level in layout.levels for head in level] for layout in tail.rows.values()]
        # The engine keeps all heads side by side: then the output is there already.
        self._is_view = len(tail.outputs) == 1 and layouts == [list(graph.outputs)]
        shapes = graph.shapes(input_wh)
        self._tail = tail.prepare({name: shapes[name] for name in tail.heads}, input_wh)
        self._outputs: tuple[np.ndarray, ...] = ()

    def step(self, image: np.ndarray, attended: np.ndarray | None = None, level: float | None = None, *,
             is_dense: bool = False) -> RunOutput:
        """Computes a frame.

        Args:
            image: uint8 [rows, cols, 3], RGB.
            attended: bool [region rows, region cols], regions of 16x16 pixels; None: all.
            level: Multiplies the network's threshold factors; the threshold of the image follows the measured noise of
                the camera. None: all thresholds are 0, that of the image, too.
            is_dense: Compute and replace everything, whatever has changed.

        Returns:
            The arrays.
        """
        threshold = 0.0 if level is None else self._noise.threshold
        step = self.engine.step(image, attended, level or 0.0, threshold, is_dense=is_dense)
        is_first = not self._outputs
        if not is_first:
            self._noise = self._noise.after(step.quiet_square)
        has_changed = is_first or step.has_changed
        if has_changed:
            self._outputs = self._compute(step)
        return RunOutput(self._outputs, step, has_changed)

    def reset(self) -> None:
        """Forgets all frames."""
        self.engine.reset()
        self._outputs, self._noise = (), NoiseEstimate()

    def _compute(self, step: StepOutput) -> tuple[np.ndarray, ...]:
        if self._is_view and step.rows is not None:
            return (step.rows[None],)
        found = self._tail.compute(step.heads)
        return tuple(found[name] for name in self._order)
