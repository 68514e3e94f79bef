"""A dense network that computes whole pictures, and how right its detections are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ...backends import open_backend
from ...core.detections import Detections
from ...core.frame import Frame, resize_frame
from ...core.look import Look, LookImage, LookOutput
from ...datasets.labels import LabelledSequence
from ...detection.heads import decode_looks
from ...metrics.agreement import LOWEST_SCORE, NMS_IOU
from ...network.dense import DenseNetwork
from ..evaluation.scoring import Scorer

NumberedFrame = tuple[int, Frame]


class Detector:
    """A dense network that computes whole pictures; close it after use.

    Args:
        network: The network.
        input_wh: Width and height of its input.
        backend: Name of the backend.
    """

    def __init__(self, network: DenseNetwork, input_wh: tuple[int, int], backend: str) -> None:
        self._network, self._input_wh = network, input_wh
        self._backend = open_backend(backend, network, input_wh, "", {"cache": "none"})

    def detect(self, image: np.ndarray, image_wh: tuple[int, int]) -> Detections:
        """Finds objects.

        Args:
            image: uint8 [height, width, 3], RGB, of the input's size.
            image_wh: Size of the picture that it was resized from.

        Returns:
            Detections in pixels of that picture, down to `LOWEST_SCORE`.
        """
        return decode_looks(self.run(image, image_wh), self._network.head, image_wh, LOWEST_SCORE, NMS_IOU).found

    def run(self, image: np.ndarray, image_wh: tuple[int, int]) -> tuple[LookOutput, ...]:
        """The network's outputs."""
        window = (0.0, 0.0, float(image_wh[0]), float(image_wh[1]))
        self._backend.submit([LookImage(Look(window, self._input_wh), image)], None)
        result = self._backend.poll(0.0)
        return () if result is None else tuple(result.head)

    def close(self) -> None:
        """Closes the backend."""
        self._backend.close()


def measure_map(network: DenseNetwork, sequence: LabelledSequence, input_wh: tuple[int, int], backend: str,
                follow: Callable[[Iterable[NumberedFrame], int | None], Iterable[NumberedFrame]]) -> float:
    """The network's mAP at 0.5 on a labeled sequence.

    Args:
        network: The network.
        sequence: Pictures and labels.
        input_wh: Width and height of the network's input.
        backend: Name of the backend.
        follow: Shows progress: called with numbered frames, and how many there are.

    Returns:
        0 to 100.
    """
    scorer, detector = Scorer(sequence.labels, network.labels), Detector(network, input_wh, backend)
    try:
        with sequence.open() as source:
            for number, frame in follow(source.numbered(), source.frame_count):
                scorer.add(number, detector.detect(resize_frame(frame, input_wh), source.size_wh))
    finally:
        detector.close()
    return scorer.map50()
