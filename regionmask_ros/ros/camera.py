"""cv_bridge for reading pictures, where it is installed and gives the right pixels.

Its compiled part fits one NumPy only, and some versions misread padded rows or big-endian samples. So each combination
of encoding and byte order is tried on a small picture first, and what it gets wrong stays with our own reading.

What the time stamps of a camera's pictures give away.

The subscription to the camera: raw or compressed pictures, and what can be noticed about their way here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Union

import numpy as np
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from ..core.frame import Frame
from ..sources.image_message import ENCODINGS, Encoding, SampleReader, decode_image, read_samples, stamp_ns
from .diagnostics import FrameStats
from .qos import subscribe

OWN, BRIDGE = "numpy", "cv_bridge"

WIDTH, HEIGHT = 4, 2


class BridgeSamples:
    """SamplesOf by a CvBridge for all that it has read rightly, by ``read_samples`` for the rest.

    trusted: pairs of encoding and ``is_bigendian``.
    """

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self.trusted = frozenset(
            (name, order) for name in ENCODINGS for order in (0, 1) if _decodes_correctly(bridge, name, order)
        )

    def __call__(self, message: Image, encoding: Encoding) -> np.ndarray:
        # A row that is padded by part of a pixel has no shape that cv_bridge could give it.
        whole = message.step % (encoding.channels * encoding.sample_bytes) == 0
        if whole and (message.encoding, message.is_bigendian) in self.trusted:
            return _samples(self._bridge, message, encoding)
        return read_samples(message, encoding)


def choose_reading() -> tuple[Callable[[Image], Frame], str]:
    """How raw pictures are read, and its name for the diagnostics: ``cv_bridge`` or ``numpy``."""
    try:
        from cv_bridge import CvBridge

        reading: SampleReader = BridgeSamples(CvBridge())
    except Exception:  # noqa: BLE001  built for another NumPy it fails in several ways, none of which is ours to tell
        return decode_image, OWN
    return (partial(decode_image, samples=reading), BRIDGE) if reading.trusted else (decode_image, OWN)


def _samples(bridge: Any, message: Image, encoding: Encoding) -> np.ndarray:
    samples = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="passthrough"))
    return samples.reshape(encoding.rows(message.height), message.width, encoding.channels)


def _decodes_correctly(bridge: Any, name: str, bigendian: int) -> bool:
    """Tries a picture whose samples all differ and whose rows are padded by one pixel."""
    encoding = ENCODINGS[name]
    step = (WIDTH + 1) * encoding.channels * encoding.sample_bytes
    message = Image(encoding=name, width=WIDTH, height=HEIGHT, step=step, is_bigendian=bigendian)
    message.data.frombytes(bytes(range(1, 1 + step * encoding.rows(HEIGHT))))
    try:
        samples = _samples(bridge, message, encoding)
    except Exception:  # noqa: BLE001  whatever it stumbles over, it cannot read this
        return False
    return np.array_equal(samples, read_samples(message, encoding))


@dataclass(frozen=True)
class StampCheck:
    """warning: to be told to the user, "" for none. repeated: the stamp is the same as the last picture's."""

    warning: str = ""
    repeated: bool = False


NOTHING = StampCheck()

ZERO = "pictures have no time stamp: passed on as they are, to be joined with nothing"
REPEATED_STAMP = "two pictures have the same time stamp: both are answered, but joins by time will mix them up"


class StampMonitor:
    """Looks at each stamp once. A stamp of 0 is none at all, and neither repeats nor jumps.

    Zero and repeated stamps are told the first time, because they go on for ever; each jump back is told.
    """

    def __init__(self) -> None:
        self._last_ns = 0
        self._told: set[str] = set()

    def look(self, stamp_ns: int) -> StampCheck:
        """The next picture's stamp, in nanoseconds."""
        last, self._last_ns = self._last_ns, stamp_ns
        if not stamp_ns:
            return StampCheck(self._once(ZERO))
        if stamp_ns == last:
            return StampCheck(self._once(REPEATED_STAMP), repeated=True)
        if stamp_ns < last:
            return StampCheck(f"time stamps jumped back by {(last - stamp_ns) / 1e9:.3f} s: the detector starts afresh")
        return NOTHING

    def _once(self, warning: str) -> str:
        if warning in self._told:
            return ""
        self._told.add(warning)
        return warning


Picture = Union[Image, CompressedImage]

LOG_PERIOD_S = 5.0

DEPTH = 5
"""Only the newest picture is of use, but the slot behind the callback sees to that, and counts what it replaces. A
queue of one would lose pictures uncounted whenever this process gets no processor for the time of a frame.
"""

MESSAGES = {"raw": Image, "compressed": CompressedImage}
"""By image_transport."""


def image_topic(node: Node, transport: str) -> str:
    """Full name of the topic that pictures come on, as image_transport would choose it."""
    image = node.resolve_topic_name("image")
    return image if transport == "raw" else node.resolve_topic_name(f"{image}/{transport}")


class CameraInput:
    """Takes pictures from now on until it is destroyed.

    put: called with each picture, in the executor's thread, and returns at once. traffic: is told of losses.
    """

    def __init__(
        self, node: Node, transport: str, reliability: str, put: Callable[[Picture], None], frame_stats: FrameStats
    ) -> None:
        self._node, self._put, self._frame_stats = node, put, frame_stats
        self._watch = StampMonitor()
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy[reliability.upper()]
        )
        topic = image_topic(node, transport)
        self._subscription = subscribe(node, MESSAGES[transport], topic, self._take, qos, self._lost)

    @property
    def topic(self) -> str:
        return self._subscription.topic_name

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: Picture) -> None:
        news = self._watch.look(stamp_ns(message.header.stamp))
        if news.repeated:
            self._frame_stats.count(repeated=1)
        if news.warning:
            self._node.get_logger().warning(news.warning, throttle_duration_sec=LOG_PERIOD_S)
        self._put(message)

    def _lost(self, more: int) -> None:
        self._frame_stats.count(lost=more)
        self._node.get_logger().warning(
            "pictures are lost on the way here: give the camera's process the DDS profile for pictures (see README)",
            once=True,
        )
