"""cv_bridge for reading pictures, where it is installed and gives the right pixels.

Its compiled part fits one NumPy only, and some versions misread padded rows or big-endian samples. So each combination
of encoding and byte order is tried on a small picture first, and what it gets wrong stays with our own reading.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

import numpy as np
from sensor_msgs.msg import Image

from ..frames import Frame
from ..sources.image_message import ENCODINGS, Encoding, SamplesOf, frame_from, samples_of

OWN, BRIDGE = "numpy", "cv_bridge"

WIDTH, HEIGHT = 4, 2


class BridgeSamples:
    """SamplesOf by a CvBridge for all that it has read rightly, by ``samples_of`` for the rest.

    trusted: pairs of encoding and ``is_bigendian``.
    """

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self.trusted = frozenset(
            (name, order) for name in ENCODINGS for order in (0, 1) if _reads_rightly(bridge, name, order)
        )

    def __call__(self, message: Image, encoding: Encoding) -> np.ndarray:
        # A row that is padded by part of a pixel has no shape that cv_bridge could give it.
        whole = message.step % (encoding.channels * encoding.sample_bytes) == 0
        if whole and (message.encoding, message.is_bigendian) in self.trusted:
            return _samples(self._bridge, message, encoding)
        return samples_of(message, encoding)


def choose_reading() -> tuple[Callable[[Image], Frame], str]:
    """How raw pictures are read, and its name for the diagnostics: ``cv_bridge`` or ``numpy``."""
    try:
        from cv_bridge import CvBridge

        reading: SamplesOf = BridgeSamples(CvBridge())
    except Exception:  # noqa: BLE001  built for another NumPy it fails in several ways, none of which is ours to tell
        return frame_from, OWN
    return (partial(frame_from, samples=reading), BRIDGE) if reading.trusted else (frame_from, OWN)


def _samples(bridge: Any, message: Image, encoding: Encoding) -> np.ndarray:
    samples = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="passthrough"))
    return samples.reshape(encoding.rows(message.height), message.width, encoding.channels)


def _reads_rightly(bridge: Any, name: str, bigendian: int) -> bool:
    """Tries a picture whose samples all differ and whose rows are padded by one pixel."""
    encoding = ENCODINGS[name]
    step = (WIDTH + 1) * encoding.channels * encoding.sample_bytes
    message = Image(encoding=name, width=WIDTH, height=HEIGHT, step=step, is_bigendian=bigendian)
    message.data.frombytes(bytes(range(1, 1 + step * encoding.rows(HEIGHT))))
    try:
        samples = _samples(bridge, message, encoding)
    except Exception:  # noqa: BLE001  whatever it stumbles over, it cannot read this
        return False
    return np.array_equal(samples, samples_of(message, encoding))
